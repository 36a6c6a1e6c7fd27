using System.Text.Json;

namespace DiCacheNative.Tests.Cli;

public class VerifyCommandTests
{
    [Fact]
    public void Reports_every_case_and_ends_with_zero_when_all_pass()
    {
        (int code, string output, string error) = DiCacheProgram.Run(Repository.File("."), "verify", Repository.File("tests", "golden", "dicache-controller"),
            "--json");
        Assert.True(code == 0, error);
        JsonElement json = DiCacheProgram.Json(output);
        Assert.Equal(51, json.GetProperty("passed").GetInt32());
        Assert.Equal(0, json.GetProperty("failed").GetInt32());
        foreach (JsonElement item in json.GetProperty("cases").EnumerateArray())
        {
            Assert.True(item.GetProperty("passed").GetBoolean() && item.GetProperty("decisions_match").GetBoolean());
            Assert.True(item.GetProperty("max_abs").GetDouble() <= item.GetProperty("gate").GetDouble());
        }
    }

    [Fact]
    public void A_changed_decision_fails_and_is_named()
    {
        using TemporaryFolder folder = new();
        folder.Copy(Repository.File("tests", "golden", "dicache-controller", "scripts.safetensors"), "case/scripts.safetensors");
        string records = File.ReadAllText(Repository.File("tests", "golden", "dicache-controller", "records.json"));
        int at = records.IndexOf("\"decision\": \"skip\"", StringComparison.Ordinal);
        Assert.True(at > 0);
        File.WriteAllText(folder.File("case/records.json"), records[..at] + "\"decision\": \"resume\"" + records[(at + "\"decision\": \"skip\"".Length)..]);
        (int code, string output, string _) = DiCacheProgram.Run(folder.Path, "verify", "case");
        Assert.Equal(1, code);
        Assert.Contains("skip instead of resume", output, StringComparison.Ordinal);
        Assert.Contains("50 passed, 1 failed", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("nowhere")]
    [InlineData(".")]
    public void A_folder_without_cases_is_refused(string name)
    {
        using TemporaryFolder folder = new();
        (int code, string _, string error) = DiCacheProgram.Run(folder.Path, "verify", name);
        Assert.Equal(3, code);
        Assert.Contains(name, error, StringComparison.Ordinal);
    }
}
