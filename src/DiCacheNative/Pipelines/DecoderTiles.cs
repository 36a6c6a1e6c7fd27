namespace DiCacheNative.Pipelines;

/// <summary>How latents are cut along one axis.</summary>
internal static class DecoderTiles
{
    /// <summary>Tiles along one axis: whole ones, and a shorter one at the end, each sharing the overlap with its neighbour and nothing with others.</summary>
    /// <param name="length">Latents along the axis.</param>
    /// <param name="tile">Largest tile.</param>
    /// <param name="overlap">What neighbours share.</param>
    public static (int Start, int Count)[] Split(int length, int tile, int overlap)
    {
        if (length <= tile)
        {
            return [(0, length)];
        }

        int step = tile - overlap, count = (length - overlap + step - 1) / step;
        return [.. Enumerable.Range(0, count).Select(i => (i * step, Math.Min(tile, length - (i * step))))];
    }
}

/// <summary>Weights of a tile along one axis: 1, except where it fades in or out. Those of all tiles add up to 1 everywhere.</summary>
/// <param name="Start">First decoded value of the tile.</param>
/// <param name="Weights">A weight for each decoded value.</param>
internal readonly record struct TileRamp(int Start, float[] Weights)
{
    /// <summary>The ramps of all tiles of an axis.</summary>
    /// <param name="tiles">Tiles in latents.</param>
    /// <param name="scale">Values per latent.</param>
    /// <param name="shared">Values that neighbours share.</param>
    /// <param name="last">Values that the last latent of a tile adds: as many as the others in space; in time, 1, since the first frame has no three before
    /// it.</param>
    public static TileRamp[] Along((int Start, int Count)[] tiles, int scale, int shared, int last)
    {
        TileRamp[] ramps = new TileRamp[tiles.Length];
        for (int i = 0; i < tiles.Length; i++)
        {
            float[] weights = new float[(scale * (tiles[i].Count - 1)) + last];
            Array.Fill(weights, 1f);
            for (int k = 0; k < shared; k++)
            {
                float later = (k + 1f) / (shared + 1);
                if (i > 0)
                {
                    weights[k] = later;
                }

                if (i < tiles.Length - 1)
                {
                    weights[weights.Length - shared + k] = 1 - later;
                }
            }

            ramps[i] = new TileRamp(scale * tiles[i].Start, weights);
        }

        return ramps;
    }
}
