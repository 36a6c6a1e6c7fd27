using DiCacheNative.Imaging;

namespace DiCacheNative.Pipelines;

/// <summary>The decoder half of an image autoencoder.</summary>
public interface IVaeDecoder : IDisposable
{
    /// <summary>Whether the network takes latents of a size; false when it was made for another one alone.</summary>
    /// <param name="batch">Number of images.</param>
    /// <param name="height">Rows of the latent.</param>
    /// <param name="width">Columns of the latent.</param>
    bool Takes(int batch, int height, int width) => true;

    /// <summary>Decodes latents. May be called from several threads.</summary>
    /// <param name="latent">Latents [batch, C, height, width] in the space the network takes.</param>
    /// <param name="batch">Number of images.</param>
    /// <param name="height">Rows of the latent.</param>
    /// <param name="width">Columns of the latent.</param>
    /// <param name="cancellationToken">Ends the run early.</param>
    /// <returns>Images of 8 x height rows and 8 x width columns with the usual autoencoder.</returns>
    /// <exception cref="Tensors.ShapeException">The latent does not have these dimensions, or the network takes others.</exception>
    /// <exception cref="Backends.BackendException">The run failed.</exception>
    /// <exception cref="OperationCanceledException">The run was cancelled.</exception>
    ImagePlanes Decode(float[] latent, int batch, int height, int width, CancellationToken cancellationToken = default);
}
