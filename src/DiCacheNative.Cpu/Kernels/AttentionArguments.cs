using DiCacheNative.Cpu.Gemm;

namespace DiCacheNative.Cpu.Kernels;

/// <summary>One attention, for a run of (sample, head) pairs whose keys and values are packed at the same time.</summary>
internal unsafe struct AttentionArguments
{
    /// <summary>Keys per block: 4 panels of 48, 8 of 24 or 64 of 3. Keys and values of a block (196 KB at head width 128) share the second-level
    /// cache.</summary>
    internal const int KeyBlock = 192;

    /// <summary>Queries per task: often enough to use each block of keys, few enough to make many tasks.</summary>
    internal const int QueryBlock = 128;

    // Packed keys and values held at once: what a third-level cache may hold, not what a long video would need.
    private const long PackedLimit = 32 << 20;

    internal Operand Q, K, V, O;
    internal int Batch, Heads, HeadWidth, QueryRows, KeyRows;

    /// <summary>Softmax scale times log2 e: scores are exponents of two.</summary>
    internal float Factor;

    /// <summary>Columns of a value panel, two vectors, and the head width rounded up to it.</summary>
    internal int ValueWidth, PaddedWidth;

    /// <summary>Keys of a key panel, three vectors, and the number of keys rounded up to it.</summary>
    internal int KeyWidth, PaddedKeys;

    /// <summary>First pair of this run, and how many.</summary>
    internal int FirstPair, Pairs;

    internal float* Packed;
    internal byte* Scratch;
    internal long ScratchPerWorker;

    internal readonly int QueryBlocks => (QueryRows + QueryBlock - 1) / QueryBlock;

    internal readonly int KeyBlocks => (KeyRows + KeyBlock - 1) / KeyBlock;

    /// <summary>Floats of packed keys of one pair; the values follow.</summary>
    internal readonly long KeyFloats => (long)PaddedKeys * HeadWidth;

    /// <summary>Floats of packed keys and values of one pair.</summary>
    internal readonly long PairFloats => KeyFloats + ((long)KeyRows * PaddedWidth);

    /// <summary>Pairs per run: runs of even length that stay under the limit.</summary>
    internal readonly int PairsPerRun
    {
        get
        {
            long all = (long)Batch * Heads, fit = Math.Clamp(PackedLimit / (PairFloats * sizeof(float)), 1, all);
            long runs = (all + fit - 1) / fit;
            return (int)((all + runs - 1) / runs);
        }
    }

    /// <summary>Bytes of scratch per worker: packed queries, results, one block of scores, and maximum, sum and factor per query.</summary>
    internal readonly long ScratchBytes(int tileRows)
    {
        long floats = ((long)QueryBlock * (HeadWidth + PaddedWidth)) + (tileRows * KeyBlock) + (2 * QueryBlock) + 64;
        return ((floats * sizeof(float)) + 4095) & ~4095L;
    }
}

/// <summary>A tile of attention results: probabilities as they lie in the score block, results rescaled as the maximum grows.</summary>
internal readonly struct ValueTile<TRows> : ITile
    where TRows : struct, IRowCount
{
    public static int Rows => TRows.Value;

    public static int Columns => 2;

    public static int InputStride => AttentionArguments.KeyBlock;

    public static bool Rescales => true;
}
