using DiCacheNative.Cpu;
using DiCacheNative.OpTests.Cases;

namespace DiCacheNative.OpTests;

/// <summary>Counts what the whole process allocates, so no other test may run meanwhile.</summary>
[CollectionDefinition(nameof(CpuAllocationTests), DisableParallelization = true)]
[Collection(nameof(CpuAllocationTests))]
public sealed class CpuAllocationTests
{
    [Theory]
    [InlineData(SimdLevel.Vector512, GemmEngine.Managed)]
    [InlineData(SimdLevel.Vector256, GemmEngine.Managed)]
    [InlineData(SimdLevel.Scalar, GemmEngine.Managed)]
    [InlineData(SimdLevel.Auto, GemmEngine.OneDnn)]
    public void Operations_allocate_no_managed_memory_after_the_first_call(SimdLevel simd, GemmEngine gemm)
    {
        CpuBackend backend = TestBackends.Get(simd, gemm, threads: 3);
        List<(string Name, CaseSetup Setup, Action Run)> calls = [];
        foreach (OpCase test in CpuInvarianceTests.SmallCases)
        {
            CaseSetup setup = new(backend);
            calls.Add((test.Name, setup, test.Prepare(setup)));
            calls[^1].Run();
        }

        calls.ForEach(c => c.Run());
        foreach ((string name, _, Action run) in calls)
        {
            // The runtime may allocate once in a while on threads of its own: an operation that allocates does so every time.
            long least = long.MaxValue;
            for (int attempt = 0; attempt < 20 && least > 0; attempt++)
            {
                long before = GC.GetTotalAllocatedBytes(precise: true);
                run();
                least = Math.Min(least, GC.GetTotalAllocatedBytes(precise: true) - before);
            }

            Assert.True(least == 0, $"{name} allocates {least} bytes per call");
        }

        calls.ForEach(c => c.Setup.Dispose());
    }
}
