using System.Diagnostics.CodeAnalysis;
using DiCacheNative.Tensors;

namespace DiCacheNative.Weights;

/// <summary>
/// The weights of a model: one safetensors file, or several, named by an index (<c>*.safetensors.index.json</c>) or numbered
/// (<c>*-00001-of-00002.safetensors</c>). Opening reads headers only. Tensors are valid until the checkpoint is disposed.
/// </summary>
public sealed class Checkpoint : IDisposable
{
    private readonly Dictionary<string, SafetensorsFile> _owners = new(StringComparer.Ordinal);
    private readonly List<SafetensorsFile> _files = [];

    private Checkpoint(string path) => Path = path;

    /// <summary>The file or index that was opened; for a directory, the one found in it, or the first of the numbered files.</summary>
    public string Path { get; }

    /// <summary>Names of all tensors, those of types the engine does not know included.</summary>
    public IReadOnlyCollection<string> Names => _owners.Keys;

    /// <summary>Number of files the tensors lie in.</summary>
    public int FileCount => _files.Count;

    /// <summary>Opens a checkpoint.</summary>
    /// <param name="path">
    /// A .safetensors file, one of several numbered ones, an index of shards, or a directory that holds one checkpoint. Variants of a
    /// checkpoint (.fp16., .bf16., .ema.) give way to the plain one, and hidden files are no checkpoints.
    /// </param>
    /// <exception cref="ModelFormatException">
    /// Nothing is there, the choice is ambiguous, or a file, the index or a shard is not valid; the message names the file.
    /// </exception>
    public static Checkpoint Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        IReadOnlyList<string> files = Directory.Exists(path) ? CheckpointFolder.Find(path) : CheckpointFolder.WithSiblings(path);
        Checkpoint checkpoint = new(files[0]);
        try
        {
            if (files[0].EndsWith(".json", StringComparison.OrdinalIgnoreCase))
            {
                checkpoint.OpenShards();
            }
            else
            {
                foreach (string file in files)
                {
                    checkpoint.AddFile(file);
                }
            }

            return checkpoint;
        }
        catch
        {
            checkpoint.Dispose();
            throw;
        }
    }

    /// <summary>True when there is a tensor of that name, of whatever type.</summary>
    public bool Contains(string name) => _owners.ContainsKey(name);

    /// <summary>A tensor by name.</summary>
    /// <exception cref="ModelFormatException">There is none, or the engine does not know its type.</exception>
    public HostTensor Get(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        return _owners.TryGetValue(name, out SafetensorsFile? file)
            ? file.Get(name)
            : throw new ModelFormatException(Path, $"there is no tensor '{name}'");
    }

    /// <summary>A tensor by name, if there is one.</summary>
    /// <exception cref="ModelFormatException">The engine does not know the tensor's type.</exception>
    public bool TryGet(string name, out HostTensor tensor)
    {
        bool found = _owners.TryGetValue(name, out SafetensorsFile? file);
        tensor = found ? file!.Get(name) : default;
        return found;
    }

    /// <summary>The type of a tensor as its file spells it when the engine does not know it, otherwise null.</summary>
    internal string? UnsupportedType(string name) => _owners[name].Unsupported.GetValueOrDefault(name);

    /// <summary>Shape of a tensor, of whatever type.</summary>
    internal ReadOnlySpan<int> ShapeOf(string name) => _owners[name].ShapeOf(name);

    /// <summary>Closes all files; tensors must not be used any more.</summary>
    public void Dispose()
    {
        _files.ForEach(f => f.Dispose());
        _files.Clear();
        _owners.Clear();
    }

    private void OpenShards()
    {
        IReadOnlyDictionary<string, string> weightMap = SafetensorsIndex.Read(Path);
        string directory = System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(Path))!;
        Dictionary<string, SafetensorsFile> shards = new(StringComparer.Ordinal);
        foreach (string shard in weightMap.Values.Distinct().Order(StringComparer.Ordinal))
        {
            string path = System.IO.Path.Combine(directory, shard);
            if (!File.Exists(path))
            {
                Fail($"the shard {path} is missing");
            }

            shards.Add(shard, AddFile(path));
        }

        foreach ((string name, string shard) in weightMap)
        {
            if (!_owners.TryGetValue(name, out SafetensorsFile? owner))
            {
                Fail($"tensor '{name}' should be in {shard} but is in no shard");
            }

            if (owner != shards[shard])
            {
                Fail($"tensor '{name}' should be in {shard} but is in {owner.Path}");
            }
        }
    }

    private SafetensorsFile AddFile(string path)
    {
        SafetensorsFile file = SafetensorsFile.Open(path);
        _files.Add(file);
        foreach (string name in file.Tensors.Keys.Concat(file.Unsupported.Keys))
        {
            if (!_owners.TryAdd(name, file))
            {
                Fail($"tensor '{name}' is in two shards, {_owners[name].Path} and {path}");
            }
        }

        return file;
    }

    [DoesNotReturn]
    private void Fail(string what) => throw new ModelFormatException(Path, what);
}
