using System.Diagnostics;
using System.Runtime.InteropServices;
using DiCacheNative.Backends;
using DiCacheNative.Cpu.Kernels;
using DiCacheNative.Cpu.Simd;

namespace DiCacheNative.Cpu;

/// <summary>What this processor can do at best, measured: the denominators of every "percent of peak".</summary>
/// <remarks>Rates vary with clock, temperature and neighbours: measure in the same run as what is compared, and take the best of several.</remarks>
public static unsafe class CpuPeak
{
    private const int Repetitions = 200_000;

    /// <summary>Multiply-add rate with all operands in registers, in GFLOP/s (a multiply-add counts 2).</summary>
    /// <param name="simd">Vector width.</param>
    /// <param name="threads">Threads that compute at the same time; the sum of their rates is returned.</param>
    /// <param name="milliseconds">How long to measure.</param>
    /// <exception cref="BackendException">The processor lacks the vector width.</exception>
    public static double MeasureGflops(SimdLevel simd = SimdLevel.Auto, int threads = 1, int milliseconds = 100)
    {
        KernelTable kernels = SimdLevels.Kernels(SimdLevels.Resolve(simd));
        double flops = 2.0 * PeakKernels.Chains * kernels.Width * Repetitions;
        return flops * SumOfRates(threads, milliseconds, _ => () => kernels.MultiplyAddChains(Repetitions)) * 1e-9;
    }

    /// <summary>Rate of copying memory much larger than the caches, in GB/s of bytes read plus bytes written.</summary>
    /// <param name="threads">Threads that copy at the same time, each its own memory; the sum of their rates is returned.</param>
    /// <param name="milliseconds">How long to measure.</param>
    public static double MeasureBandwidth(int threads = 1, int milliseconds = 200)
    {
        const int bytes = 32 << 20;
        List<nint> buffers = [];
        try
        {
            for (int i = 0; i < threads; i++)
            {
                byte* buffer = (byte*)NativeMemory.AlignedAlloc(2 * bytes, 4096);
                NativeMemory.Clear(buffer, 2 * bytes);
                buffers.Add((nint)buffer);
            }

            double rate = SumOfRates(threads, milliseconds, i =>
            {
                nint buffer = buffers[i];
                return () => Buffer.MemoryCopy((byte*)buffer, (byte*)buffer + bytes, bytes, bytes);
            });
            return 2.0 * bytes * rate * 1e-9;
        }
        finally
        {
            foreach (nint buffer in buffers)
            {
                NativeMemory.AlignedFree((void*)buffer);
            }
        }
    }

    /// <summary>Calls per second of each thread's best call, added up over threads that run side by side.</summary>
    private static double SumOfRates(int threads, int milliseconds, Func<int, Action> workOf)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        double[] rates = new double[threads];
        using Barrier start = new(threads);
        Thread[] team = new Thread[threads];
        for (int i = 0; i < threads; i++)
        {
            int index = i;
            team[i] = new Thread(() =>
            {
                Action work = workOf(index);
                work();
                start.SignalAndWait();
                long begin = Stopwatch.GetTimestamp();
                while (Stopwatch.GetElapsedTime(begin).TotalMilliseconds < milliseconds)
                {
                    long before = Stopwatch.GetTimestamp();
                    work();
                    rates[index] = Math.Max(rates[index], 1 / Stopwatch.GetElapsedTime(before).TotalSeconds);
                }
            })
            { IsBackground = true };
            team[i].Start();
        }

        foreach (Thread thread in team)
        {
            thread.Join();
        }

        return rates.Sum();
    }
}
