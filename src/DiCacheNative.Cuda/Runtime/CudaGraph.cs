using DiCacheNative.Backends;
using DiCacheNative.Cuda.Interop;

namespace DiCacheNative.Cuda.Runtime;

/// <summary>A recorded sequence of operations as a CUDA graph: one call launches all of them.</summary>
internal sealed unsafe class CudaGraph : IStepPlan
{
    private readonly CudaBackend _backend;
    private readonly GraphExecHandle _exec;
    private readonly PlanRecording _recording;

    private CudaGraph(CudaBackend backend, string name, GraphExecHandle exec, PlanRecording recording)
    {
        (_backend, Name, _exec, _recording) = (backend, name, exec, recording);
    }

    public string Name { get; }

    /// <summary>Captures what <paramref name="operations"/> issues on the calling thread.</summary>
    public static CudaGraph Record(CudaBackend backend, ContextHandle context, CudaStream stream, string name, Action operations)
    {
        Driver driver = context.Driver;
        PlanRecording recording = new(context);
        try
        {
            // Relaxed: scratch memory may have to be allocated while recording, which other modes forbid.
            driver.Check(driver.cuStreamBeginCapture(stream.Handle, CuStreamCaptureMode.Relaxed), "beginning to record ", name);
            using GraphHandle graph = Capture(context, stream, recording, name, operations);
            return new CudaGraph(backend, name, GraphExecHandle.Instantiate(context, graph, name), recording);
        }
        catch
        {
            recording.Dispose();
            throw;
        }
    }

    public void Run()
    {
        ObjectDisposedException.ThrowIf(_exec.IsClosed, this);
        _backend.Launch(_exec, Name);
    }

    public void Dispose()
    {
        _exec.Dispose();
        _recording.Dispose();
    }

    private static GraphHandle Capture(ContextHandle context, CudaStream stream, PlanRecording recording, string name, Action operations)
    {
        nint captured = 0;
        stream.Recording = recording;
        try
        {
            operations();
        }
        catch
        {
            // The capture must end, or the stream would stay unusable; what it gives is only thrown away.
            stream.Recording = null;
            if (context.Driver.cuStreamEndCapture(stream.Handle, &captured) == CuResult.Success && captured != 0)
            {
                new GraphHandle(context, captured).Dispose();
            }

            throw;
        }

        stream.Recording = null;
        context.Driver.Check(context.Driver.cuStreamEndCapture(stream.Handle, &captured), "ending to record ", name);
        return new GraphHandle(context, captured);
    }
}
