using DiCacheNative.Backends;
using DiCacheNative.Cuda.Interop;
using DiCacheNative.Lifetimes;

namespace DiCacheNative.Cuda.Runtime;

/// <summary>
/// A sequence of operations that becomes a CUDA graph: the first run issues them one by one, the second captures them, and from then on one
/// call launches all of them.
/// </summary>
/// <remarks>
/// The first run finds everything that a capture must not make: algorithms of matrix products (cuBLASLt's heuristics fail while a stream
/// captures), their kernels, which libraries load when first used, and scratch memory of the greatest size needed. What runs only once is
/// never captured.
/// </remarks>
internal sealed unsafe class CudaGraph(CudaBackend backend, ContextHandle context, string name, Action operations) : IStepPlan
{
    private readonly PlanRecording _recording = new(context);
    private GraphExecHandle? _exec;
    private PlanMemory? _memory; // of what was captured
    private bool _ran;
    private bool _disposed;

    public string Name => name;

    public void Run()
    {
        if (_disposed)
        {
            throw new ObjectDisposedException(nameof(IStepPlan), $"the plan {name} was disposed");
        }

        using Lifetime.Use use = backend.Lifetime.Enter();
        CudaStream stream = backend.EnterPlan(name);
        if (_exec is null && _ran && !backend.NamesFailingKernels)
        {
            _exec = Capture(stream);
        }

        if (_exec is not null)
        {
            _memory!.RequireAlive(name);
            backend.Launch(stream, _exec, name);
            return;
        }

        Issue(stream, capturing: false);
        _ran = true;
    }

    public void Dispose()
    {
        _disposed = true;
        _exec?.Dispose();
        _recording.Dispose();
    }

    private GraphExecHandle Capture(CudaStream stream)
    {
        Driver driver = context.Driver;
        nint captured = 0;

        // Another thread may not ask cuBLASLt for anything new meanwhile.
        lock (GemmPlanCache.Gate)
        {
            driver.Check(driver.cuStreamBeginCapture(stream.Handle, CuStreamCaptureMode.ThreadLocal), "beginning to record ", name);
            try
            {
                _memory = PlanMemory.Record(() => Issue(stream, capturing: true));
            }
            catch
            {
                // The capture must end, or the stream would stay unusable; what it gives is only thrown away.
                if (driver.cuStreamEndCapture(stream.Handle, &captured) == CuResult.Success && captured != 0)
                {
                    new GraphHandle(context, captured).Dispose();
                }

                throw;
            }

            driver.Check(driver.cuStreamEndCapture(stream.Handle, &captured), "ending to record ", name);
        }

        using GraphHandle graph = new(context, captured);
        return GraphExecHandle.Instantiate(context, graph, name);
    }

    private void Issue(CudaStream stream, bool capturing)
    {
        _recording.Capturing = capturing;
        stream.Recording = _recording;
        try
        {
            operations();
        }
        finally
        {
            stream.Recording = null;
        }
    }
}
