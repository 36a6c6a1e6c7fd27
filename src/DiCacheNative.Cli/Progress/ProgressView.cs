using DiCacheNative.Caching;

namespace DiCacheNative.Cli.Progress;

/// <summary>How much of a generation is told on standard error.</summary>
internal enum ProgressLevel
{
    /// <summary>Nothing.</summary>
    Quiet,

    /// <summary>A bar on a screen; elsewhere a line for each phase, and now and then one for a step.</summary>
    Normal,

    /// <summary>A line for each phase and for each step.</summary>
    Verbose,
}

/// <summary>Shows the phases and steps of a generation on standard error.</summary>
internal abstract class ProgressView : IProgress<GenerationProgress>
{
    /// <summary>The view that fits a terminal.</summary>
    public static ProgressView Of(Terminal terminal, ProgressLevel level) => level switch
    {
        ProgressLevel.Quiet => new QuietView(),
        ProgressLevel.Normal when terminal.ErrorScreen is { } screen => new BarView(screen),
        _ => new LineView(terminal.Error, everyStep: level == ProgressLevel.Verbose),
    };

    /// <summary>Runs what is to be shown.</summary>
    public virtual Task RunAsync(Func<Task> work) => work();

    /// <summary>Shows that a phase begins; the one before it has ended.</summary>
    /// <param name="phase">Name of the phase.</param>
    /// <param name="steps">Steps that it has; 0 when it has none.</param>
    public abstract void Begin(string phase, int steps = 0);

    /// <summary>Shows a step.</summary>
    public abstract void Step(GenerationProgress step);

    /// <inheritdoc/>
    public void Report(GenerationProgress value)
    {
        if (value.Step > 0)
        {
            Step(value);
        }
        else
        {
            Begin(value.Phase switch { GenerationPhase.Text => "text", GenerationPhase.Denoise => "steps", _ => "decode" }, value.Steps);
        }
    }

    /// <summary>Word for what the cache did.</summary>
    protected static string Word(StepDecision decision) =>
        decision switch { StepDecision.Skip => "skip", StepDecision.Resume => "resume", _ => "full" };

    /// <summary>Seconds left, if the steps to come take as long as those before.</summary>
    protected static double Left(GenerationProgress step) => step.Elapsed.TotalSeconds / step.Step * (step.Steps - step.Step);

    private sealed class QuietView : ProgressView
    {
        public override void Begin(string phase, int steps = 0)
        {
        }

        public override void Step(GenerationProgress step)
        {
        }
    }
}
