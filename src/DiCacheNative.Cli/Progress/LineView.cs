using System.Diagnostics;
using System.Globalization;

namespace DiCacheNative.Cli.Progress;

/// <summary>Progress where no bar can be drawn: a line for each phase, and one for a step every ten seconds, or for every step.</summary>
/// <param name="error">Standard error.</param>
/// <param name="everyStep">Whether every step has its line.</param>
internal sealed class LineView(TextWriter error, bool everyStep) : ProgressView
{
    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(10);
    private long _told = Stopwatch.GetTimestamp();

    public override void Begin(string phase, int steps = 0)
    {
        error.WriteLine(steps == 0 ? phase : string.Create(CultureInfo.InvariantCulture, $"{phase} {steps}"));
        _told = Stopwatch.GetTimestamp();
    }

    public override void Step(GenerationProgress step)
    {
        if (everyStep || Stopwatch.GetElapsedTime(_told) >= s_pause)
        {
            _told = Stopwatch.GetTimestamp();
            error.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"step {step.Step}/{step.Steps} {Word(step.Decision),-6} {step.StepTime.TotalSeconds:0.000} s, {Left(step):0.0} s left"));
        }
    }
}
