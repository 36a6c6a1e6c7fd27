using DiCacheNative.Tensors;
using DiCacheNative.Weights;

namespace DiCacheNative.Models;

/// <summary>What a checkpoint tells about its model without a configuration: shapes and counts.</summary>
internal static class CheckpointGeometry
{
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
    public static int Count(Checkpoint checkpoint, string blocks)
    {
        int count = 0;
        foreach (string name in checkpoint.Names)
        {
            if (name.StartsWith(blocks, StringComparison.Ordinal) && name.IndexOf('.', blocks.Length) is int dot and > 0
                && int.TryParse(name.AsSpan(blocks.Length, dot - blocks.Length), out int index) && index >= 0)
            {
                count = Math.Max(count, index + 1);
            }
        }

        return count;
    }
}
