using System.Diagnostics;
using System.Text.RegularExpressions;

namespace DiCacheNative.Text;

/// <summary>
/// What one text may cost on its way through a tokenizer. Patterns, replacements and vocabularies come with a model file: none of them may
/// hang the program or fill its memory. What is ours is counted, so that a busy machine changes nothing; a regular expression can only be
/// timed. Real texts need a few milliseconds and a few times their own length.
/// </summary>
/// <param name="file">The tokenizer's file, for the message.</param>
internal sealed class TextBudget(string file)
{
    /// <summary>Longest text that is taken, in UTF-16 units.</summary>
    public const int LongestText = 1 << 20;

    /// <summary>One match of one expression may take this long.</summary>
    public static readonly TimeSpan MatchLimit = TimeSpan.FromSeconds(0.75);

    // Together with one more match it is less than two seconds.
    private static readonly TimeSpan s_matchesLimit = TimeSpan.FromSeconds(1);

    // Units written by all steps together.
    private const long MostUnits = 1 << 24;

    // Characters looked at by all steps together: a fraction of a second.
    private const long MostWork = 1 << 28;

    // What it costs to ask an expression or a model about a piece of text, however short, in characters looked at.
    private const int PieceWork = 512;

    private long _units, _work;
    private TimeSpan _matching;

    /// <summary>Counts what a step has looked at.</summary>
    /// <exception cref="ModelFormatException">All steps together have looked at too much.</exception>
    public void Work(long characters)
    {
        _work += characters;
        if (_work > MostWork)
        {
            throw Exceeded($"look at more than {MostWork} characters for this text");
        }
    }

    /// <summary>Counts a piece that is handed to an expression or to the model.</summary>
    /// <exception cref="ModelFormatException">All steps together have looked at too much.</exception>
    public void Piece(int length) => Work(PieceWork + length);

    /// <summary>Counts what a step has written.</summary>
    /// <exception cref="ModelFormatException">All steps together have written too much.</exception>
    public void Write(int units)
    {
        _units += units;
        if (_units > MostUnits)
        {
            throw Exceeded($"make more than {MostUnits} characters of this text");
        }
    }

    /// <summary>The begin of a run of matches.</summary>
    /// <exception cref="ModelFormatException">All matches together have taken too long.</exception>
    public MatchClock StartMatching()
    {
        MatchClock clock = new(Stopwatch.GetTimestamp(), Environment.CpuUsage.TotalTime);
        CheckMatching(clock);
        return clock;
    }

    /// <summary>Asks whether there is time for another match.</summary>
    /// <exception cref="ModelFormatException">All matches together have taken too long.</exception>
    public void CheckMatching(in MatchClock clock)
    {
        if (_matching + Stopwatch.GetElapsedTime(clock.Time) > s_matchesLimit && _matching + clock.Used > s_matchesLimit)
        {
            throw Exceeded($"need more than {s_matchesLimit.TotalSeconds:0} s to match their patterns in this text");
        }
    }

    /// <summary>Counts a run of matches that has ended.</summary>
    public void EndMatching(in MatchClock clock) => _matching += clock.Used;

    /// <summary>Whether a match ran out of <see cref="MatchLimit"/> because the processor was given to others, so that it may be tried again.</summary>
    public static bool WasInterrupted(in MatchClock clock) => clock.Used < MatchLimit / 2;

    /// <summary>The error for a pattern that ran out of <see cref="MatchLimit"/>.</summary>
    public ModelFormatException TooSlow(RegexMatchTimeoutException e) => new(file, $"the pattern {e.Pattern} takes too long on this text", e);

    /// <summary>The error for a character that a pattern cannot be asked about.</summary>
    public ModelFormatException Indistinct(int character) =>
        new(file, $"a pattern of it names so many characters that U+{character:X4} cannot be told from them");

    private ModelFormatException Exceeded(string what) => new(file, $"its rules {what}: they are damaged or not meant for use");

    /// <summary>When a run of matches began: by the clock, and by what the process had used of the processor.</summary>
    internal readonly record struct MatchClock(long Time, TimeSpan Processor)
    {
        /// <summary>Time since then, without that in which other processes ran.</summary>
        public TimeSpan Used
        {
            get
            {
                TimeSpan time = Stopwatch.GetElapsedTime(Time), processor = Environment.CpuUsage.TotalTime - Processor;
                return time < processor ? time : processor;
            }
        }
    }
}
