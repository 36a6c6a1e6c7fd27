using DiCacheNative.Backends;
using DiCacheNative.OpTests;
using DiCacheNative.OpTests.Cases;
using Xunit.Sdk;

namespace DiCacheNative.Cuda.Tests;

/// <summary>Every operation on the GPU. One test per precision, so that a machine without a GPU skips two tests and not hundreds.</summary>
public sealed class CudaOpTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData(CudaPrecision.BF16)]
    [InlineData(CudaPrecision.F32)]
    public void Every_case_agrees_with_plain_loops_on_the_gpu(CudaPrecision precision)
    {
        bool present = CudaBackend.TryCreate(new CudaBackendOptions { Precision = precision }, out CudaBackend? backend, out string reason);
        Assert.SkipUnless(present, reason);
        using (backend)
        {
            output.WriteLine(backend!.Description);
            using Cases cases = new(backend);
            List<string> failures = [];
            int run = 0;
            foreach (OpCase test in OpCases.All)
            {
                try
                {
                    cases.Agrees_with_plain_loops_in_double_precision(test.Name);
                    run++;
                }
                catch (SkipException)
                {
                    output.WriteLine($"{test.Name}: left to the benchmark");
                }
                catch (Exception e) when (e is XunitException or BackendException)
                {
                    failures.Add($"{test.Name}: {e.Message}");
                }
            }

            Assert.Empty(failures);
            Assert.InRange(run, OpCases.All.Count / 2, OpCases.All.Count);
        }
    }

    private sealed class Cases(CudaBackend backend) : BackendOpTests, IDisposable
    {
        protected override IBackend Backend => backend;

        protected override double FlopLimit => 2e11;

        protected override double ByteLimit => 2e9;

        public void Dispose() => backend.Synchronize();
    }
}
