namespace DiCacheNative.Models;

/// <summary>Floating-point operations of the four segments of one model call (2 per multiply-add; matrix products and attention only).</summary>
/// <param name="Embed">Embedding of latents and conditions.</param>
/// <param name="Probe">Blocks of the probe.</param>
/// <param name="Body">The other blocks.</param>
/// <param name="Head">Final projection.</param>
public readonly record struct SegmentFlops(double Embed, double Probe, double Body, double Head)
{
    /// <summary>A computed call.</summary>
    public double Full => Embed + Probe + Body + Head;

    /// <summary>A call skipped after its probe.</summary>
    public double Skip => Embed + Probe + Head;

    /// <summary>
    /// Ideal speed-up of a schedule: every computed call costs <see cref="Full"/>, every skipped one <see cref="Skip"/>, and deciding and
    /// blending cost nothing.
    /// </summary>
    public double IdealSpeedUp(int computed, int skipped) => (computed + skipped) * Full / ((computed * Full) + (skipped * Skip));
}
