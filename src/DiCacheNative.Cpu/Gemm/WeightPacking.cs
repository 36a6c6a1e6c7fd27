using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using DiCacheNative.Backends;
using DiCacheNative.Cpu.Threading;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cpu.Gemm;

/// <summary>Turns checkpoint matrices into a <see cref="CpuWeight"/>, once, at load.</summary>
internal static unsafe class WeightPacking
{
    // Columns handled at a time: a cache line of every row of the panel.
    private const int Block = 16;

    // A span has at most 2^31 - 1 bytes.
    private const int LargestRead = 1 << 30;

    /// <summary>Fills a weight and its bias from their parts.</summary>
    internal static void Fill(CpuWeight weight, in LinearSource source, ThreadTeam team)
    {
        HostTensor[] parts = [.. source.Weights];
        GCHandle handle = GCHandle.Alloc(parts);
        try
        {
            Arguments arguments = new()
            {
                Parts = GCHandle.ToIntPtr(handle),
                Type = weight.Type,
                N = weight.OutFeatures,
                K = weight.InFeatures,
                Width = weight.PanelWidth,
                Data = weight.Data,
                Plain = weight.Layout == WeightLayout.Plain,
            };
            team.Run(&FillPanel, &arguments, weight.Panels);
        }
        finally
        {
            handle.Free();
        }

        int bias = 0;
        foreach (HostTensor part in source.Biases)
        {
            part.CopyTo(new Span<float>(weight.Bias + bias, (int)part.Count));
            bias += (int)part.Count;
        }

        weight.HasBias = bias > 0;
        GC.KeepAlive(weight);
    }

    /// <summary>The type a weight is kept in: its own when it is a 16-bit one throughout, else F32.</summary>
    internal static DType StoredType(in LinearSource source)
    {
        DType type = source.Weights[0].Type;
        foreach (HostTensor part in source.Weights)
        {
            if (part.Type != type || type is not (DType.BF16 or DType.F16))
            {
                return DType.F32;
            }
        }

        return type;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void FillPanel(void* pointer, int panel, int worker)
    {
        ref Arguments a = ref *(Arguments*)pointer;
        HostTensor[] parts = (HostTensor[])GCHandle.FromIntPtr(a.Parts).Target!;
        int rows = Math.Min(a.Width, a.N - (panel * a.Width));
        byte** sources = stackalloc byte*[rows];
        DType* types = stackalloc DType[rows];
        byte* copy = (byte*)NativeMemory.Alloc((nuint)rows * (nuint)a.K, sizeof(double));
        try
        {
            Read(parts, a, panel * a.Width, rows, copy, sources, types);
            Pack(a, panel, rows, sources, types);
        }
        finally
        {
            NativeMemory.Free(copy);
        }
    }

    /// <summary>Copies rows of the stacked parts, each run of one part at once, and tells where each row begins.</summary>
    private static void Read(HostTensor[] parts, in Arguments a, int first, int rows, byte* to, byte** sources, DType* types)
    {
        int row = 0, partFirst = 0;
        foreach (HostTensor part in parts)
        {
            int from = first + row - partFirst, count = Math.Min(part.Shape[0] - from, rows - row);
            if (count > 0)
            {
                long rowBytes = (long)a.K * part.Type.Size(), bytes = count * rowBytes;
                for (long at = 0; at < bytes; at += LargestRead)
                {
                    part.CopyBytes(new Span<byte>(to + at, (int)Math.Min(LargestRead, bytes - at)), (from * rowBytes) + at);
                }

                for (int i = 0; i < count; i++, row++, to += rowBytes)
                {
                    sources[row] = to;
                    types[row] = part.Type;
                }
            }

            partFirst += part.Shape[0];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Pack(in Arguments a, int panel, int rows, byte** sources, DType* types)
    {
        int first = panel * a.Width, size = a.Type.Size();
        if (a.Plain)
        {
            for (int r = 0; r < rows; r++)
            {
                byte* to = a.Data + ((long)(first + r) * a.K * size);
                Convert(sources[r], types[r], to, a.Type, 0, a.K, 1);
            }

            return;
        }

        byte* data = a.Data + ((long)panel * a.Width * a.K * size);
        for (int k = 0; k < a.K; k += Block)
        {
            int count = Math.Min(Block, a.K - k);
            for (int r = 0; r < rows; r++)
            {
                Convert(sources[r], types[r], data + ((((long)k * a.Width) + r) * size), a.Type, k, count, a.Width);
            }

            for (int r = rows; r < a.Width; r++)
            {
                for (int i = 0; i < count; i++)
                {
                    new Span<byte>(data + (((((long)k + i) * a.Width) + r) * size), size).Clear();
                }
            }
        }
    }

    /// <summary>to[i * stride] = from[start + i] for i &lt; count, widened to F32 or rounded to BF16 where the types differ.</summary>
    private static void Convert(byte* from, DType fromType, byte* to, DType toType, int start, int count, int stride)
    {
        if (toType != DType.F32 && fromType != toType)
        {
            for (int i = 0; i < count; i++)
            {
                float value;
                Convert(from, fromType, (byte*)&value, DType.F32, start + i, 1, 1);
                ((ushort*)to)[(long)i * stride] = Bf16Rows.Round(value);
            }

            return;
        }

        if (toType != DType.F32)
        {
            for (int i = 0; i < count; i++)
            {
                ((ushort*)to)[(long)i * stride] = Unsafe.ReadUnaligned<ushort>(from + ((long)(start + i) * sizeof(ushort)));
            }

            return;
        }

        float* floats = (float*)to;
        switch (fromType)
        {
            case DType.F32:
                for (int i = 0; i < count; i++)
                {
                    floats[(long)i * stride] = Unsafe.ReadUnaligned<float>(from + ((long)(start + i) * sizeof(float)));
                }

                break;
            case DType.BF16:
                for (int i = 0; i < count; i++)
                {
                    uint bits = Unsafe.ReadUnaligned<ushort>(from + ((long)(start + i) * sizeof(ushort)));
                    floats[(long)i * stride] = BitConverter.UInt32BitsToSingle(bits << 16);
                }

                break;
            case DType.F16:
                for (int i = 0; i < count; i++)
                {
                    floats[(long)i * stride] = (float)Unsafe.ReadUnaligned<Half>(from + ((long)(start + i) * sizeof(ushort)));
                }

                break;
            default:
                for (int i = 0; i < count; i++)
                {
                    floats[(long)i * stride] = (float)Unsafe.ReadUnaligned<double>(from + ((long)(start + i) * sizeof(double)));
                }

                break;
        }
    }

    private struct Arguments
    {
        internal nint Parts;
        internal int N, K, Width;
        internal DType Type;
        internal byte* Data;
        internal bool Plain;
    }
}
