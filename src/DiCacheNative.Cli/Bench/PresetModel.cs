using DiCacheNative.Backends;
using DiCacheNative.Models;
using DiCacheNative.Sampling;

namespace DiCacheNative.Cli.Bench;

/// <summary>A model of random weights, and how to lay it out with conditions of noise.</summary>
/// <param name="model">Its weights; disposed with this.</param>
/// <param name="createProgram">Lays it out for a number of steps, on the model's backend or on one that passes operations on to it.</param>
internal sealed class PresetModel(IDisposable model, Func<int, IBackend?, DiTProgram> createProgram) : IDisposable
{
    public DiTProgram CreateProgram(int steps, IBackend? backend) => createProgram(steps, backend);

    public void Dispose() => model.Dispose();

    /// <summary>Seeded noise.</summary>
    public static float[] Noise(long count)
    {
        float[] values = new float[count];
        INoiseSource.Create(RngKind.Torch, 1).Fill(values);
        return values;
    }
}
