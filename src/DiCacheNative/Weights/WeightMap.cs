using DiCacheNative.Tensors;

namespace DiCacheNative.Weights;

/// <summary>
/// The tensors a model takes from a checkpoint. A model takes everything it needs and then calls <see cref="Finish"/>, which reports all
/// that is missing, left over or of another shape in one sentence. Until then a tensor that is missing or misshapen is replaced by one
/// of the expected shape without values, so that a loader can slice it and go on.
/// </summary>
public sealed class WeightMap
{
    private readonly Checkpoint _checkpoint;
    private readonly string _model;
    private readonly string _prefix;
    private readonly HashSet<string> _taken = new(StringComparer.Ordinal);
    private readonly Findings _missing = new("missing"), _misshapen = new("of another shape"), _unsupported = new("of a type that is not supported");

    /// <summary>Starts with nothing taken.</summary>
    /// <param name="checkpoint">Where the tensors are; it must outlive the tensors taken.</param>
    /// <param name="model">Name of the model for the message, as in "FLUX".</param>
    /// <param name="prefix">
    /// What the model's names start with in this checkpoint, as in "model.diffusion_model."; names that start otherwise are left alone.
    /// </param>
    public WeightMap(Checkpoint checkpoint, string model, string prefix = "")
    {
        ArgumentNullException.ThrowIfNull(checkpoint);
        ArgumentNullException.ThrowIfNull(prefix);
        (_checkpoint, _model, _prefix) = (checkpoint, model, prefix);
    }

    /// <summary>True when the checkpoint has a tensor of that name.</summary>
    public bool Contains(string name) => _checkpoint.Contains(_prefix + name);

    /// <summary>Takes a tensor that must be there. Taking one twice is allowed.</summary>
    /// <param name="name">Name without the prefix.</param>
    /// <param name="shape">The shape it must have.</param>
    /// <returns>The tensor, or one of that shape without values if it is missing, misshapen or of an unknown type.</returns>
    public HostTensor Take(string name, params ReadOnlySpan<int> shape)
    {
        string full = _prefix + name;
        bool first = _taken.Add(full);
        if (!_checkpoint.Contains(full))
        {
            _missing.Add(first, $"{full} {Text(shape)}");
        }
        else if (_checkpoint.UnsupportedType(full) is string type)
        {
            _unsupported.Add(first, $"{full} ({type})");
        }
        else
        {
            HostTensor tensor = _checkpoint.Get(full);
            if (tensor.Type is DType.I64 or DType.I32)
            {
                _unsupported.Add(first, $"{full} ({tensor.Type})");
            }
            else if (tensor.Shape.SequenceEqual(shape))
            {
                return tensor;
            }
            else
            {
                _misshapen.Add(first, $"{full} is {tensor.ShapeText} instead of {Text(shape)}");
            }
        }

        return new HostTensor(full, 0, DType.F32, shape.ToArray());
    }

    /// <summary>Takes a tensor if it is there.</summary>
    /// <returns>As <see cref="Take"/>, or null if the checkpoint has no tensor of that name.</returns>
    public HostTensor? TakeIfPresent(string name, params ReadOnlySpan<int> shape) => Contains(name) ? Take(name, shape) : null;

    /// <summary>Leaves a tensor unused without it being reported as left over.</summary>
    public void Ignore(string name) => _taken.Add(_prefix + name);

    /// <summary>Checks that everything was there in the right shape and that no weight is left over.</summary>
    /// <param name="log">
    /// Told in one sentence about tensors that are left over but cannot be weights: empty ones, scalars, and marks of other programs.
    /// </param>
    /// <exception cref="ModelFormatException">Something does not fit; the message lists it, with the shapes found and expected.</exception>
    public void Finish(Action<string>? log = null)
    {
        Findings extra = new("left over"), unused = new("not used, since no layer of the model takes it");
        foreach (string name in _checkpoint.Names.Where(n => n.StartsWith(_prefix, StringComparison.Ordinal) && !_taken.Contains(n)).Order(
            StringComparer.Ordinal))
        {
            (IsNoWeight(name) ? unused : extra).Add(true, $"{name} {_checkpoint.UnsupportedType(name) ?? string.Empty}{Text(_checkpoint.ShapeOf(name))}");
        }

        string[] problems = [.. new[] { _missing, extra, _misshapen, _unsupported }.Where(f => f.Count > 0).Select(f => f.ToString())];
        if (problems.Length > 0)
        {
            throw new ModelFormatException(_checkpoint.Path, $"the checkpoint does not fit {_model}: {string.Join("; ", problems)}");
        }

        if (unused.Count > 0)
        {
            log?.Invoke($"{_checkpoint.Path}: {unused}");
        }
    }

    // A scale of a quantized layer is a scalar too, and leaving it out would change the layer.
    private bool IsNoWeight(string name)
    {
        ReadOnlySpan<int> shape = _checkpoint.ShapeOf(name);
        string last = name[(name.LastIndexOf('.') + 1)..];
        bool isMark = last is "scaled_fp8" or "global_step" or "__extra__" or "_extra_state" or "__index_timestep_zero__";
        return isMark || ((shape.Length == 0 || shape.Contains(0)) && !last.Contains("scale", StringComparison.OrdinalIgnoreCase));
    }

    private static string Text(ReadOnlySpan<int> shape) => "[" + string.Join(", ", shape.ToArray()) + "]";

    /// <summary>Tensors with one thing wrong: how many, and the first of them.</summary>
    private sealed class Findings(string what)
    {
        private readonly List<string> _first = [];

        public int Count { get; private set; }

        public void Add(bool isNew, string text)
        {
            if (isNew && ++Count <= Listing.Shown)
            {
                _first.Add(text);
            }
        }

        public override string ToString() => $"{Count} {(Count == 1 ? "tensor is" : "tensors are")} {what} ({Listing.Of(_first, Count)})";
    }
}
