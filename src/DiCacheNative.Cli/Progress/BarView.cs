using System.Globalization;
using DiCacheNative.Caching;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace DiCacheNative.Cli.Progress;

/// <summary>
/// Progress on a screen: a line for each phase; that of the steps has a bar, what the cache did in the last ones, and the time left.
/// </summary>
/// <param name="screen">The screen behind standard error.</param>
internal sealed class BarView(IAnsiConsole screen) : ProgressView
{
    private readonly List<StepDecision> _decisions = [];
    private readonly Lock _lock = new();
    private ProgressContext? _context;
    private ProgressTask? _task;
    private GenerationProgress _last;

    /// <inheritdoc/>
    public override Task RunAsync(Func<Task> work) =>
        screen.Progress().AutoClear(true).Columns(new PhaseColumn(this)).StartAsync(async context =>
        {
            _context = context;
            await work();
        });

    /// <inheritdoc/>
    public override void Begin(string phase, int steps = 0)
    {
        lock (_lock)
        {
            _task?.StopTask();
            _task = _context!.AddTask(phase);
            _last = new GenerationProgress(0, steps, default, default, default);
        }
    }

    /// <inheritdoc/>
    public override void Step(GenerationProgress step)
    {
        lock (_lock)
        {
            _decisions.Add(step.Decision);
            _last = step;
        }
    }

    /// <summary>The whole of a line.</summary>
    private sealed class PhaseColumn(BarView view) : ProgressColumn
    {
        protected override bool NoWrap => true;

        public override IRenderable Render(RenderOptions options, ProgressTask task, TimeSpan deltaTime)
        {
            lock (view._lock)
            {
                return new Line(task.Description, task.ElapsedTime ?? TimeSpan.Zero, task == view._task ? view._last : default,
                    [.. view._decisions], options.Unicode);
            }
        }
    }

    /// <summary>
    /// A phase with the time it took; while it has steps, with a bar, their count, the decisions and the time left, as far as the screen is
    /// wide: the bar goes first, then the decisions.
    /// </summary>
    private sealed class Line(string phase, TimeSpan elapsed, GenerationProgress last, StepDecision[] decisions, bool unicode) : IRenderable
    {
        private const int PhaseWidth = 8;
        private const int WidestBar = 24;
        private const int FewestDecisions = 10;

        // Full, resume, skip; without Unicode as letters.
        private static readonly (string Block, string Letter, Color Color)[] s_decisions =
            [("█", "F", Color.Default), ("▓", "R", Color.Yellow), ("░", "s", Color.Green)];

        public Measurement Measure(RenderOptions options, int maxWidth) => new(Math.Min(PhaseWidth, maxWidth), maxWidth);

        public IEnumerable<Segment> Render(RenderOptions options, int maxWidth)
        {
            List<Segment> line = [];
            int room = maxWidth;
            void Add(string text, Color? color = null)
            {
                if (text.Length <= room)
                {
                    line.Add(new Segment(text, color is { } c ? new Style(c) : Style.Plain));
                    room -= text.Length;
                }
            }

            Add(phase.PadRight(PhaseWidth));
            if (last.Steps == 0)
            {
                Add(Seconds(elapsed.TotalSeconds));
                return line;
            }

            string count = string.Create(CultureInfo.InvariantCulture, $"{last.Step}/{last.Steps} ");
            string left = last.Step > 0 ? $" {Seconds(Left(last))} left" : string.Empty;
            int bar = Math.Min(WidestBar, room - count.Length - left.Length - FewestDecisions - 1);
            if (bar > 0)
            {
                int done = bar * last.Step / last.Steps;
                Add(new string(unicode ? '━' : '#', done), Color.Blue);
                Add(new string(unicode ? '─' : '.', bar - done) + " ");
            }

            Add(count);
            foreach (StepDecision decision in decisions.TakeLast(Math.Max(0, room - left.Length)))
            {
                (string block, string letter, Color color) = s_decisions[(int)decision];
                Add(unicode ? block : letter, color);
            }

            Add(left);
            return line;
        }

        private static string Seconds(double seconds) => string.Create(CultureInfo.InvariantCulture, $"{seconds:0.0} s");
    }
}
