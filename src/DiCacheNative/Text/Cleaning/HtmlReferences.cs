using System.Globalization;
using System.Net;
using System.Text;
using System.Text.RegularExpressions;

namespace DiCacheNative.Text.Cleaning;

/// <summary>Character references of HTML as text: by number as HTML 5 has them, and by the names of HTML 4, which the runtime knows.</summary>
internal static partial class HtmlReferences
{
    // What the bytes 80 to 9F mean in Windows-1252; a reference by one of these numbers means that.
    private const string Windows1252 = "\u20AC\u0081\u201A\u0192\u201E\u2026\u2020\u2021\u02C6\u2030\u0160\u2039\u0152\u008D\u017D\u008F"
        + "\u0090\u2018\u2019\u201C\u201D\u2022\u2013\u2014\u02DC\u2122\u0161\u203A\u0153\u009D\u017E\u0178";

    /// <summary>As HTML 5 decodes text: the semicolon may be missing after numbers and after the names of Latin-1.</summary>
    public static string Decode(string text) => !text.Contains('&', StringComparison.Ordinal) ? text : Reference().Replace(text, match =>
    {
        string body = match.Groups[1].Value;
        if (body[0] == '#')
        {
            return Number(body.TrimEnd(';')) ?? match.Value;
        }

        if (body[^1] == ';' && Named(body[..^1]) is { } whole)
        {
            return whole;
        }

        // The longest beginning that may stand without a semicolon.
        for (int length = Math.Min(body.Length, 6); length >= 2; length--)
        {
            if (Named(body[..length]) is [var c] name && (c is '&' or '<' or '>' or '"' or (>= '\u00A0' and <= '\u00FF')))
            {
                return name + body[length..];
            }
        }

        return match.Value;
    });

    /// <summary>References that end in a semicolon, and names written in capitals as what their small letters mean, in capitals.</summary>
    public static string DecodeUnambiguous(string text) => !text.Contains('&', StringComparison.Ordinal) ? text : Closed().Replace(text, match =>
    {
        string body = match.Groups[1].Value;
        if (body[0] == '#')
        {
            return Number(body) ?? match.Value;
        }

        if (Named(body) is { } name)
        {
            return name;
        }

        string small = body.ToLowerInvariant();
        return body.Length > 1 && !body.Any(char.IsAsciiLetterLower) && Named(small) is [>= '\u00A0' and <= '\u017F'] letter
            ? letter == "ß" ? "SS" : letter.ToUpperInvariant() : match.Value;
    });

    /// <summary>A control of Latin-1 as the character that Windows-1252 has there; everything else as it is.</summary>
    public static char ControlAsWindows(char c) => c is >= '\u0080' and <= '\u009F' ? Windows1252[c - 0x80] : c;

    private static string? Named(string name)
    {
        // HTML 5 added these capitals.
        if (name is "AMP" or "LT" or "GT" or "QUOT" or "COPY" or "REG")
        {
            name = name.ToLowerInvariant();
        }

        string reference = $"&{name};", decoded = WebUtility.HtmlDecode(reference);
        return decoded == reference ? null : decoded;
    }

    /// <summary>The character of "#65" or "#x41"; null when it is no number.</summary>
    private static string? Number(string body)
    {
        bool hexadecimal = body.Length > 1 && body[1] is 'x' or 'X';
        ReadOnlySpan<char> digits = body.AsSpan(hexadecimal ? 2 : 1);
        if (digits.IsEmpty)
        {
            return null;
        }

        bool fits = int.TryParse(digits, hexadecimal ? NumberStyles.AllowHexSpecifier : NumberStyles.None, CultureInfo.InvariantCulture, out int value);
        return !fits || value < 0 || value == 0 || !Rune.IsValid(value) ? "\uFFFD"
            : value is >= 0x80 and <= 0x9F ? Windows1252[value - 0x80].ToString()
            : IsNothing(value) ? string.Empty : new Rune(value).ToString();
    }

    // Controls and non-characters are dropped, as Python's decoder does.
    private static bool IsNothing(int value) =>
        value is (>= 1 and <= 8) or 0x0B or (>= 0x0E and <= 0x1F) or 0x7F or (>= 0xFDD0 and <= 0xFDEF) || (value & 0xFFFE) == 0xFFFE;

    [GeneratedRegex("&(#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[A-Za-z][A-Za-z0-9]{0,31};?)")]
    private static partial Regex Reference();

    [GeneratedRegex("&(#[0-9]{0,7}|#[xX][0-9a-fA-F]{0,6}|[A-Za-z][A-Za-z0-9]{0,23});")]
    private static partial Regex Closed();
}
