using System.Text.RegularExpressions;

namespace DiCacheNative.Tests;

/// <summary>Sources keep to the columns that .editorconfig names.</summary>
public partial class LineLengthTests
{
    // A pipeline of a script is one statement.
    private const int MoreInScripts = 40;

    [Fact]
    public void No_line_of_code_is_longer_than_the_editor_settings_say()
    {
        int limit = int.Parse(Setting().Match(File.ReadAllText(Repository.File(".editorconfig"))).Groups[1].Value,
            System.Globalization.CultureInfo.InvariantCulture);
        List<string> over = [];
        foreach (string path in Sources())
        {
            string extension = Path.GetExtension(path);
            over.AddRange(TooLong(File.ReadAllLines(path), extension is ".sh" or ".ps1" ? limit + MoreInScripts : limit).Select(n =>
                $"{Path.GetRelativePath(Repository.File("."), path)}:{n}"));
        }

        Assert.True(over.Count == 0, $"{over.Count} lines are longer than {limit} columns: {string.Join(", ", over.Take(20))}");
    }

    [Theory]
    [InlineData(new[] { "12345", "123456" }, new[] { 2 })]
    [InlineData(new[] { "a\"\"\"", "123456", "b\"\"\"", "123456" }, new[] { 4 })]
    [InlineData(new[] { "x = @\"12\"", "\"\"\"123\"\"\"", "123456" }, new[] { 3 })]
    public void Text_that_cannot_be_cut_is_not_counted(string[] lines, int[] over) => Assert.Equal(over, TooLong(lines, 5));

    /// <summary>Numbers of the lines that are too long, but for raw and verbatim strings: cut, they are another text.</summary>
    private static IEnumerable<int> TooLong(string[] lines, int limit)
    {
        bool raw = false;
        for (int i = 0; i < lines.Length; i++)
        {
            int marks = lines[i].Split("\"\"\"").Length - 1;
            if (lines[i].Length > limit && !raw && marks == 0 && !lines[i].Contains("@\"", StringComparison.Ordinal))
            {
                yield return i + 1;
            }

            raw ^= marks % 2 == 1;
        }
    }

    private static IEnumerable<string> Sources() => new[] { "src", "tests", "bench", "kernels", "cmake", "examples", "tools" }
        .Select(folder => Repository.File(folder)).Where(Directory.Exists)
        .SelectMany(folder => Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories))
        .Where(path => Path.GetExtension(path) is ".cs" or ".cu" or ".cuh" or ".cpp" or ".h" or ".sh" or ".ps1")
        .Where(path => !Built().IsMatch(Path.GetRelativePath(Repository.File("."), path)));

    [GeneratedRegex(@"max_line_length = (\d+)")]
    private static partial Regex Setting();

    [GeneratedRegex(@"[\\/](bin|obj)[\\/]")]
    private static partial Regex Built();
}
