using System.Buffers.Binary;
using System.Text;
using DiCacheNative.Tensors;
using DiCacheNative.Weights;

namespace DiCacheNative.Tests.Weights;

public sealed class SafetensorsFileTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("safetensors-").FullName;

    private string FilePath => Path.Combine(_directory, "t.safetensors");

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void Reads_back_what_was_written_in_every_type()
    {
        byte[] bytes = new byte[64];
        new Random(1).NextBytes(bytes);
        SafetensorsWriter writer = new();
        writer.AddMetadata("format", "pt");
        foreach (DType type in Enum.GetValues<DType>())
        {
            writer.Add("t." + type, type, [2, 64 / type.Size() / 2], bytes);
        }

        writer.Add("scalar", [], [2.5f]);
        writer.Add("empty", [3, 0, 5], []);
        writer.Save(FilePath);

        using SafetensorsFile file = SafetensorsFile.Open(FilePath);
        Assert.Equal("pt", file.Metadata["format"]);
        Assert.Equal(8, file.Tensors.Count);
        foreach (DType type in Enum.GetValues<DType>())
        {
            HostTensor t = file.Get("t." + type);
            Assert.Equal(type, t.Type);
            Assert.Equal([2, 64 / type.Size() / 2], t.Shape.ToArray());
            Assert.Equal(bytes, Bytes(t));
        }

        Assert.Equal([2.5f], file.Get("scalar").ToArray());
        Assert.Equal([3, 0, 5], file.Get("empty").Shape.ToArray());
        Assert.Empty(file.Get("empty").ToArray());
    }

    [Fact]
    public void A_tensor_copied_from_one_file_to_another_keeps_its_bytes()
    {
        SafetensorsWriter first = new();
        first.Add("a", [2, 3], [1, 2, 3, 4, 5, 6]);
        first.Save(FilePath);
        string copy = Path.Combine(_directory, "copy.safetensors");
        using (SafetensorsFile file = SafetensorsFile.Open(FilePath))
        {
            SafetensorsWriter second = new();
            second.Add(file.Get("a"));
            second.Save(copy);
        }

        Assert.Equal(File.ReadAllBytes(FilePath), File.ReadAllBytes(copy));
    }

    [Theory]
    [InlineData("{}", 0)]
    [InlineData("{}   ", 0)]
    [InlineData("""{"__metadata__":null}""", 0)]
    [InlineData("""{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}""", 4)]
    [InlineData("""{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", 4)]
    [InlineData("""{"a":{"later":{"x":[1]},"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", 4)]
    [InlineData("""{"b":{"dtype":"I32","shape":[1],"data_offsets":[4,8]},"a":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}}""", 8)]
    public void Accepts_unusual_but_valid_headers(string header, int dataBytes)
    {
        Write(header, dataBytes);
        SafetensorsFile.Open(FilePath).Dispose();
    }

    [Theory]
    [InlineData("""[]""", 0, "not a JSON object")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}""", 4, "not valid JSON")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}} {}""", 4, "not valid JSON")]
    [InlineData("""{"a\ud800":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", 4, "not valid JSON")]
    [InlineData("""{"a":1}""", 0, "'a' is not described by a JSON object")]
    [InlineData("""{"a":{"shape":[1],"data_offsets":[0,4]}}""", 4, "'a' lacks")]
    [InlineData("""{"a":{"dtype":"F32","data_offsets":[0,4]}}""", 4, "'a' lacks")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}""", 4, "'a' lacks")]
    [InlineData("""{"a":{"dtype":4,"shape":[1],"data_offsets":[0,4]}}""", 4, "dtype twice or not as the format asks")]
    [InlineData("""{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", 4, "dtype twice")]
    [InlineData("""{"a":{"dtype":"F32","shape":1,"data_offsets":[0,4]}}""", 4, "shape of 'a' is not an array")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}""", 4, "shape of 'a' holds something other")]
    [InlineData("""{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}""", 4, "shape of 'a' holds something other")]
    [InlineData("""{"a":{"dtype":"F32","shape":["1"],"data_offsets":[0,4]}}""", 4, "shape of 'a' holds something other")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,99999999999999999999]}}""", 4, "data_offsets of 'a' holds something other")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}""", 4, "more than 2 entries")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}}""", 4, "more than 8 entries")]
    [InlineData("""{"a":{"dtype":"Q4_K","shape":[1],"data_offsets":[0,4]}}""", 4, "unknown dtype 'Q4_K'")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2147483648],"data_offsets":[0,4]}}""", 4, "above 2^31 - 1")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2147483647,2147483647,2147483647],"data_offsets":[0,4]}}""", 4, "more elements than a file can hold")]
    [InlineData("""{"a":{"dtype":"F32","shape":[65536,65536,65536,65536],"data_offsets":[0,0]}}""", 0, "more elements than a file can hold")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}""", 4, "run backwards")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}""", 4, "'a' [2] of F32 needs 8 bytes")]
    [InlineData("""{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}}""", 2, "'a' [3] of F4 needs 2 bytes")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", 4, "cut short")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[9223372036854775803,9223372036854775807]}}""", 4, "cut short")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", 5, "the last 1 bytes of the data belong to no tensor")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", 8, "bytes 0..4 of the data, before 'a', belong to no tensor")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", 8, "'a' is listed twice")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"\u0061":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", 8, "'a' is listed twice")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}""", 12, "'b' overlaps")]
    [InlineData("""{"__metadata__":{"a":1}}""", 0, "metadata entry 'a' is not a string")]
    [InlineData("""{"__metadata__":{"a":"1","a":"2"}}""", 0, "metadata entry 'a' is listed twice")]
    [InlineData("""{"__metadata__":[]}""", 0, "'__metadata__' is not described by a JSON object")]
    public void Refuses_a_hostile_header_and_names_the_file_and_the_fault(string header, int dataBytes, string fault)
    {
        Write(header, dataBytes);
        var e = Assert.Throws<ModelFormatException>(() => SafetensorsFile.Open(FilePath));
        Assert.StartsWith(FilePath + ": ", e.Message, StringComparison.Ordinal);
        Assert.Contains(fault, e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, "the file is empty")]
    [InlineData(7, "too few")]
    public void Refuses_a_file_too_short_for_its_length_field(int bytes, string fault)
    {
        File.WriteAllBytes(FilePath, new byte[bytes]);
        var e = Assert.Throws<ModelFormatException>(() => SafetensorsFile.Open(FilePath));
        Assert.Contains(fault, e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0ul, "not a JSON object")]
    [InlineData(3ul, "cut short")]
    [InlineData(16_000_000ul, "cut short")]
    [InlineData(16_000_001ul, "above the limit")]
    [InlineData(0xF61B7Bul, "above the limit")]
    [InlineData(ulong.MaxValue, "above the limit")]
    [InlineData(ulong.MaxValue - 7, "above the limit")]
    public void Refuses_a_header_length_that_does_not_fit_the_file(ulong length, string fault)
    {
        byte[] bytes = new byte[10];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, length);
        "{}"u8.CopyTo(bytes.AsSpan(8));
        File.WriteAllBytes(FilePath, bytes);
        var e = Assert.Throws<ModelFormatException>(() => SafetensorsFile.Open(FilePath));
        Assert.Contains(fault, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Refuses_a_header_that_is_not_utf8()
    {
        Write([(byte)'{', (byte)'"', 0xFF, (byte)'"', (byte)'}'], 0);
        var e = Assert.Throws<ModelFormatException>(() => SafetensorsFile.Open(FilePath));
        Assert.Contains("not valid UTF-8", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Refuses_deep_nesting_without_exhausting_the_stack()
    {
        Write("{\"a\":{\"x\":" + new string('[', 100_000) + new string(']', 100_000) + "}}", 0);
        Assert.Throws<ModelFormatException>(() => SafetensorsFile.Open(FilePath));
    }

    [Fact]
    public void Names_a_missing_file_and_a_directory()
    {
        Assert.Contains("no such file", Assert.Throws<ModelFormatException>(() => SafetensorsFile.Open(FilePath)).Message, StringComparison.Ordinal);
        Assert.Contains("no such file", Assert.Throws<ModelFormatException>(() => SafetensorsFile.Open(Path.Combine(FilePath, "x"))).Message,
            StringComparison.Ordinal);
        Assert.Contains("a directory", Assert.Throws<ModelFormatException>(() => SafetensorsFile.Open(_directory)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_cut_short_while_it_is_open_is_an_error_of_the_copy()
    {
        SafetensorsWriter writer = new();
        writer.Add("a", [1 << 18], new float[1 << 18]);
        writer.Save(FilePath);
        using SafetensorsFile file = SafetensorsFile.Open(FilePath);
        using (FileStream cut = new(FilePath, FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
        {
            cut.SetLength(1 << 19);
        }

        HostTensor tensor = file.Get("a");
        Assert.Equal(new float[1000], Copy(tensor, 1000, 0));
        Assert.Contains("cut short", Assert.Throws<ModelFormatException>(() => tensor.ToArray()).Message, StringComparison.Ordinal);
        Assert.Contains("cut short", Assert.Throws<ModelFormatException>(() => Copy(tensor, 10, (1 << 18) - 10)).Message, StringComparison.Ordinal);

        static float[] Copy(HostTensor tensor, int count, long offset)
        {
            float[] values = new float[count];
            tensor.CopyTo(values, offset);
            return values;
        }
    }

    [Fact]
    public void A_header_with_as_many_tensors_as_fit_is_read_in_bounded_memory()
    {
        StringBuilder header = new("{");
        for (int i = 0; header.Length < 15_900_000; i++)
        {
            header.Append(System.Globalization.CultureInfo.InvariantCulture,
                $"{(i == 0 ? "" : ",")}\"{i}\":{{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}");
        }

        Write(header.Append('}').ToString(), 0);
        header.Clear();
        long before = GC.GetAllocatedBytesForCurrentThread();
        using SafetensorsFile file = SafetensorsFile.Open(FilePath);
        Assert.InRange(file.Tensors.Count, 200_000, 400_000);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 400L << 20);
    }

    [Fact]
    public void A_tensor_of_an_unsupported_type_is_refused_only_when_asked_for()
    {
        Write("""{"a":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", 8);
        using SafetensorsFile file = SafetensorsFile.Open(FilePath);
        Assert.Equal(["b"], file.Tensors.Keys);
        Assert.Equal("F8_E4M3", file.Unsupported["a"]);
        Assert.Contains("'a' is of type F8_E4M3", Assert.Throws<ModelFormatException>(() => file.Get("a")).Message, StringComparison.Ordinal);
        Assert.Contains("no tensor 'c'", Assert.Throws<ModelFormatException>(() => file.Get("c")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_closed_file_gives_no_tensors()
    {
        Write("{}", 0);
        SafetensorsFile file = SafetensorsFile.Open(FilePath);
        file.Dispose();
        file.Dispose();
        Assert.Throws<ObjectDisposedException>(() => file.Tensors);
    }

    [Fact]
    public void Random_damage_gives_either_a_readable_file_or_a_format_error()
    {
        SafetensorsWriter writer = new();
        writer.AddMetadata("note", "héllo");
        writer.Add("first.weight", [2, 3], [1, 2, 3, 4, 5, 6]);
        writer.Add("second.bias", DType.BF16, [4], new byte[8]);
        writer.Add("none", [0], []);
        writer.Save(FilePath);
        byte[] valid = File.ReadAllBytes(FilePath);
        string damaged = Path.Combine(_directory, "damaged.safetensors");
        Random random = new(20);
        byte[] tokens = Encoding.ASCII.GetBytes("0123456789{}[]\",:-.eE\\uF \0\xFF");
        int refused = 0, accepted = 0;
        for (int round = 0; round < 1500; round++)
        {
            byte[] bytes = (byte[])valid.Clone();
            for (int k = random.Next(1, 4); k > 0; k--)
            {
                int at = random.Next(3) == 0 ? random.Next(bytes.Length) : 8 + random.Next(bytes.Length - 48);
                bytes[at] = random.Next(2) == 0 ? (byte)random.Next(256) : tokens[random.Next(tokens.Length)];
            }

            if (random.Next(4) == 0)
            {
                bytes = bytes[..random.Next(bytes.Length)];
            }

            File.WriteAllBytes(damaged, bytes);
            try
            {
                using SafetensorsFile file = SafetensorsFile.Open(damaged);
                Assert.All(file.Tensors.Values, t => Assert.Equal(t.Count, t.ToArray().Length));
                accepted++;
            }
            catch (ModelFormatException e)
            {
                Assert.StartsWith(damaged, e.Message, StringComparison.Ordinal);
                refused++;
            }
        }

        Assert.True(refused > 500 && accepted > 20, $"{refused} refused, {accepted} accepted: the damage is too one-sided to test anything");
    }

    private static byte[] Bytes(HostTensor t)
    {
        byte[] bytes = new byte[t.Bytes];
        t.CopyBytes(bytes);
        return bytes;
    }

    private void Write(string header, int dataBytes) => Write(Encoding.UTF8.GetBytes(header), dataBytes);

    private void Write(byte[] header, int dataBytes)
    {
        byte[] bytes = new byte[8 + header.Length + dataBytes];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, (ulong)header.Length);
        header.CopyTo(bytes, 8);
        File.WriteAllBytes(FilePath, bytes);
    }
}
