using System.Globalization;
using DiCacheNative.Backends;
using DiCacheNative.OpTests;
using DiCacheNative.OpTests.Cases;
using Xunit.Sdk;

namespace DiCacheNative.Cuda.Tests;

/// <summary>
/// Every operation on the GPU. One test per precision, so that a machine without a GPU skips two tests and not hundreds. Where the GPU is
/// an imitation, the environment variable DICACHE_TEST_FLOPS limits the size of the cases.
/// </summary>
public sealed class CudaOpTests(ITestOutputHelper output)
{
    private static readonly double? s_limit =
        Environment.GetEnvironmentVariable("DICACHE_TEST_FLOPS") is { Length: > 0 } text
            ? double.Parse(text, CultureInfo.InvariantCulture)
            : null;

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
            Assert.InRange(run, OpCases.All.Count / (s_limit is null ? 2 : 4), OpCases.All.Count);
        }
    }

    private sealed class Cases(CudaBackend backend) : BackendOpTests, IDisposable
    {
        protected override IBackend Backend => backend;

        protected override double FlopLimit => s_limit ?? 2e11;

        protected override double ByteLimit => s_limit ?? 2e9;

        public void Dispose() => backend.Synchronize();
    }
}
