using DiCacheNative.Tensors;

namespace DiCacheNative.Fuzz;

/// <summary>One reader under attack: makes an input from random numbers, and reads it.</summary>
/// <param name="name">Name on the command line.</param>
/// <param name="weight">Its share of the cases, relative to the others.</param>
/// <param name="documented">Exceptions that it documents besides those of the engine (<see cref="DiCacheException"/>) and IOException.</param>
internal abstract class Target(string name, double weight, params Type[] documented)
{
    public string Name => name;

    /// <summary>0 for targets that run only when they are named.</summary>
    public double Weight => weight;

    /// <summary>Makes an input and reads it. The same random numbers make the same input.</summary>
    /// <param name="random">Source of everything that is random.</param>
    /// <param name="folder">An empty folder for the input's files.</param>
    public abstract void Run(Random random, string folder);

    /// <summary>Whether an exception is an answer. One of shapes is the answer to a caller, not to a file.</summary>
    public bool IsDocumented(Exception e) => e is (DiCacheException and not ShapeException) or IOException || documented.Any(t => t.IsInstanceOfType(e));

    protected static void Write(string folder, string file, ReadOnlySpan<byte> bytes)
    {
        string path = Path.Combine(folder, file);
        if (file.Contains('/', StringComparison.Ordinal))
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        }

        File.WriteAllBytes(path, bytes);
    }
}
