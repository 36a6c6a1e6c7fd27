namespace DiCacheNative.Fuzz.Targets;

/// <summary>What must be found, so that the program itself can be tested; run only when named.</summary>
/// <param name="name">Its name.</param>
/// <param name="fault">What case 3 of it does.</param>
internal sealed class FaultTarget(string name, Action fault) : Target(name, 0)
{
    public static IEnumerable<Target> All =>
    [
        new FaultTarget("fault-exception", () => throw new InvalidOperationException("undocumented")),
        new FaultTarget("fault-crash", () => Environment.FailFast("crash")),
        new FaultTarget("fault-hang", () => Thread.Sleep(Timeout.Infinite)),
        new FaultTarget("fault-slow", Spin),
        new FaultTarget("fault-memory", () => GC.KeepAlive(GC.AllocateUninitializedArray<byte>(1_200_000_000))),
    ];

    public override void Run(Random random, string folder)
    {
        File.WriteAllText(Path.Combine(folder, "case"), string.Empty);
        if (random.Next(8) == 0)
        {
            fault();
        }
    }

    private static void Spin()
    {
        TimeSpan end = Environment.CpuUsage.TotalTime + TimeSpan.FromSeconds(2.5);
        while (Environment.CpuUsage.TotalTime < end)
        {
        }
    }
}
