using System.Globalization;
using DiCacheNative.Backends;
using DiCacheNative.Cpu;
using DiCacheNative.Models;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cli.Bench;

/// <summary>
/// What the machine can do at best, measured in the rounds of a run: the denominators of "% of limit". On the CPU a copy of memory and
/// multiply-adds in registers, by code that is none of the operations; on CUDA a copy kernel over buffers far beyond the caches and a large square
/// product, for the backend offers nothing else there.
/// </summary>
internal sealed class DeviceLimits : IDisposable
{
    private const int PeakMilliseconds = 20;
    private const int CopyMilliseconds = 60;

    private readonly IBackend _backend;
    private readonly int _threads;
    private readonly Arena? _arena;
    private readonly Tensor _from, _to, _x, _y;
    private readonly RandomTensors? _random;
    private readonly LinearWeight? _square;
    private readonly List<double> _bandwidth = [], _rate = [];

    /// <summary>Prepares the measurements.</summary>
    /// <param name="backend">Where to measure.</param>
    /// <param name="threads">CPU threads; 0 for all cores.</param>
    public DeviceLimits(IBackend backend, int threads)
    {
        _backend = backend;
        _threads = threads == 0 ? Environment.ProcessorCount : threads;
        if (OnCpu)
        {
            return;
        }

        // The host driver computes on the CPU what a GPU would: it gets sizes that end in a moment.
        int side = OnGpu ? 4096 : 128, rows = (int)(RotationBytes / (side * sizeof(float)));
        _arena = backend.CreateArena((2 * ((RotationBytes * 2) + Arena.Alignment)) + (2L * side * side * sizeof(float)) + (2 * Arena.Alignment),
            "the measurement of limits");
        (_from, _to) = (_arena.Allocate(DType.F32, 1, rows, side), _arena.Allocate(DType.F32, 1, rows, side));
        (_x, _y) = (_arena.Allocate(backend.ActivationType, 1, side, side), _arena.Allocate(backend.ActivationType, 1, side, side));
        _random = new RandomTensors(1);
        _square = backend.CreateLinear(new LinearSource("square", [_random.Take("square.weight", [side, side])], []));
    }

    /// <summary>Bytes between two uses of a buffer: many times the last cache, so that nothing is read from there.</summary>
    public long RotationBytes => OnCpu || OnGpu ? 256L << 20 : 2L << 20;

    /// <summary>Bytes per microsecond, read and written, of the best copy so far.</summary>
    public double BytesPerUs => _bandwidth.Max();

    /// <summary>Operations per microsecond, best so far.</summary>
    public double FlopsPerUs => _rate.Max();

    /// <summary>Whether the copy that sets the limit is an operation of the backend, which therefore has no share of it.</summary>
    public bool CopyIsAnOperation => !OnCpu;

    /// <summary>What the limits are, in one line.</summary>
    public string Description => string.Create(
        CultureInfo.InvariantCulture,
        $"copy {BytesPerUs / 1000:0.0} GB/s ({(OnCpu ? "memory" : "by the copy kernel")}), {FlopsPerUs / 1000:0.0} GFLOP/s "
            + $"({(OnCpu ? "multiply-adds in registers" : "a large square product")}), best of {_rate.Count}");

    private bool OnCpu => _backend.Name == "cpu";

    private bool OnGpu => _backend.Name == "cuda";

    /// <summary>Measures once more.</summary>
    public void Measure()
    {
        if (OnCpu)
        {
            _rate.Add(CpuPeak.MeasureGflops(SimdLevel.Auto, _threads, PeakMilliseconds) * 1e3);
            _bandwidth.Add(CpuPeak.MeasureBandwidth(_threads, CopyMilliseconds) * 1e3);
            return;
        }

        (long bytes, _) = CountingBackend.Of(_backend, Copy);
        (_, double flops) = CountingBackend.Of(_backend, Multiply);
        _bandwidth.Add(bytes / BackendTimer.Microseconds(_backend, Copy));
        _rate.Add(flops / BackendTimer.Microseconds(_backend, Multiply));
    }

    /// <summary>Microseconds that an operation takes at best: the longer of moving its bytes and computing.</summary>
    public double Microseconds(long bytes, double flops) => Math.Max(bytes / BytesPerUs, flops / FlopsPerUs);

    /// <summary>Frees the buffers.</summary>
    public void Dispose()
    {
        _square?.Dispose();
        _random?.Dispose();
        _arena?.Dispose();
    }

    private void Copy(IBackend on) => on.Activate(_from, _to);

    private void Multiply(IBackend on) => on.Linear(_x, _square!, _y);
}
