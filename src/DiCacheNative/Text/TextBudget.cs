using System.Diagnostics;
using System.Text.RegularExpressions;

namespace DiCacheNative.Text;

/// <summary>
/// What one text may cost on its way through a tokenizer. Patterns, replacements and vocabularies come with a model file: none of them may
/// hang the program or fill its memory. Real texts need milliseconds and a few times their own length.
/// </summary>
/// <param name="file">The tokenizer's file, for the message.</param>
internal sealed class TextBudget(string file)
{
    /// <summary>Longest text that is taken, in UTF-16 units.</summary>
    public const int LongestText = 1 << 20;

    /// <summary>One match of one pattern may take this long; together with <see cref="Limit"/> no text takes two seconds.</summary>
    public static readonly TimeSpan MatchLimit = TimeSpan.FromSeconds(0.75);

    // Units written by all steps together.
    private const long MostUnits = 1 << 24;

    // The clock is read once in this many questions.
    private const int Interval = 64;

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(1);

    private readonly long _start = Stopwatch.GetTimestamp();
    private long _units;
    private int _asked;

    /// <summary>Asks for time; cheap enough for every character.</summary>
    /// <exception cref="ModelFormatException">It is used up.</exception>
    public void Check()
    {
        if (++_asked % Interval == 0)
        {
            CheckNow();
        }
    }

    /// <summary>Asks for time and reads the clock.</summary>
    /// <exception cref="ModelFormatException">It is used up.</exception>
    public void CheckNow()
    {
        if (Stopwatch.GetElapsedTime(_start) > Limit)
        {
            throw new ModelFormatException(file, $"its rules take longer than {Limit.TotalSeconds:0} s on this text: they are damaged or not meant for use");
        }
    }

    /// <summary>Counts what a step has written.</summary>
    /// <exception cref="ModelFormatException">All steps together have written too much.</exception>
    public void Write(int units)
    {
        Check();
        _units += units;
        if (_units > MostUnits)
        {
            throw new ModelFormatException(file, $"its rules make more than {MostUnits} characters of this text: they are damaged or not meant for use");
        }
    }

    /// <summary>The error for a pattern that ran out of <see cref="MatchLimit"/>.</summary>
    public ModelFormatException TooSlow(RegexMatchTimeoutException e) => new(file, $"the pattern {e.Pattern} takes too long on this text", e);

    /// <summary>The error for a character that a pattern cannot be asked about.</summary>
    public ModelFormatException Indistinct(int character) =>
        new(file, $"a pattern of it names so many characters that U+{character:X4} cannot be told from them");
}
