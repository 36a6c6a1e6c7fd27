using DiCacheNative.Backends;
using DiCacheNative.Cuda.Interop;

namespace DiCacheNative.Cuda.Runtime;

/// <summary>A recorded sequence of operations as a CUDA graph: one call launches all of them.</summary>
internal sealed unsafe class CudaGraph : IStepPlan
{
    private readonly CudaBackend _backend;
    private readonly GraphExecHandle _exec;
    private readonly PlanRecording _recording;
    private readonly PlanMemory _memory;

    private CudaGraph(CudaBackend backend, string name, GraphExecHandle exec, PlanRecording recording, PlanMemory memory)
    {
        (_backend, Name, _exec, _recording, _memory) = (backend, name, exec, recording, memory);
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
            using GraphHandle graph = Capture(context, stream, recording, name, operations, out PlanMemory memory);
            return new CudaGraph(backend, name, GraphExecHandle.Instantiate(context, graph, name), recording, memory);
        }
        catch
        {
            recording.Dispose();
            throw;
        }
    }

    public void Run()
    {
        if (_exec.IsClosed)
        {
            throw new ObjectDisposedException(nameof(IStepPlan), $"the plan {Name} was disposed");
        }

        _memory.RequireAlive(Name);
        _backend.Launch(_exec, Name);
    }

    public void Dispose()
    {
        _exec.Dispose();
        _recording.Dispose();
    }

    private static GraphHandle Capture(ContextHandle context, CudaStream stream, PlanRecording recording, string name, Action operations, out PlanMemory memory)
    {
        nint captured = 0;
        stream.Recording = recording;
        try
        {
            memory = PlanMemory.Record(operations);
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
