using System.Globalization;
using System.Text;

namespace DiCacheNative.Text.Cleaning;

/// <summary>
/// How much a text looks as if it had been decoded with the wrong encoding: the number of neighbours that hardly anybody writes, such as an accented letter
/// before a currency sign, a small letter before an accented capital, a symbol inside a word, or two alphabets in one word. Ordinary text in any language has
/// none.
/// </summary>
internal static class Oddness
{
    private enum Kind
    {
        Space,
        Small,
        Capital,
        Digit,
        Ascii,

        // From here on outside of ASCII.
        SmallLetter,
        CapitalLetter,
        Letter,
        Mark,
        Control,
        NoBreakSpace,
        Ordinal,
        OpeningQuote,
        ClosingQuote,
        Apostrophe,
        Dash,
        TradeMark,
        Box,
        Accent,
        Currency,
        Symbol,
        Unassigned,
        Other,
    }

    /// <summary>Counts what is odd.</summary>
    public static int Of(string text)
    {
        if (Ascii.IsValid(text))
        {
            return 0;
        }

        Rune[] runes = [.. text.EnumerateRunes()];
        Kind[] kinds = [.. runes.Select(KindOf)];
        int odd = 0, times = 0;
        for (int i = 0; i < runes.Length; i++)
        {
            int c = runes[i].Value, next = i + 1 < runes.Length ? runes[i + 1].Value : ' ';
            Kind kind = kinds[i], after = KindAt(kinds, i + 1), before = KindAt(kinds, i - 1);
            bool last = i == runes.Length - 1;
            odd += kind switch { Kind.Control => 1, Kind.Unassigned => 3, _ => 0 };
            odd += IsPhonetic(c) && IsForeignLetter(kind) ? 2 : 0;
            odd += c is >= 0x300 and < 0x370 ? 2 : 0;
            odd += kind is Kind.Symbol or Kind.Other && IsRareBlock(c) ? 2 : 0;
            times += c == '×' && after > Kind.Ascii ? 1 : 0;
            if (IsForeignLetter(kind))
            {
                odd += OfForeignLetter(c, next, after, KindAt(kinds, i + 2), last);
            }

            if (!last)
            {
                odd += OfLetters(runes[i], runes[i + 1], kind, after);
            }

            bool inWord = IsCased(before) && IsCased(after);
            odd += inWord && kind is Kind.Currency or Kind.Symbol or Kind.Accent or Kind.Box
                or Kind.TradeMark or Kind.ClosingQuote or Kind.OpeningQuote or Kind.Ordinal ? 1 : 0;
            odd += IsLatinLike(before) && kind is Kind.Symbol or Kind.Accent or Kind.Box or Kind.Currency or Kind.OpeningQuote
                && after is Kind.Symbol or Kind.Accent or Kind.Box or Kind.Currency or Kind.TradeMark or Kind.OpeningQuote or Kind.ClosingQuote or Kind.Dash
                    ? 1 : 0;
            odd += OfBoxes(kind, after);
        }

        // One multiplication sign is one; several before quotes and symbols are Hebrew.
        return odd + (times > 1 ? times : 0);
    }

    private static int OfForeignLetter(int c, int next, Kind after, Kind afterNext, bool last)
    {
        int odd = after is Kind.OpeningQuote or Kind.Currency or Kind.Symbol or Kind.Box or Kind.Control or Kind.Ordinal ? 1
            : after == Kind.Accent && IsCased(afterNext) ? 1 : 0;

        // Lead bytes of Latin-1 and of punctuation, as Windows-1252 shows them.
        if (c is 'Â' or 'Ã')
        {
            odd += (after == Kind.Space && !last) || next == 'µ' ? 1 : 0;
            odd += after is Kind.NoBreakSpace or Kind.Symbol or Kind.Accent or Kind.Currency || (after == Kind.Apostrophe && c == 'Â') ? 1 : 0;
            odd += after == Kind.TradeMark ? 2 : 0;
        }
        else if (c == 'â')
        {
            odd += after is Kind.TradeMark or Kind.Dash or Kind.Currency ? 1 : 0;
            odd += next is 'œ' or 'ž' or 'Ÿ' or '‡' or '†' ? 1 : 0;
        }

        return odd;
    }

