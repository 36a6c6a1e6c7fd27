namespace DiCacheNative.Cpu.Simd;

/// <summary>
/// One vector width, as static operations over a vector type, so that a kernel is written once and compiled for each width. All members
/// are single instructions, or the few that stand for one.
/// </summary>
/// <typeparam name="TVector">A vector of <see cref="Width"/> floats.</typeparam>
/// <typeparam name="TWide">Half as many doubles (the double itself where the width is 1).</typeparam>
internal unsafe interface ISimd<TVector, TWide>
    where TVector : struct
    where TWide : struct
{
    /// <summary>Floats in a vector.</summary>
    static abstract int Width { get; }

    /// <summary>Rows of a matrix tile held in registers, beside three vectors of columns.</summary>
    static abstract int TileRows { get; }

    static abstract TVector Zero { get; }

    static abstract TVector Create(float value);

    static abstract TVector Load(float* source);

    /// <summary>Widens bfloat16, exactly.</summary>
    static abstract TVector LoadBf16(ushort* source);

    /// <summary>Widens binary16, exactly.</summary>
    static abstract TVector LoadF16(ushort* source);

    static abstract void Store(float* destination, TVector value);

    /// <summary>Asks for a cache line ahead of its use; any address is fine.</summary>
    static abstract void Fetch(byte* address);

    static abstract TVector Add(TVector a, TVector b);

    static abstract TVector Subtract(TVector a, TVector b);

    static abstract TVector Multiply(TVector a, TVector b);

    static abstract TVector Divide(TVector a, TVector b);

    /// <summary>a * b + c; rounded once where the processor can.</summary>
    static abstract TVector MultiplyAdd(TVector a, TVector b, TVector c);

    static abstract TVector Abs(TVector a);

    /// <summary>The larger; b where either is NaN.</summary>
    static abstract TVector Max(TVector a, TVector b);

    /// <summary>The smaller; b where either is NaN.</summary>
    static abstract TVector Min(TVector a, TVector b);

    /// <summary>To the nearest integer, ties to even.</summary>
    static abstract TVector Round(TVector a);

    /// <summary>a * 2^n for integral n in [-252, 254], through subnormals and to infinity.</summary>
    static abstract TVector Scale(TVector a, TVector n);

    /// <summary>Per element: test &lt; 0 ? negative : otherwise.</summary>
    static abstract TVector SelectNegative(TVector test, TVector negative, TVector otherwise);

    /// <summary>Exchanges the elements of each pair (0, 1), (2, 3)…; not called where the width is 1.</summary>
    static abstract TVector SwapPairs(TVector a);

    /// <summary>All elements added in one fixed order.</summary>
    static abstract float Sum(TVector a);

    /// <summary>The largest element; NaN may be lost.</summary>
    static abstract float MaxAcross(TVector a);

    static abstract TWide ZeroWide { get; }

    /// <summary>Adds the elements to double lanes: the lower half to low, the upper half to high.</summary>
    static abstract void AddWide(ref TWide low, ref TWide high, TVector value);

    /// <summary>All lanes added in one fixed order.</summary>
    static abstract double SumWide(TWide low, TWide high);
}
