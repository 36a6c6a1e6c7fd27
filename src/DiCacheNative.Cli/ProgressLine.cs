using System.Globalization;
using DiCacheNative.Caching;

namespace DiCacheNative.Cli;

/// <summary>Progress on standard error: a bar that is redrawn on a terminal, one line per step in a pipe.</summary>
internal sealed class ProgressLine(TextWriter error, bool quiet) : IProgress<GenerationProgress>
{
    private const int Width = 24;
    private readonly bool _redraws = !Console.IsErrorRedirected;
    private readonly Lock _lock = new();
    private bool _open;

    public void Report(GenerationProgress value)
    {
        if (quiet)
        {
            return;
        }

        lock (_lock)
        {
            string what = value.Decision switch { StepDecision.Skip => "skip", StepDecision.Resume => "resume", _ => "full" };
            string line = string.Create(CultureInfo.InvariantCulture, $"step {value.Step}/{value.Steps} {what,-6} {value.StepTime.TotalSeconds:0.000} s");
            if (!_redraws)
            {
                error.WriteLine(line);
                return;
            }

            int done = Width * value.Step / value.Steps;
            double left = value.Elapsed.TotalSeconds / value.Step * (value.Steps - value.Step);
            error.Write(string.Create(CultureInfo.InvariantCulture, $"\r[{new string('#', done)}{new string('.', Width - done)}] {line}, {left:0.0} s left   "));
            _open = true;
            if (value.Step == value.Steps)
            {
                Close();
            }
        }
    }

    /// <summary>Ends the bar's line, so that what follows starts on its own.</summary>
    public void Close()
    {
        if (_open)
        {
            error.WriteLine();
            _open = false;
        }
    }
}
