using DiCacheNative.Backends;

namespace DiCacheNative.Tests.Models;

public sealed class HostMemoryTests
{
    private const string Available = "MemTotal:       24000000 kB\nMemAvailable:    1000000 kB\nSwapFree: 0 kB\n";

    [Fact]
    public void Some_memory_is_free_here() => Assert.InRange(HostMemory.AvailableBytes, 1_000_000, long.MaxValue);

    [Fact]
    public void Without_limits_the_system_tells() => Assert.Equal(1_024_000_000, Free([]));

    [Fact]
    public void A_limit_of_a_group_of_version_2_leaves_what_is_not_used_and_the_file_cache() => Assert.Equal(500_000_000 - 400_000_000 + 50_000_000, Free(new()
    {
        ["/proc/self/cgroup"] = "0::/user/app\n",
        ["/sys/fs/cgroup/user/app/memory.max"] = "500000000\n",
        ["/sys/fs/cgroup/user/app/memory.current"] = "400000000\n",
        ["/sys/fs/cgroup/user/app/memory.stat"] = "anon 350000000\nfile 50000000\ninactive_file 50000000\n",
        ["/sys/fs/cgroup/user/memory.max"] = "max\n",
        ["/sys/fs/cgroup/user/memory.current"] = "900000000\n",
    }));

    [Fact]
    public void The_limit_of_a_group_further_up_counts() => Assert.Equal(100_000_000, Free(new()
    {
        ["/proc/self/cgroup"] = "0::/user/app\n",
        ["/sys/fs/cgroup/user/app/memory.max"] = "max\n",
        ["/sys/fs/cgroup/user/app/memory.current"] = "1\n",
        ["/sys/fs/cgroup/user/memory.max"] = "300000000\n",
        ["/sys/fs/cgroup/user/memory.current"] = "200000000\n",
    }));

    [Fact]
    public void A_container_that_sees_its_group_at_the_root_is_limited_too() => Assert.Equal(0, Free(new()
    {
        ["/proc/self/cgroup"] = "0::/../not/visible\n",
        ["/sys/fs/cgroup/memory.max"] = "200000000\n",
        ["/sys/fs/cgroup/memory.current"] = "300000000\n",
    }));

    [Fact]
    public void A_limit_of_a_group_of_version_1_counts() => Assert.Equal(250_000_000, Free(new()
    {
        ["/proc/self/cgroup"] = "9:name=systemd:/\n4:cpu,memory:/box\n0::/\n",
        ["/sys/fs/cgroup/memory/box/memory.limit_in_bytes"] = "600000000\n",
        ["/sys/fs/cgroup/memory/box/memory.usage_in_bytes"] = "400000000\n",
        ["/sys/fs/cgroup/memory/box/memory.stat"] = "cache 60000000\ntotal_inactive_file 50000000\n",
        ["/sys/fs/cgroup/memory/memory.limit_in_bytes"] = "9223372036854771712\n",
        ["/sys/fs/cgroup/memory/memory.usage_in_bytes"] = "700000000\n",
    }));

    [Fact]
    public void Files_of_another_form_are_passed_over() => Assert.Equal(1_024_000_000, Free(new()
    {
        ["/proc/self/cgroup"] = "nonsense\n0::\n:::\n4:memory\n",
        ["/sys/fs/cgroup/memory.max"] = "many\n",
        ["/sys/fs/cgroup/memory.current"] = "\n",
    }));

    private static long Free(Dictionary<string, string> files)
    {
        files.TryAdd("/proc/meminfo", Available);
        return HostMemory.OfLinux(path => files.GetValueOrDefault(path));
    }
}
