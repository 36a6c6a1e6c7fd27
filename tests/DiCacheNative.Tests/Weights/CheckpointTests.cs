using DiCacheNative.Tensors;
using DiCacheNative.Weights;

namespace DiCacheNative.Tests.Weights;

public sealed class CheckpointTests : IDisposable
{
    private const string Index = "model.safetensors.index.json";
    private readonly string _directory = Directory.CreateTempSubdirectory("checkpoint-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void A_sharded_checkpoint_reads_like_one_file()
    {
        Shard("model-1-of-2.safetensors", ("a", 1), ("b", 2));
        Shard("model-2-of-2.safetensors", ("c", 3));
        WriteIndex(("a", "model-1-of-2.safetensors"), ("b", "model-1-of-2.safetensors"), ("c", "model-2-of-2.safetensors"));

        foreach (string path in new[] { _directory, Path.Combine(_directory, Index) })
        {
            using Checkpoint checkpoint = Checkpoint.Open(path);
            Assert.Equal(Path.Combine(_directory, Index), checkpoint.Path);
            Assert.Equal(2, checkpoint.FileCount);
            Assert.Equal(["a", "b", "c"], checkpoint.Names.Order());
            Assert.Equal([1f, 2f, 3f], new[] { "a", "b", "c" }.Select(n => checkpoint.Get(n).ToArray()[0]));
            Assert.False(checkpoint.TryGet("d", out _));
        }
    }

    [Fact]
    public void An_index_with_a_relative_path_finds_its_shards()
    {
        Shard("s.safetensors", ("a", 1));
        WriteIndex(("a", "s.safetensors"));
        using Checkpoint checkpoint = Checkpoint.Open(Path.GetRelativePath(Environment.CurrentDirectory, Path.Combine(_directory, Index)));
        Assert.Equal(1, checkpoint.Get("a").ToArray()[0]);
    }

    [Fact]
    public void A_directory_with_one_file_opens_it()
    {
        Shard("only.safetensors", ("a", 1));
        File.WriteAllText(Path.Combine(_directory, "config.json"), "{}");
        using Checkpoint checkpoint = Checkpoint.Open(_directory);
        Assert.Equal(Path.Combine(_directory, "only.safetensors"), checkpoint.Path);
    }

    [Fact]
    public void An_ambiguous_directory_lists_what_it_holds()
    {
        Assert.Contains("holds no .safetensors file", Error(_directory), StringComparison.Ordinal);
        Shard("x.safetensors", ("a", 1));
        Shard("y.safetensors", ("a", 1));
        Assert.Contains("name one of them: x.safetensors, y.safetensors", Error(_directory), StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_shard_is_named()
    {
        WriteIndex(("a", "gone.safetensors"));
        Assert.Contains("gone.safetensors is missing", Error(_directory), StringComparison.Ordinal);
    }

    [Fact]
    public void A_tensor_that_is_not_where_the_index_says_is_named()
    {
        Shard("1.safetensors", ("a", 1));
        Shard("2.safetensors", ("b", 1));
        WriteIndex(("a", "1.safetensors"), ("b", "2.safetensors"), ("c", "2.safetensors"));
        Assert.Contains("'c' should be in 2.safetensors but is in no shard", Error(_directory), StringComparison.Ordinal);
        WriteIndex(("a", "2.safetensors"), ("b", "2.safetensors"), ("x", "1.safetensors"));
        Assert.Contains("'a' should be in 2.safetensors but is in " + Path.Combine(_directory, "1.safetensors"), Error(_directory), StringComparison.Ordinal);
    }

    [Fact]
    public void A_tensor_in_two_shards_is_refused()
    {
        Shard("1.safetensors", ("a", 1), ("b", 1));
        Shard("2.safetensors", ("b", 1));
        WriteIndex(("a", "1.safetensors"), ("b", "2.safetensors"));
        Assert.Contains("'b' is in two shards", Error(_directory), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("../x.safetensors")]
    [InlineData("..\\\\x.safetensors")]
    [InlineData("/etc/x.safetensors")]
    [InlineData("C:x.safetensors")]
    [InlineData("sub/x.safetensors")]
    [InlineData("..")]
    [InlineData("")]
    [InlineData("x.bin")]
    [InlineData("x\\u0000.safetensors")]
    public void A_shard_outside_the_directory_is_refused(string shard)
    {
        WriteIndex(("a", shard));
        Assert.Contains("not the name of a .safetensors file in the index's own directory", Error(_directory), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "the file is empty")]
    [InlineData("<html>", "a web page")]
    [InlineData("[]", "not a JSON object")]
    [InlineData("{", "not valid JSON")]
    [InlineData("{}", "no weight_map")]
    [InlineData("""{"weight_map":{}}""", "no weight_map")]
    [InlineData("""{"weight_map":[]}""", "not a JSON object")]
    [InlineData("""{"weight_map":{"a":1}}""", "not the name of")]
    [InlineData("""{"weight_map":{"a":"1.safetensors","a":"1.safetensors"}}""", "lists 'a' twice")]
    [InlineData("""{"weight_map":{"a":"1.safetensors"},"weight_map":{"a":"1.safetensors"}}""", "weight_map occurs twice")]
    public void A_malformed_index_is_refused(string json, string fault)
    {
        File.WriteAllText(Path.Combine(_directory, Index), json);
        Assert.Contains(fault, Error(_directory), StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_path_is_named()
    {
        Assert.Contains("no such file", Error(Path.Combine(_directory, "none.safetensors")), StringComparison.Ordinal);
        Assert.Contains("no such file", Error(Path.Combine(_directory, Index)), StringComparison.Ordinal);
    }

    [Fact]
    public void A_model_that_fits_takes_everything()
    {
        Shard("m.safetensors", ("dit.a", 1), ("dit.b", 2), ("dit.unused", 3), ("vae.c", 4));
        using Checkpoint checkpoint = Checkpoint.Open(_directory);
        WeightMap weights = new(checkpoint, "toy", "dit.");
        Assert.Equal([1f], weights.Take("a", 1).ToArray());
        Assert.Equal([2f], weights.TakeIfPresent("b", [1])!.Value.ToArray());
        Assert.Null(weights.TakeIfPresent("bias", [1]));
        weights.Ignore("unused");
        weights.Finish();
    }

    [Fact]
    public void All_that_does_not_fit_is_reported_at_once_with_both_shapes()
    {
        SafetensorsWriter writer = new();
        writer.Add("a", [2, 3], new float[6]);
        writer.Add("b", [2], new float[2]);
        writer.Add("q", DType.F32, [1], new byte[4]);
        writer.Save(Path.Combine(_directory, "m.safetensors"));
        using Checkpoint checkpoint = Checkpoint.Open(_directory);
        WeightMap weights = new(checkpoint, "toy");
        HostTensor placeholder = weights.Take("a", 3, 2);
        weights.Take("b", 2);
        weights.Take("c.weight", 4, 5);
        weights.Take("c.weight", 4, 5);
        weights.Take("d");

        Assert.Equal([2, 2], placeholder.Rows(1, 2).Shape.ToArray());
        var e = Assert.Throws<ModelFormatException>(() => weights.Finish());
        Assert.Equal(
            $"{checkpoint.Path}: the checkpoint does not fit toy: 2 tensors are missing (c.weight [4, 5], d []); "
            + "1 tensor is left over (q [1]); 1 tensor is of another shape (a is [2, 3] instead of [3, 2])",
            e.Message);
    }

    [Fact]
    public void Long_lists_are_cut_and_counted()
    {
        Shard("m.safetensors", [.. Enumerable.Range(0, 11).Select(i => ($"t{i:00}", (float)i))]);
        using Checkpoint checkpoint = Checkpoint.Open(_directory);
        var e = Assert.Throws<ModelFormatException>(() => new WeightMap(checkpoint, "toy").Finish());
        Assert.Contains("11 tensors are left over (t00 [1], ", e.Message, StringComparison.Ordinal);
        Assert.EndsWith("t07 [1] and 3 more)", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_weight_of_integers_is_of_a_type_that_is_not_supported()
    {
        SafetensorsWriter writer = new();
        writer.Add("a", DType.I32, [2], new byte[8]);
        writer.Save(Path.Combine(_directory, "m.safetensors"));
        using Checkpoint checkpoint = Checkpoint.Open(_directory);
        WeightMap weights = new(checkpoint, "toy");
        weights.Take("a", 2);
        Assert.Contains("not supported (a (I32))", Assert.Throws<ModelFormatException>(() => weights.Finish()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_weight_of_an_unsupported_type_is_reported_with_its_type()
    {
        byte[] header = """{"a":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}}"""u8.ToArray();
        File.WriteAllBytes(Path.Combine(_directory, "m.safetensors"), [.. BitConverter.GetBytes((long)header.Length), .. header, 0, 0, 0, 0]);
        using Checkpoint checkpoint = Checkpoint.Open(_directory);
        WeightMap weights = new(checkpoint, "toy");
        weights.Take("a", 4);
        Assert.Contains("not supported (a (F8_E4M3))", Assert.Throws<ModelFormatException>(() => weights.Finish()).Message, StringComparison.Ordinal);
        Assert.Throws<ModelFormatException>(() => checkpoint.TryGet("a", out _));
    }

    [Fact]
    public void Numbered_shards_without_their_index_are_read_when_all_are_there()
    {
        Shard("model-00001-of-00002.safetensors", ("a", 1));
        Shard("model-00002-of-00002.safetensors", ("b", 2));
        foreach (string path in new[] { _directory, Path.Combine(_directory, "model-00002-of-00002.safetensors") })
        {
            using Checkpoint checkpoint = Checkpoint.Open(path);
            Assert.Equal(["a", "b"], checkpoint.Names.Order());
            Assert.Equal(2, checkpoint.Get("b").ToArray()[0]);
        }

        File.Delete(Path.Combine(_directory, "model-00001-of-00002.safetensors"));
        Assert.Contains("has 2 parts, of which 1 is here, and no model.safetensors.index.json", Error(_directory), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("model.fp16.safetensors")]
    [InlineData("model.ema.bf16.safetensors")]
    [InlineData("model.fp16-00001-of-00002.safetensors")]
    [InlineData("model.safetensors.index.fp16.json")]
    [InlineData("._model.safetensors")]
    [InlineData("._x.safetensors")]
    [InlineData(".model.safetensors.index.json")]
    public void Variants_and_hidden_files_give_way_to_the_plain_checkpoint(string stray)
    {
        Shard("model.safetensors", ("a", 1));
        File.WriteAllBytes(Path.Combine(_directory, stray), [0, 5, 0x16, 7, 0, 2, 0, 0]);
        using Checkpoint checkpoint = Checkpoint.Open(_directory);
        Assert.Equal(Path.Combine(_directory, "model.safetensors"), checkpoint.Path);
    }

    [Fact]
    public void A_variant_alone_is_the_checkpoint_and_two_variants_are_ambiguous()
    {
        Shard("model.fp16.safetensors", ("a", 1));
        using (Checkpoint checkpoint = Checkpoint.Open(_directory))
        {
            Assert.Equal(["a"], checkpoint.Names);
        }

        Shard("model.ema.safetensors", ("a", 2));
        Assert.Contains("several checkpoints, name one of them: model.ema.safetensors, model.fp16.safetensors", Error(_directory), StringComparison.Ordinal);
    }

    [Fact]
    public void An_index_may_begin_with_a_byte_order_mark()
    {
        Shard("s.safetensors", ("a", 1));
        File.WriteAllText(Path.Combine(_directory, Index), """{"weight_map":{"a":"s.safetensors"}}""", new System.Text.UTF8Encoding(true));
        using Checkpoint checkpoint = Checkpoint.Open(_directory);
        Assert.Equal(["a"], checkpoint.Names);
    }

    [Theory]
    [InlineData("scaled_fp8", "F8_E4M3", "[0]", 0, true)]
    [InlineData("scaled_fp8", "F8_E4M3", "[2]", 2, true)]
    [InlineData("global_step", "I64", "[]", 8, true)]
    [InlineData("__extra__", "F32", "[0]", 0, true)]
    [InlineData("blocks.0.num_batches", "I64", "[]", 8, true)]
    [InlineData("blocks.0.scale_weight", "F32", "[]", 4, false)]
    [InlineData("blocks.0.weight", "F32", "[1]", 4, false)]
    [InlineData("blocks.0.weight", "F8_E4M3", "[4]", 4, false)]
    public void A_left_over_tensor_is_noted_when_it_cannot_be_a_weight_and_refused_otherwise(string name, string type, string shape, int bytes, bool noted)
    {
        string header = $$$"""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"{{{name}}}":{"dtype":"{{{type}}}","shape":{{{shape}}},"data_offsets":[4,{{{4 + bytes}}}]}}""";
        File.WriteAllBytes(
            Path.Combine(_directory, "m.safetensors"), [.. BitConverter.GetBytes((long)header.Length), .. System.Text.Encoding.ASCII.GetBytes(header),
                .. new byte[4 + bytes]]);
        using Checkpoint checkpoint = Checkpoint.Open(_directory);
        WeightMap weights = new(checkpoint, "toy");
        weights.Take("a", 1);
        List<string> notes = [];
        if (noted)
        {
            weights.Finish(notes.Add);
            Assert.Contains(name, Assert.Single(notes), StringComparison.Ordinal);
        }
        else
        {
            Assert.Contains(name, Assert.Throws<ModelFormatException>(() => weights.Finish(notes.Add)).Message, StringComparison.Ordinal);
            Assert.Empty(notes);
        }
    }

    private static string Error(string path)
    {
        string message = Assert.Throws<ModelFormatException>(() => Checkpoint.Open(path)).Message;
        Assert.StartsWith(path, message, StringComparison.Ordinal);
        return message;
    }

    private void Shard(string file, params (string Name, float Value)[] tensors)
    {
        SafetensorsWriter writer = new();
        foreach ((string name, float value) in tensors)
        {
            writer.Add(name, [1], [value]);
        }

        writer.Save(Path.Combine(_directory, file));
    }

    private void WriteIndex(params (string Name, string Shard)[] map) => File.WriteAllText(
        Path.Combine(_directory, Index),
        "{\"metadata\":{\"total_size\":8},\"weight_map\":{" + string.Join(",", map.Select(m => $"\"{m.Name}\":\"{m.Shard}\"")) + "}}");
}
