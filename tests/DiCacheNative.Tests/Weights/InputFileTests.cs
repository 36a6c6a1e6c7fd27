using System.Diagnostics;
using DiCacheNative.Caching;
using DiCacheNative.Models;
using DiCacheNative.Models.Flux;
using DiCacheNative.Text;
using DiCacheNative.Weights;

namespace DiCacheNative.Tests.Weights;

/// <summary>What stands where a file of a model or a trace should be, and is none.</summary>
public class InputFileTests
{
    public static TheoryData<string> Readers => [.. s_readers.Keys];

    private static readonly Dictionary<string, Action<string>> s_readers = new()
    {
        ["weights"] = path => SafetensorsFile.Open(path).Dispose(),
        ["checkpoint"] = path => Checkpoint.Open(path).Dispose(),
        ["config"] = path => FluxConfig.Read(path),
        ["json"] = path => ModelJson.Read(path),
        ["tokenizer"] = path => Tokenizer.Load(path),
        ["trace"] = path => CacheTrace.Read(path),
        ["graph"] = path => DiCacheNative.Onnx.OnnxVaeDecoder.Load(path, 1).Dispose(),
    };

    [Theory]
    [MemberData(nameof(Readers))]
    public void A_pipe_is_refused_at_once(string reader)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "named pipes in the file system are of Unix");
        using TemporaryFolder folder = new();
        using (Process mkfifo = Process.Start("mkfifo", folder.File("pipe")))
        {
            mkfifo.WaitForExit();
        }

        File.CreateSymbolicLink(folder.File("link"), folder.File("pipe"));
        foreach (string name in new[] { "pipe", "link" })
        {
            Assert.Contains("a pipe or a device", Refused(reader, folder.File(name)), StringComparison.Ordinal);
        }
    }

    [Theory]
    [MemberData(nameof(Readers))]
    public void A_device_that_never_ends_is_refused_at_once(string reader)
    {
        Assert.SkipUnless(File.Exists("/dev/zero"), "there is no /dev/zero");
        Assert.Contains("a pipe or a device", Refused(reader, "/dev/zero"), StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Readers))]
    public void A_missing_file_and_an_empty_one_are_named(string reader)
    {
        using TemporaryFolder folder = new();
        Assert.Contains("there is no such file", Refused(reader, folder.File("none")), StringComparison.Ordinal);
        File.WriteAllBytes(folder.File("empty"), []);
        Assert.Contains("the file is empty", Refused(reader, folder.File("empty")), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "Git LFS pointer")]
    [InlineData("<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>\n", "a web page")]
    [InlineData("\n  <html></html>                                                 ", "a web page")]
    [InlineData("GGUF\u0003\u0000\u0000\u0000\u0001\u0000\u0000\u0000", "a GGUF file")]
    [InlineData("PK\u0003\u0004\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000", "PyTorch")]
    [InlineData("ftrt\u0003\u0004\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000", "a TensorRT engine")]
    public void A_foreign_file_is_named_for_what_it_is_whoever_reads_it(string content, string expected)
    {
        using TemporaryFolder folder = new();
        File.WriteAllText(folder.File("file"), content);
        foreach (string reader in s_readers.Keys.Where(r => r != "trace"))
        {
            Assert.Contains(expected, Refused(reader, folder.File("file")), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_pickle_and_a_graph_and_json_in_place_of_weights_are_named()
    {
        using TemporaryFolder folder = new();
        File.WriteAllBytes(folder.File("pickle"), [0x80, 2, 0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20]);
        File.WriteAllText(folder.File("json"), """{"weight_map": {}}""");
        Assert.Contains("pickle", Refused("weights", folder.File("pickle")), StringComparison.Ordinal);
        Assert.Contains("JSON", Refused("weights", folder.File("json")), StringComparison.Ordinal);
        Assert.Contains("an ONNX graph", Refused("weights", Repository.File("models", "shapes-flux", "vae_decoder", "model.onnx")), StringComparison.Ordinal);
        string weights = Directory.GetFiles(Repository.File("models", "shapes-flux", "transformer"), "*.safetensors")[0];
        Assert.Contains("a safetensors file", Refused("graph", weights), StringComparison.Ordinal);
        File.WriteAllBytes(folder.File("config.json"), File.ReadAllBytes(weights)[..4096]);
        Assert.Contains("a safetensors file", Refused("config", folder.File("config.json")), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"_class_name": "\ud800"}""")]
    [InlineData("""{"_class_name": {"x": ["\udc00\ud800"]}}""")]
    [InlineData("""{"\ud800": 1}""")]
    [InlineData("""{"a": {"b\udfff": 1}}""")]
    public void A_lone_surrogate_in_any_text_of_a_json_file_is_an_error_of_the_file(string json)
    {
        using TemporaryFolder folder = new();
        File.WriteAllText(folder.File("x.json"), json);
        foreach (string reader in new[] { "config", "json", "tokenizer" })
        {
            Assert.Contains("not valid Unicode", Refused(reader, folder.File("x.json")), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Json_that_is_not_utf8_or_too_long_or_too_deep_is_an_error_of_the_file()
    {
        using TemporaryFolder folder = new();
        File.WriteAllBytes(folder.File("latin.json"), [(byte)'{', (byte)'"', 0xE9, (byte)'"', (byte)':', (byte)'1', (byte)'}']);
        Assert.Contains("not UTF-8", Refused("json", folder.File("latin.json")), StringComparison.Ordinal);
        File.WriteAllText(folder.File("long.json"), "{" + new string(' ', 1 << 20) + "}");
        Assert.Contains("a JSON file of this kind has at most 1048576", Refused("json", folder.File("long.json")), StringComparison.Ordinal);
        File.WriteAllText(folder.File("deep.json"), "{\"a\":" + new string('[', 300_000) + new string(']', 300_000) + "}");
        Assert.Contains("not valid JSON", Refused("json", folder.File("deep.json")), StringComparison.Ordinal);
        using FileStream sparse = new(folder.File("trace.jsonl"), FileMode.CreateNew);
        sparse.SetLength(1L << 33);
        Assert.Contains("a cache trace has at most", Refused("trace", folder.File("trace.jsonl")), StringComparison.Ordinal);
        Assert.Contains("has at most", Refused("tokenizer", folder.File("trace.jsonl")), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("-1", "0", "-1", "\"skip\"")]
    [InlineData("2147483647", "0", "-1", "\"skip\"")]
    [InlineData("0", "-1", "-1", "\"skip\"")]
    [InlineData("0", "0", "-2", "\"skip\"")]
    [InlineData("0", "0", "-1", "99")]
    [InlineData("0", "0", "-1", "\"\\ud800\"")]
    public void A_trace_row_with_an_impossible_number_is_refused_with_its_line(string step, string branch, string sample, string decision)
    {
        using TemporaryFolder folder = new();
        string Row(string s, string b, string n, string d) => $$"""{"step":{{s}},"branch":{{b}},"sample":{{n}},"sigma":1,"decision":{{d}},"us":1}""";
        File.WriteAllText(folder.File("t.jsonl"), Row("0", "0", "-1", "\"full\"") + "\r\n\r\n" + Row(step, branch, sample, decision));
        Assert.Contains("line 3 of the cache trace", Refused("trace", folder.File("t.jsonl")), StringComparison.Ordinal);
    }

    [Fact]
    public void Control_characters_and_length_of_a_quoted_name_do_not_reach_the_message()
    {
        using TemporaryFolder folder = new();
        File.WriteAllText(folder.File("x.json"), "{\"_class_name\": \"\\u001b[31m" + new string('x', 100_000) + "\"}");
        string message = Refused("config", folder.File("x.json"));
        Assert.DoesNotContain(message, char.IsControl);
        Assert.InRange(message.Length, 100, 2500);
    }

    [Fact]
    public void A_picture_is_not_read_from_a_device_either()
    {
        Assert.SkipUnless(File.Exists("/dev/zero"), "there is no /dev/zero");
        Assert.Contains("a pipe or a device", Assert.Throws<IOException>(() => DiCacheNative.Imaging.ImageFile.Load("/dev/zero")).Message,
            StringComparison.Ordinal);
    }

    private static string Refused(string reader, string path)
    {
        string message = Assert.Throws<ModelFormatException>(() => s_readers[reader](path)).Message;
        Assert.Contains(path, message, StringComparison.Ordinal);
        return message;
    }
}
