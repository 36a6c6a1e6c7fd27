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
    private readonly List<string> _missing = [];
    private readonly List<string> _misshapen = [];
    private readonly List<string> _unsupported = [];

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
            Note(_missing, first, $"{full} {Text(shape)}");
        }
        else if (_checkpoint.UnsupportedType(full) is string type)
        {
            Note(_unsupported, first, $"{full} ({type})");
        }
        else
        {
            HostTensor tensor = _checkpoint.Get(full);
            if (tensor.Shape.SequenceEqual(shape))
            {
                return tensor;
            }

            Note(_misshapen, first, $"{full} is {tensor.ShapeText} instead of {Text(shape)}");
        }

        return new HostTensor(full, 0, DType.F32, shape.ToArray());
    }

    /// <summary>Takes a tensor if it is there.</summary>
    /// <returns>As <see cref="Take"/>, or null if the checkpoint has no tensor of that name.</returns>
    public HostTensor? TakeIfPresent(string name, params ReadOnlySpan<int> shape) => Contains(name) ? Take(name, shape) : null;

    /// <summary>Leaves a tensor unused without it being reported as left over.</summary>
    public void Ignore(string name) => _taken.Add(_prefix + name);

    /// <summary>Checks that everything was there in the right shape and that nothing is left over.</summary>
    /// <exception cref="ModelFormatException">Something does not fit; the message lists it, with the shapes found and expected.</exception>
    public void Finish()
    {
        List<string> extra =
        [
            .. _checkpoint.Names.Where(n => n.StartsWith(_prefix, StringComparison.Ordinal) && !_taken.Contains(n))
                .Order(StringComparer.Ordinal)
                .Select(n => _checkpoint.UnsupportedType(n) is string type ? $"{n} ({type})" : $"{n} {_checkpoint.Get(n).ShapeText}"),
        ];
        List<string> problems = [];
        Report(problems, _missing, "missing");
        Report(problems, extra, "left over");
        Report(problems, _misshapen, "of another shape");
        Report(problems, _unsupported, "of a type that is not supported");
        if (problems.Count > 0)
        {
            throw new ModelFormatException(_checkpoint.Path, $"the checkpoint does not fit {_model}: {string.Join("; ", problems)}");
        }
    }

    private static void Note(List<string> list, bool first, string text)
    {
        if (first)
        {
            list.Add(text);
        }
    }

    private static void Report(List<string> problems, List<string> tensors, string what)
    {
        if (tensors.Count > 0)
        {
            problems.Add($"{tensors.Count} {(tensors.Count == 1 ? "tensor is" : "tensors are")} {what} ({Listing.Of(tensors)})");
        }
    }

    private static string Text(ReadOnlySpan<int> shape) => "[" + string.Join(", ", shape.ToArray()) + "]";
}
