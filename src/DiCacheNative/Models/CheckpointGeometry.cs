using System.Globalization;
using DiCacheNative.Tensors;
using DiCacheNative.Weights;

namespace DiCacheNative.Models;

/// <summary>What a checkpoint tells about its model without a configuration: shapes and counts.</summary>
internal static class CheckpointGeometry
{
    private static readonly string[] s_lora = [".lora_", "lora_unet_", "lora_transformer_", ".lora.", "lokr_w", "hada_w", ".dora_scale"];

    /// <summary>The config.json in a model folder or beside a file; null if there is none.</summary>
    public static string? ConfigBeside(string path)
    {
        string folder = Directory.Exists(path) ? path : Path.GetDirectoryName(Path.GetFullPath(path))!;
        string config = Path.Combine(folder, "config.json");
        return File.Exists(config) ? config : null;
    }

    /// <summary>What the names start with: the first of the prefixes under which a tensor is found, or nothing.</summary>
    public static string Prefix(Checkpoint checkpoint, string name, params ReadOnlySpan<string> prefixes)
    {
        foreach (string prefix in prefixes)
        {
            if (checkpoint.Contains(prefix + name))
            {
                return prefix;
            }
        }

        return string.Empty;
    }

    /// <summary>Length of an axis of a tensor.</summary>
    /// <exception cref="ModelFormatException">There is no such tensor or axis.</exception>
    public static int Dimension(Checkpoint checkpoint, string name, int axis)
    {
        if (!checkpoint.TryGet(name, out HostTensor tensor) || tensor.Shape.Length <= axis || tensor.Shape[axis] <= 0)
        {
            throw new ModelFormatException(checkpoint.Path, $"the geometry cannot be inferred: {name} is missing or has an impossible shape");
        }

        return tensor.Shape[axis];
    }

    /// <summary>Number of blocks: one more than the largest index that follows a name.</summary>
    /// <exception cref="ModelFormatException">An index is larger than the number of tensors.</exception>
    public static int Count(Checkpoint checkpoint, string blocks)
    {
        int count = 0;
        foreach (string name in checkpoint.Names)
        {
            if (name.StartsWith(blocks, StringComparison.Ordinal) && name.IndexOf('.', blocks.Length) is int dot and > 0
                && int.TryParse(name.AsSpan(blocks.Length, dot - blocks.Length), NumberStyles.None, CultureInfo.InvariantCulture, out int index))
            {
                count = index < checkpoint.Names.Count ? Math.Max(count, index + 1) : throw new ModelFormatException(
                    checkpoint.Path, $"the tensor {Listing.Quoted(name)} is of a block {index}, but there are only {checkpoint.Names.Count} tensors: the "
                        + $"file is damaged");
            }
        }

        return count;
    }

    /// <summary>Head width of a tensor [Dh], and the heads that make up a width.</summary>
    /// <exception cref="ModelFormatException">The one is no part of the other, or impossible.</exception>
    public static (int Heads, int HeadDim) Heads(Checkpoint checkpoint, int width, int headDim) => headDim <= ModelLimits.HeadWidth && width % headDim == 0
        ? (width / headDim, headDim)
        : throw new ModelFormatException(checkpoint.Path, $"the geometry cannot be inferred: a width of {width} is not made of heads of {headDim}");

    /// <summary>Refuses a configuration that asks for more blocks than a checkpoint can hold.</summary>
    /// <param name="checkpoint">The checkpoint.</param>
    /// <param name="configPath">The configuration; null when it was inferred from the checkpoint.</param>
    /// <param name="blocks">Blocks of all kinds.</param>
    /// <exception cref="ModelFormatException">There are fewer tensors than blocks.</exception>
    public static void RequireBlocks(Checkpoint checkpoint, string? configPath, long blocks)
    {
        if (blocks > checkpoint.Names.Count)
        {
            throw new ModelFormatException(configPath ?? checkpoint.Path,
                $"{blocks} blocks cannot be made of the {checkpoint.Names.Count} tensors of {checkpoint.Path}");
        }
    }

    /// <summary>The error for a checkpoint that is not of a model: told for what it is, where that can be seen.</summary>
    /// <param name="checkpoint">The checkpoint.</param>
    /// <param name="model">Name of the model, as in "FLUX".</param>
    /// <param name="missing">What is not there, as in "neither a (released names) nor b (diffusers)".</param>
    public static ModelFormatException NotA(Checkpoint checkpoint, string model, string missing)
    {
        bool Has(Func<string, bool> test) => checkpoint.Names.Any(test);
        string? found = Has(n => s_lora.Any(mark => n.Contains(mark, StringComparison.Ordinal)))
            ? "it is a LoRA, a change to a model and not a model: merge it into the model's weights first, and give the merged file"
            : Has(n => n.Contains("encoder.down", StringComparison.Ordinal) || n.Contains("decoder.up", StringComparison.Ordinal)
                || n.StartsWith("first_stage_model.", StringComparison.Ordinal)) ? "it holds an autoencoder (VAE)"
            : Has(n => n.Contains("self_attn.norm_q.", StringComparison.Ordinal) || n.StartsWith("blocks.0.attn1.", StringComparison.Ordinal))
                ? "it looks like a WAN transformer"
            : Has(n => n.Contains("individual_token_refiner", StringComparison.Ordinal) || n.Contains("token_refiner.refiner_blocks", StringComparison.Ordinal))
                ? "it looks like a HunyuanVideo transformer"
            : Has(n => n.Contains("double_blocks.0.img_attn.qkv.", StringComparison.Ordinal)
                || n.StartsWith("single_transformer_blocks.", StringComparison.Ordinal))
                ? "it looks like a FLUX transformer"
            : Has(n => n.Contains("text_model.encoder", StringComparison.Ordinal) || n.StartsWith("encoder.block.", StringComparison.Ordinal))
                ? "it looks like a text encoder"
            : null;
        return new ModelFormatException(
            checkpoint.Path, $"the checkpoint has {missing}: it is no {model} transformer{(found is null ? string.Empty : "; " + found)}");
    }
}
