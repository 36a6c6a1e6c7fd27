using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Numerics;

namespace DiCacheNative.Cli;

/// <summary>
/// The one way in which options are declared: every kind of value is read in the invariant culture, has its range stated, and is refused in
/// one sentence that names the option and what it takes. An option is given once, with its value.
/// </summary>
internal static class Opt
{
    private const int ShownLength = 60;
    private const NumberStyles Digits = NumberStyles.AllowLeadingSign;

    /// <summary>A switch without a value.</summary>
    public static Option<bool> Flag(string name, string[] aliases, string help) =>
        new(name, aliases) { Description = help, Arity = ArgumentArity.Zero };

    /// <summary>A switch without a value and without short names.</summary>
    public static Option<bool> Flag(string name, string help) => Flag(name, [], help);

    /// <summary>A whole number of a range.</summary>
    public static Option<int?> Whole(string name, string[] aliases, string help, int min, int max, int? fallback = null) =>
        Of(name, aliases, "N", help, Range("a whole number", min, max), text => (int?)WholeOf(text, min, max), fallback);

    /// <summary>A whole number of a range, without other names.</summary>
    public static Option<int?> Whole(string name, string help, int min, int max, int? fallback = null) =>
        Whole(name, [], help, min, max, fallback);

    /// <summary>A number of a range; its decimals are written with a point.</summary>
    public static Option<double?> Number(string name, string[] aliases, string help, double min, double max, double? fallback = null) =>
        Of(name, aliases, "X", help, Range("a number", min, max), text => NumberOf(text) is { } x && x >= min && x <= max ? x : null, fallback);

    /// <summary>A seed: any number of 64 bits, or -1 for a random one.</summary>
    public static Option<Int128?> Seed(string name, string[] aliases, string help, Int128 fallback) =>
        Of(name, aliases, "N", help, Range<Int128>("a whole number", -1, ulong.MaxValue), text => WholeOf(text, -1, ulong.MaxValue),
            fallback);

    /// <summary>One of several words, in capitals or not; what is read is the word as it is listed.</summary>
    public static Option<string> Choice(string name, string help, string[] words, string? fallback = null)
    {
        Option<string> option = new(name) { Description = help, HelpName = string.Join('|', words) };
        string takes = words.Length == 1 ? words[0] : string.Join(", ", words[..^1]) + " or " + words[^1];
        Rule(option, takes, text => words.FirstOrDefault(w => w.Equals(text, StringComparison.OrdinalIgnoreCase)));
        if (fallback is not null)
        {
            option.DefaultValueFactory = _ => fallback;
        }

        return option;
    }

    /// <summary>Text as it stands, which may be empty.</summary>
    public static Option<string> Text(string name, string[] aliases, string help)
    {
        Option<string> option = new(name, aliases) { Description = help, HelpName = "TEXT" };
        Rule(option, "a text", text => text);
        return option;
    }

    /// <summary>The name of a file or folder, or another text that cannot be empty.</summary>
    public static Option<string> Name(string name, string[] aliases, string what, string help)
    {
        Option<string> option = new(name, aliases) { Description = help, HelpName = what };
        string takes = what switch { "FILE" => "the name of a file", "DIR" or "DIR|FILE" => "the name of a folder or file", _ => what };
        Rule(option, takes, text => text.Length > 0 ? text : null);
        return option;
    }

    /// <summary>The same without short names.</summary>
    public static Option<string> Name(string name, string what, string help) => Name(name, [], what, help);

    /// <summary>Makes an option one that must be given.</summary>
    public static Option<string> AsRequired(this Option<string> option)
    {
        option.Required = true;
        return option;
    }

    /// <summary>Whether an option stands on the command line.</summary>
    public static bool Given(this ParseResult result, Option option) => result.GetResult(option) is { Implicit: false };

    /// <summary>Reads a number as all options do: digits with a point, in the invariant culture, finite; null for anything else.</summary>
    public static double? NumberOf(string text) =>
        double.TryParse(text, Digits | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent, CultureInfo.InvariantCulture, out double value)
        && double.IsFinite(value) ? value : null;

    /// <summary>Reads a whole number of a range, digits alone; null for anything else.</summary>
    public static Int128? WholeOf(string text, Int128 min, Int128 max) =>
        Int128.TryParse(text, Digits, CultureInfo.InvariantCulture, out Int128 value) && value >= min && value <= max ? value : null;

    /// <summary>A value in a sentence: in quotes, not longer than a line; with advice when it is a number with a decimal comma.</summary>
    public static string Shown(string text)
    {
        string shown = text.Length <= ShownLength ? text : text[..ShownLength] + "…";
        string advice = text.Contains(',', StringComparison.Ordinal) && NumberOf(text.Replace(',', '.')) is not null
            ? " (decimals are written with a point)" : string.Empty;
        return $"\"{shown}\"{advice}";
    }

    private static string Range<T>(string kind, T min, T max)
        where T : INumber<T> => string.Create(CultureInfo.InvariantCulture, $"{kind} from {min} to {max}");

    private static Option<T?> Of<T>(
        string name, string[] aliases, string helpName, string help, string takes, Func<string, T?> read, T? fallback)
        where T : struct
    {
        Option<T?> option = new(name, aliases) { Description = help, HelpName = helpName };
        Counted(option, takes);
        option.CustomParser = argument => Read(argument, name, takes, text => read(text));
        if (fallback is not null)
        {
            option.DefaultValueFactory = _ => fallback;
        }

        return option;
    }

    private static void Rule(Option<string> option, string takes, Func<string, string?> read)
    {
        Counted(option, takes);
        option.CustomParser = argument => Read(argument, option.Name, takes, read);
    }

    private static T? Read<T>(ArgumentResult argument, string name, string takes, Func<string, T?> read)
    {
        if (argument.Tokens.Count == 0)
        {
            return default; // told by Counted
        }

        string text = argument.Tokens[0].Value;
        T? value = read(text);
        if (value is null)
        {
            argument.AddError($"{name} takes {takes}, not {Shown(text)}");
        }

        return value;
    }

    // Values are counted here and not by the parser's arity, whose sentences do not say what the option takes.
    private static void Counted(Option option, string takes)
    {
        option.Arity = ArgumentArity.ZeroOrMore;
        option.Validators.Add(result =>
        {
            if (result.Implicit)
            {
                return;
            }

            if (result.IdentifierTokenCount > 1)
            {
                result.AddError($"{option.Name} is given {result.IdentifierTokenCount} times; give it once");
            }
            else if (result.Tokens.Count == 0)
            {
                result.AddError($"{option.Name} takes {takes}; none was given");
            }
        });
    }
}
