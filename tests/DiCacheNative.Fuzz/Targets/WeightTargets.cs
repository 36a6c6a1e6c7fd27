using DiCacheNative.Cpu;
using DiCacheNative.Models;
using DiCacheNative.Models.Flux;
using DiCacheNative.Models.HunyuanVideo;
using DiCacheNative.Models.Wan;
using DiCacheNative.Tensors;
using DiCacheNative.Weights;

namespace DiCacheNative.Fuzz.Targets;

/// <summary>One safetensors file: header, layout, values.</summary>
internal sealed class SafetensorsTarget() : Target("safetensors", 250)
{
    public override void Run(Random random, string folder)
    {
        CheckpointText text = new CheckpointText().Add("first.weight", "F32", 32, 2, 3).Add("second.bias", "BF16", 16, 4).Add("none", "F32", 32, 0).Add(
            "scalar", "I64", 64);
        if (random.Next(8) != 0)
        {
            text.Mutate(random);
        }

        byte[] bytes = text.ToBytes(random, random.Next(10) == 0 ? "\"__metadata__\":null," : "\"__metadata__\":{\"format\":\"pt\"},");
        Write(folder, "m.safetensors", random.Next(10) == 0 ? Mutation.Damage(random, bytes) : bytes);
        string path = Path.Combine(folder, "m.safetensors");
        using SafetensorsFile file = SafetensorsFile.Open(path);
        if (random.Next(8) == 0)
        {
            using FileStream cut = new(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
            cut.SetLength(random.Next((int)cut.Length));
        }

        foreach (HostTensor tensor in file.Tensors.Values)
        {
            tensor.ToArray();
        }
    }
}

/// <summary>A folder with an index and shards, or shards alone, and what may lie beside them.</summary>
internal sealed class ShardsTarget() : Target("shards", 80)
{
    private const string Index = """{"metadata":{"total_size":16},"weight_map":{"a":"m-00001-of-00002.safetensors","b":"m-00002-of-00002.safetensors","c":"m-00002-of-00002.safetensors"}}""";

    private static readonly string[] s_strays =
    [
        "._m.safetensors", "m.fp16.safetensors", "m.safetensors", "m.safetensors.index.fp16.json", "m-00003-of-00002.safetensors",
            "m-00001-of-00001.safetensors", "m-99999-of-99999.safetensors",
        "m-00000-of-00000.safetensors", "n.safetensors.index.json", ".hidden.safetensors", "x.safetensors", "config.json",
    ];

    public override void Run(Random random, string folder)
    {
        if (random.Next(4) != 0)
        {
            Write(folder, "m.safetensors.index.json", Mutation.Json(random, Index));
        }

        CheckpointText first = new CheckpointText().Add("a", "F32", 32, 1), second = new CheckpointText().Add("b", "F32", 32, 2).Add("c", "F32", 32, 1);
        if (random.Next(3) == 0)
        {
            second.Mutate(random);
        }

        if (random.Next(8) != 0)
        {
            Write(folder, "m-00001-of-00002.safetensors", first.ToBytes());
        }

        Write(folder, "m-00002-of-00002.safetensors", second.ToBytes());
        for (int strays = random.Next(3); strays > 0; strays--)
        {
            Write(folder, s_strays[random.Next(s_strays.Length)], random.Next(2) == 0 ? first.ToBytes() : [0, 5, 0x16, 7]);
        }

        using Checkpoint checkpoint = Checkpoint.Open(random.Next(4) == 0 ? Path.Combine(folder, "m-00002-of-00002.safetensors") : folder);
        foreach (string name in checkpoint.Names)
        {
            checkpoint.TryGet(name, out _);
        }
    }
}

/// <summary>Whole transformers of all families and layouts: a small checkpoint with or without its configuration.</summary>
internal sealed class ModelTarget() : Target("model", 25)
{
    private static readonly CpuBackend s_backend = new(new CpuBackendOptions { Threads = 1 });

    private static readonly FluxConfig s_flux = new()
    {
        InChannels = 8,
        OutChannels = 8,
        DoubleBlocks = 1,
        SingleBlocks = 1,
        Heads = 1,
        HeadDim = 12,
        JointDim = 5,
        PooledDim = 3,
        GuidanceEmbeds = false,
        RopeAxes = [4, 4, 4],
    };

    private static readonly WanConfig s_wan =
        new() { InChannels = 2, OutChannels = 2, Width = 12, MlpWidth = 16, Heads = 1, Layers = 1, TextDim = 5, TextTokens = 4, FrequencyWidth = 8 };

    private static readonly HunyuanConfig s_hunyuan = new()
    {
        Channels = 2,
        DoubleBlocks = 1,
        SingleBlocks = 1,
        RefinerBlocks = 1,
        Heads = 1,
        HeadDim = 12,
        MlpWidth = 16,
        TextDim = 5,
        PooledDim = 3,
        RopeAxes = [4, 4, 4],
    };

    private static readonly (Action<TensorReader> TakeAll, string Config, Action<string> Load)[] s_models =
    [
        (t => new DiffusersFluxSource(s_flux, t).TakeAll(), ConfigTarget.Flux, LoadFlux),
            (t => new OriginalFluxSource(s_flux, t).TakeAll(), ConfigTarget.Flux, LoadFlux),
        (t => new DiffusersWanSource(s_wan, t).TakeAll(), ConfigTarget.WanDiffusers, LoadWan),
        (t => new OriginalWanSource(s_wan, t).TakeAll(), ConfigTarget.Wan, LoadWan),
        (t => new DiffusersHunyuanSource(s_hunyuan, t).TakeAll(), ConfigTarget.HunyuanDiffusers, LoadHunyuan),
        (t => new OriginalHunyuanSource(s_hunyuan, t).TakeAll(), ConfigTarget.Hunyuan, LoadHunyuan),
    ];

    public override void Run(Random random, string folder)
    {
        (Action<TensorReader> takeAll, string config, Action<string> load) = s_models[random.Next(s_models.Length)];
        CheckpointText text = new();
        HashSet<string> names = [];
        takeAll((name, shape) =>
        {
            if (names.Add(name))
            {
                text.Add(name, "F32", 32, shape);
            }

            return new HostTensor(name, 0, DType.F32, shape);
        });
        int kind = random.Next(4);
        if (kind >= 2)
        {
            text.Mutate(random);
        }

        Write(folder, "model.safetensors", text.ToBytes(kind == 3 ? random : null));
        if (random.Next(3) != 0)
        {
            Write(folder, "config.json", kind is 1 or 2 ? Mutation.Json(random, config) : System.Text.Encoding.UTF8.GetBytes(config));
        }

        load(random.Next(2) == 0 ? folder : Path.Combine(folder, "model.safetensors"));
    }

    private static void LoadFlux(string path) => FluxModel.Load(s_backend, path).Dispose();

    private static void LoadWan(string path) => WanModel.Load(s_backend, path).Dispose();

    private static void LoadHunyuan(string path) => HunyuanModel.Load(s_backend, path).Dispose();
}