    /// <summary>Two letters side by side, one of them outside of ASCII.</summary>
    private static int OfLetters(Rune a, Rune b, Kind kind, Kind after)
    {
        if (!Rune.IsLetter(a) || !Rune.IsLetter(b) || (a.IsAscii && b.IsAscii))
        {
            return 0;
        }

        int first = Script(a.Value), second = Script(b.Value);
        if (first != second)
        {
            // Greek letters are symbols in formulas.
            bool formula = (IsGreek(a.Value) && b.IsAscii) || (IsGreek(b.Value) && a.IsAscii);
            return formula ? 0 : 1;
        }

        bool small = kind is Kind.Small or Kind.SmallLetter, capital = after is Kind.Capital or Kind.CapitalLetter;
        return small && capital ? 1 : 0;
    }

    private static int OfBoxes(Kind kind, Kind after) =>
        (kind == Kind.Box && (IsCased(after) || after is Kind.Symbol or Kind.Box or Kind.Currency or Kind.Accent))
        || (after == Kind.Box && kind is Kind.Symbol or Kind.Accent or Kind.SmallLetter or Kind.CapitalLetter or Kind.Currency) ? 1 : 0;

    private static Kind KindAt(Kind[] kinds, int i) => i >= 0 && i < kinds.Length ? kinds[i] : Kind.Space;

    private static bool IsForeignLetter(Kind kind) => kind is Kind.SmallLetter or Kind.CapitalLetter or Kind.Letter;

    private static bool IsCased(Kind kind) => IsLatinLike(kind) || kind == Kind.Letter;

    private static bool IsLatinLike(Kind kind) => kind is Kind.Small or Kind.Capital or Kind.SmallLetter or Kind.CapitalLetter;

    private static bool IsGreek(int c) => c is >= 0x370 and < 0x400;

    private static bool IsPhonetic(int c) => c is (>= 0x250 and < 0x2B0) or (>= 0x1D00 and < 0x1DC0) or (>= 0x500 and < 0x530);

    private static bool IsRareBlock(int c) => c > 0xFFF && c is not ((>= 0x2000 and < 0x2C00) or (>= 0x3000 and < 0x3100) or >= 0xF900);

    private static int Script(int c) => c switch
    {
        < 0x250 or (>= 0x1E00 and < 0x1F00) => 1,
        _ when IsPhonetic(c) => 2,
        >= 0x370 and < 0x400 => 3,
        >= 0x400 and < 0x500 => 4,
        _ => c >> 7,
    };

    private static Kind KindOf(Rune rune)
    {
        int c = rune.Value;
        if (rune.IsAscii)
        {
            return char.IsAsciiLetterLower((char)c) ? Kind.Small : char.IsAsciiLetterUpper((char)c) ? Kind.Capital : char.IsAsciiDigit((char)c) ? Kind.Digit
                : char.IsWhiteSpace((char)c) ? Kind.Space : Kind.Ascii;
        }

        return c switch
        {
            (>= 0x80 and < 0xA0) or 0xAD => Kind.Control,
            0xA0 => Kind.NoBreakSpace,
            0xFFFD => Kind.Other,
            'ª' or 'º' => Kind.Ordinal,
            '“' or '‘' or '‚' or '„' or '«' or '‹' or '¡' or '¿' => Kind.OpeningQuote,
            '”' or '»' or '›' => Kind.ClosingQuote,
            '’' => Kind.Apostrophe,
            '…' or '–' or '—' => Kind.Dash,
            '™' or '®' or '©' => Kind.TradeMark,
            >= 0x2500 and < 0x25A0 => Kind.Box,
            'ˆ' or '˜' or '¯' or '´' or '¨' or '¸' => Kind.Accent,
            _ => Rune.GetUnicodeCategory(rune) switch
            {
                UnicodeCategory.LowercaseLetter => Kind.SmallLetter,
                UnicodeCategory.UppercaseLetter or UnicodeCategory.TitlecaseLetter => Kind.CapitalLetter,
                UnicodeCategory.ModifierLetter or UnicodeCategory.OtherLetter => Kind.Letter,
                UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.EnclosingMark => Kind.Mark,
                UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned => Kind.Unassigned,
                UnicodeCategory.ModifierSymbol => Kind.Accent,
                UnicodeCategory.CurrencySymbol => Kind.Currency,
                UnicodeCategory.MathSymbol or UnicodeCategory.OtherSymbol or UnicodeCategory.OtherNumber or UnicodeCategory.OtherPunctuation
                    or UnicodeCategory.OpenPunctuation or UnicodeCategory.ClosePunctuation or UnicodeCategory.DashPunctuation or UnicodeCategory.Format =>
                        Kind.Symbol,
                _ => Kind.Other,
            },
        };
    }
}
