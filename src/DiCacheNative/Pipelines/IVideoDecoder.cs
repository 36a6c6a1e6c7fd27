using DiCacheNative.Imaging;
using DiCacheNative.Models;

namespace DiCacheNative.Pipelines;

/// <summary>The decoder half of a causal video autoencoder: 8 pixels per latent along both sides, 4 frames per latent frame after the first.</summary>
public interface IVideoDecoder : IDisposable
{
    /// <summary>Decodes the latents of one video. May be called from several threads.</summary>
    /// <param name="latent">Latents [C, f, h, w] in the space the network takes.</param>
    /// <param name="size">f, h and w.</param>
    /// <param name="cancellationToken">Ends the run early.</param>
    /// <returns>4 (f - 1) + 1 frames of 8 h rows and 8 w columns, [F, 3, H, W] with the frames as the batch.</returns>
    /// <exception cref="Tensors.ShapeException">The latent does not have these dimensions, or the network takes others.</exception>
    /// <exception cref="Backends.BackendException">The run failed.</exception>
    /// <exception cref="OperationCanceledException">The run was cancelled.</exception>
    ImagePlanes Decode(float[] latent, LatentSize size, CancellationToken cancellationToken = default);
}
