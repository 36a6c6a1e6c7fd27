using DiCacheNative.Onnx;

namespace DiCacheNative.Tests.Onnx;

public sealed class OnnxFileTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("onnx-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void The_native_library_loads_and_tells_its_version()
    {
        Assert.True(OnnxRuntimeLibrary.TryLoad(out string version), version);
        Assert.Matches(@"^1\.\d+\.\d+", version);
    }

    [Fact]
    public void A_missing_file_is_named()
    {
        string path = Path.Combine(_directory, "model.onnx");

        var e = Assert.Throws<ModelFormatException>(() => OnnxTextEncoder.Load(path, 1));

        Assert.Equal($"{path}: there is no such file", e.Message);
        Assert.Equal(path, e.Path);
    }

    [Fact]
    public void A_truncated_file_is_a_model_error()
    {
        byte[] whole = File.ReadAllBytes(Repository.File("models", "shapes-flux", "vae_decoder", "model.onnx"));
        foreach (int length in new[] { 0, 1, 1000, whole.Length / 2, whole.Length - 1 })
        {
            string path = Path.Combine(_directory, $"{length}.onnx");
            File.WriteAllBytes(path, whole[..length]);

            var e = Assert.Throws<ModelFormatException>(() => OnnxVaeDecoder.Load(path, 1));

            Assert.Contains(path, e.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_file_of_something_else_is_a_model_error()
    {
        string path = Path.Combine(_directory, "model.onnx");
        File.WriteAllText(path, "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");

        Assert.Throws<ModelFormatException>(() => OnnxVaeDecoder.Load(path, 1));
    }

    [Fact]
    public void A_graph_of_another_kind_is_refused()
    {
        string decoder = Repository.File("models", "shapes-flux", "vae_decoder", "model.onnx");
        string encoder = Repository.File("models", "shapes-flux", "text_encoder", "model.onnx");

        Assert.Contains("no text encoder", Assert.Throws<ModelFormatException>(() => OnnxTextEncoder.Load(decoder, 1)).Message, StringComparison.Ordinal);
        Assert.Contains("no image decoder", Assert.Throws<ModelFormatException>(() => OnnxVaeDecoder.Load(encoder, 1)).Message, StringComparison.Ordinal);
    }
}
