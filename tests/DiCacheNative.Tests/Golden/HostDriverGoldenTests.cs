using DiCacheNative.Backends;
using DiCacheNative.Cli.Verify;

namespace DiCacheNative.Tests.Golden;

/// <summary>Cases of every model on the CUDA backend, its kernels run by the host driver: the same decisions, and tensors within the same gates.</summary>
public class HostDriverGoldenTests
{
    // A sampling run takes about half a second there; the others run by dicache verify --backend cuda-host.
    public static TheoryData<string, string> Cases() => new()
    {
        { "flux-tiny", "dev/forward [original]" },
        { "flux-tiny", "hd128/forward [diffusers]" },
        { "flux-tiny", "schnell/forward [diffusers]" },
        { "flux-tiny", "dev/sample-deltay-official [original]" },
        { "flux-tiny", "dev/sample-deltaminus-depth2-stale12 [original]" },
        { "flux-tiny", "schnell/sample-deltaminus-depth3-stale14 [diffusers]" },
        { "shapes-flux", "shapes-flux/dicache-0-20.safetensors" },
        { "wan-tiny", "hd128/forward [original]" },
        { "wan-tiny", "i2v/forward [diffusers]" },
        { "wan-tiny", "t2v/forward-padded-batch2 [original]" },
        { "wan-tiny", "t2v/sample-unipc-oddwarmup16 [original]" },
        { "hunyuan-tiny", "forward-batch2 [original]" },
        { "hunyuan-tiny", "sample-depth2-stale12 [original]" },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void Every_tensor_lies_within_its_gate_and_every_decision_is_the_same(string folder, string name)
    {
        BackendStatus host = BackendFactory.List().Single(b => b.Name == "cuda-host");
        Assert.SkipUnless(host.Available, host.Detail);
        using IBackend backend = BackendFactory.Create(BackendKind.CudaHost);
        VerifyResult result = GoldenFolder.Discover(Repository.File("tests", "golden", folder)).Single(c => c.Name == name).Run(backend);
        Assert.Null(result.Decisions);
        Assert.NotEmpty(result.Comparisons);
        Assert.All(result.Comparisons, c => Assert.True(c.Passed, $"{c.Name}: {c.MaxAbs} of {c.Gate}"));
    }

    [Fact]
    public void The_caching_rules_are_the_same()
    {
        BackendStatus host = BackendFactory.List().Single(b => b.Name == "cuda-host");
        Assert.SkipUnless(host.Available, host.Detail);
        using IBackend backend = BackendFactory.Create(BackendKind.CudaHost);
        Assert.All(GoldenFolder.Discover(Repository.File("tests", "golden", "dicache-controller")), c => Assert.True(c.Run(backend).Passed, c.Name));
        Assert.All(GoldenFolder.Discover(Repository.File("tests", "golden", "dicache-math")), c => Assert.True(c.Run(backend).Passed, c.Name));
    }
}
