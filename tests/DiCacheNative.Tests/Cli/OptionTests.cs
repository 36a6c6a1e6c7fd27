using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using DiCacheNative.Cli;

namespace DiCacheNative.Tests.Cli;

/// <summary>How options are read: one sentence for every bad value, whatever the command and the culture.</summary>
public class OptionTests
{
    private static readonly string[] s_badValues =
    [
        "", " ", "four", "1,5", "1.000,5", "1_0", "0x10", "٣", "NaN", "Infinity", "-Infinity", "1e400",
        "99999999999999999999999999999999999999999999", "--", "1 2", "\u001b[31mred\n", new('a', 5000),
    ];

    public static TheoryData<string, string> Options()
    {
        TheoryData<string, string> all = [];
        foreach ((string[] path, Command command) in CommandRun.Commands(CommandRun.Root()))
        {
            foreach (Option option in command.Options.Where(o => o.Arity.MaximumNumberOfValues > 0))
            {
                all.Add(string.Join(' ', path), option.Name);
            }
        }

        return all;
    }

    [Theory]
    [MemberData(nameof(Options))]
    public void Every_bad_value_of_every_option_is_refused_in_one_sentence_that_names_the_option(string command, string option)
    {
        bool text = option is "--prompt" or "--negative-prompt", name = IsName(option);
        int refused = 0;
        foreach (string value in s_badValues)
        {
            string[] errors = Errors(command, value == "--" ? [option + "=--"] : [option, value]);
            refused += errors.Length;
            if (!text && !(name && value.Length > 0))
            {
                Assert.StartsWith($"{option} takes ", Assert.Single(errors), StringComparison.Ordinal);
                Assert.True(errors[0].Length < 300, errors[0]);
                Assert.DoesNotContain("System.", errors[0], StringComparison.Ordinal);
            }
        }

        Assert.Equal(text ? 0 : name ? 1 : s_badValues.Length, refused);
    }

    [Theory]
    [MemberData(nameof(Options))]
    public void An_option_without_its_value_or_given_twice_is_refused(string command, string option)
    {
        Assert.EndsWith("none was given", Assert.Single(Errors(command, option)), StringComparison.Ordinal);
        Assert.Contains("give it once", Assert.Single(Errors(command, option, "1", option)), StringComparison.Ordinal);
        Assert.Contains("give it once", Assert.Single(Errors(command, option, "1", option, "1")), StringComparison.Ordinal);
    }

    [Fact]
    public void Numbers_and_words_are_read_the_same_way_in_every_culture()
    {
        CultureInfo before = CultureInfo.CurrentCulture, german = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        (german.NumberFormat.NumberDecimalSeparator, german.NumberFormat.NumberGroupSeparator) = (",", ".");
        german.NumberFormat.NegativeSign = "~";
        try
        {
            CultureInfo.CurrentCulture = german;
            Option<double?> number = Opt.Number("--number", [], "", -10, 10);
            Option<string> word = Opt.Choice("--word", "", ["interval", "dpm++"]);
            RootCommand root = new("") { number, word };
            ParseResult result = CommandLine.Parse(root, ["--number", "-1.5e0", "--word", "INTERVAL"]);
            Assert.Equal((-1.5, "interval"), (result.GetValue(number), result.GetValue(word)));
            Assert.Equal(
                "--number takes a number from -10 to 10, not \"1,5\" (decimals are written with a point)",
                Assert.Single(CommandLine.Parse(root, ["--number", "1,5"]).Errors).Message);
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }

    [Theory]
    [InlineData("--cfg-scale takes a number from -1000 to 1000, not \"3,5\"", "--cfg-scale", "3,5")]
    [InlineData("--guidance takes", "--guidance-scale", "3,5")]
    [InlineData("--rel_l1_thresh takes", "--cache-threshold", "0,2")]
    [InlineData("cache option threshold must be a number from 0 to 1000000, not \"high\"", "--cache-option", "threshold=high")]
    [InlineData(
        "\"5\" has no key and value (if it belongs to threshold: decimals are written with a point)", "--cache-option", "threshold=0,5")]
    [InlineData("--backend takes auto, cpu, cuda or cuda-host, not \"gpu\"", "--backend", "gpu")]
    [InlineData("--threads takes a whole number from 0 to 1024, not \"1.5\"", "-t", "1.5")]
    [InlineData("Unrecognized command or argument 'maybe'", "-q=maybe")]
    [InlineData("has no meaning with reuse=residual", "--cache-option", "reuse=residual,gamma-max=2")]
    [InlineData("cache option ret-ratio must be a number from 0 to 1", "--cache-option", "ret-ratio=2")]
    [InlineData("no meaning with --cache-mode none", "--cache-mode", "none", "--probe_depth", "2")]
    public async Task A_wrong_value_is_told_in_one_line_with_code_2(string sentence, params string[] arguments)
    {
        (int code, string output, string error) = await CommandRun.Async(
            ["generate", "-m", DiCacheProgram.ModelFolder, "-p", "a star", "-o", "unwritten.png", .. arguments]);
        Assert.Equal((2, string.Empty), (code, output));
        Assert.Contains(sentence, error, StringComparison.Ordinal);
        Assert.StartsWith("dicache: ", Assert.Single(error.TrimEnd().Split('\n')), StringComparison.Ordinal);
    }

    [Fact]
    public void A_word_that_begins_with_an_at_sign_is_that_word()
    {
        using TemporaryFolder folder = new();
        File.WriteAllText(folder.File("options"), "--steps\n3\n");
        ParseResult result = CommandLine.Parse(CommandRun.Root(), ["generate", "-m", "m", "-p", "@" + folder.File("options"), "-n", "@x"]);
        Assert.Empty(result.Errors);
        Assert.Equal("@" + folder.File("options"), result.GetValue<string>("--prompt"));
        Assert.Equal("@x", result.GetValue<string>("--negative-prompt"));
        Assert.Null(result.GetValue<int?>("--steps"));
    }

    private static bool IsName(string option) =>
        option is "--model" or "--diffusion-model" or "--output" or "--cache-trace" or "--cache-replay" or "--cache-option";

    private static string[] Errors(string command, params string[] arguments) =>
    [
        .. CommandLine.Parse(CommandRun.Root(), [.. command.Split(' ', StringSplitOptions.RemoveEmptyEntries), .. arguments]).Errors
            .Where(e => e.SymbolResult is OptionResult { Implicit: false }).Select(e => e.Message),
    ];
}
