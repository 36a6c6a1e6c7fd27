using System.Runtime.CompilerServices;
using DiCacheNative.Cpu.Simd;

namespace DiCacheNative.Cpu.Gemm;

/// <summary>Shape of a register tile, known when the kernel is compiled.</summary>
internal interface ITile
{
    /// <summary>Rows of the tile, 1 to 8.</summary>
    static abstract int Rows { get; }

    /// <summary>Vectors per row, 2 or 3.</summary>
    static abstract int Columns { get; }

    /// <summary>
    /// Floats from one input row to the next, for inputs that lie row by row; 0 for packed inputs, where the rows of one step lie side by
    /// side, as many as the widest tile has.
    /// </summary>
    static abstract int InputStride { get; }

    /// <summary>True: the old result is multiplied by a factor per row before the sums are added (attention).</summary>
    static abstract bool Rescales { get; }
}

/// <summary>A number known when a kernel is compiled.</summary>
internal interface IRowCount
{
    static abstract int Value { get; }
}

/// <summary>Element type of the packed operand.</summary>
internal unsafe interface IPanelElement
{
    /// <summary>Bytes.</summary>
    static abstract int Size { get; }

    /// <summary>Loads a vector of elements, widened to floats.</summary>
    static abstract TVector Load<TSimd, TVector, TWide>(byte* source)
        where TSimd : struct, ISimd<TVector, TWide>
        where TVector : struct
        where TWide : struct;
}

/// <summary>A tile of a linear layer: packed inputs, sums added to what is there.</summary>
internal readonly struct LinearTile<TRows> : ITile
    where TRows : struct, IRowCount
{
    public static int Rows => TRows.Value;

    public static int Columns => 3;

    public static int InputStride => 0;

    public static bool Rescales => false;
}

internal readonly struct Rows1 : IRowCount
{
    public static int Value => 1;
}

internal readonly struct Rows2 : IRowCount
{
    public static int Value => 2;
}

internal readonly struct Rows3 : IRowCount
{
    public static int Value => 3;
}

internal readonly struct Rows4 : IRowCount
{
    public static int Value => 4;
}

internal readonly struct Rows5 : IRowCount
{
    public static int Value => 5;
}

internal readonly struct Rows6 : IRowCount
{
    public static int Value => 6;
}

internal readonly struct Rows7 : IRowCount
{
    public static int Value => 7;
}

internal readonly struct Rows8 : IRowCount
{
    public static int Value => 8;
}

internal readonly unsafe struct F32Element : IPanelElement
{
    public static int Size => sizeof(float);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Load<TSimd, TVector, TWide>(byte* source)
        where TSimd : struct, ISimd<TVector, TWide>
        where TVector : struct
        where TWide : struct => TSimd.Load((float*)source);
}

internal readonly unsafe struct Bf16Element : IPanelElement
{
    public static int Size => sizeof(ushort);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Load<TSimd, TVector, TWide>(byte* source)
        where TSimd : struct, ISimd<TVector, TWide>
        where TVector : struct
        where TWide : struct => TSimd.LoadBf16((ushort*)source);
}

internal readonly unsafe struct F16Element : IPanelElement
{
    public static int Size => sizeof(ushort);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Load<TSimd, TVector, TWide>(byte* source)
        where TSimd : struct, ISimd<TVector, TWide>
        where TVector : struct
        where TWide : struct => TSimd.LoadF16((ushort*)source);
}
