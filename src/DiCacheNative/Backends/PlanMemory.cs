namespace DiCacheNative.Backends;

/// <summary>
/// The arenas and weights that a recorded plan names by address. It keeps them from being collected, and tells before a launch whether they
/// are still there: replayed operations pass no <see cref="OpValidation"/>.
/// </summary>
internal sealed class PlanMemory
{
    [ThreadStatic]
    private static PlanMemory? t_recording;

    private readonly HashSet<object> _needed = [];
    private Arena[] _arenas = [];
    private LinearWeight[] _weights = [];

    /// <summary>Notes what the operations of an action use, on the calling thread.</summary>
    public static PlanMemory Record(Action operations)
    {
        PlanMemory memory = new();
        PlanMemory? outer = t_recording;
        t_recording = memory;
        try
        {
            operations();
        }
        finally
        {
            t_recording = outer;
        }

        (memory._arenas, memory._weights) = ([.. memory._needed.OfType<Arena>()], [.. memory._needed.OfType<LinearWeight>()]);
        return memory;
    }

    /// <summary>Called for every operand.</summary>
    public static void Needs(object memory) => t_recording?._needed.Add(memory);

    /// <summary>Refuses to run a plan whose memory was freed.</summary>
    /// <param name="plan">Name of the plan.</param>
    /// <exception cref="ObjectDisposedException">An arena or a weight was disposed.</exception>
    public void RequireAlive(string plan)
    {
        foreach (Arena arena in _arenas)
        {
            if (arena.IsDisposed)
            {
                throw new ObjectDisposedException(nameof(Arena), $"the plan {plan} uses an arena that was disposed");
            }
        }

        foreach (LinearWeight weight in _weights)
        {
            if (weight.IsDisposed)
            {
                throw new ObjectDisposedException(nameof(LinearWeight), $"the plan {plan} uses the weight {weight.Name}, which was disposed");
            }
        }
    }
}
