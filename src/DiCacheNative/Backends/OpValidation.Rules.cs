using System.Diagnostics.CodeAnalysis;
using DiCacheNative.Tensors;

namespace DiCacheNative.Backends;

/// <content>The single rules that the checks are made of.</content>
public static partial class OpValidation
{
    /// <summary>True when two views have an element in common. Exact when their strides agree; otherwise true when their address ranges meet.</summary>
    /// <param name="a">A tensor.</param>
    /// <param name="b">Another tensor; an empty one overlaps nothing.</param>
    public static bool Overlap(in Tensor a, in Tensor b)
    {
        if (a.IsEmpty || b.IsEmpty || a.Data >= End(b) || b.Data >= End(a))
        {
            return false;
        }

        // The stride of a dimension of length 1 is never used, so it may be taken from the other view.
        int size = a.Type.Size();
        long row = a.Rows > 1 ? a.RowStride : b.Rows > 1 ? b.RowStride : 1L << 60;
        long batch = a.Batch > 1 ? a.BatchStride : b.BatchStride;
        long distance = b.Data - a.Data;
        if (b.Type.Size() != size || distance % size != 0 || row < Math.Max(a.Cols, b.Cols)
            || (b.Rows > 1 && b.RowStride != row) || (b.Batch > 1 && b.BatchStride != batch))
        {
            return true;
        }

        distance /= size;
        for (long sample = 1 - a.Batch; sample < b.Batch; sample++)
        {
            // Is there a pair of rows and a pair of columns whose distance cancels what is left?
            long left = distance + (sample * batch);
            long rows = left >= 0 ? left / row : -((row - 1 - left) / row);
            for (long r = rows; r <= rows + 1; r++)
            {
                long cols = left - (r * row);
                if (r > -b.Rows && r < a.Rows && cols > -b.Cols && cols < a.Cols)
                {
                    return true;
                }
            }
        }

        return false;
    }

    private static nint End(in Tensor t)
    {
        long last = ((t.Batch - 1) * t.BatchStride) + ((t.Rows - 1) * t.RowStride) + t.Cols;
        return t.Data + (nint)(last * t.Type.Size());
    }

    /// <summary>Refuses a tensor whose arena was disposed, and tells the plan being recorded, if any, that it needs the arena.</summary>
    internal static void RequireAlive(string op, string name, in Tensor t)
    {
        if (t.Owner is { } arena)
        {
            if (arena.IsDisposed)
            {
                throw new ObjectDisposedException(nameof(Arena), $"{op}: {name} {t} belongs to an arena that was disposed");
            }

            PlanMemory.Needs(arena);
        }
    }

    private static void RequireAlive(LinearWeight weight)
    {
        if (weight.IsDisposed)
        {
            throw new ObjectDisposedException(nameof(LinearWeight), $"linear: the weight {weight.Name} was disposed");
        }

        PlanMemory.Needs(weight);
    }

    private static void RequireOperand(string op, string name, in Tensor t)
    {
        if (t.IsEmpty)
        {
            throw new ShapeException($"{op}: operand {name} is missing");
        }

        RequireAlive(op, name, t);
        if (t.Batch <= 0 || t.Rows <= 0 || t.Cols <= 0)
        {
            throw new ShapeException($"{op}: {name} {t} has no elements");
        }

        if ((t.Rows > 1 && t.RowStride < t.Cols) || (t.Batch > 1 && t.BatchStride < 0))
        {
            throw new ShapeException($"{op}: {name} {t} has row stride {t.RowStride} and batch stride {t.BatchStride}: rows must not overlap");
        }

        if (t.Data % t.Type.Size() != 0)
        {
            throw new ShapeException($"{op}: {name} {t} does not start at a whole element");
        }
    }

    private static void RequireType(string op, string name, in Tensor t, DType type)
    {
        RequireOperand(op, name, t);
        if (t.Type != type)
        {
            throw new ShapeException($"{op}: {name} {t} should be of type {type}");
        }
    }

    /// <summary>The activation type, or F32.</summary>
    private static void RequireActivation(string op, string name, in Tensor t, DType activation)
    {
        RequireOperand(op, name, t);
        if (t.Type != activation && t.Type != DType.F32)
        {
            throw new ShapeException($"{op}: {name} {t} should be of type {(activation == DType.F32 ? "F32" : $"{activation} or F32")}");
        }
    }

    private static void RequireSameShape(string op, string name, in Tensor t, string otherName, in Tensor other)
    {
        if (!t.SameShape(other))
        {
            ThrowPair(op, name, t, otherName, other);
        }
    }

    private static void RequireRows(string op, string name, in Tensor t, string otherName, in Tensor other)
    {
        if (t.Batch != other.Batch || t.Rows != other.Rows)
        {
            ThrowPair(op, name, t, otherName, other);
        }
    }

    private static void RequireScalar(string op, string name, in Tensor t)
    {
        RequireType(op, name, t, DType.F32);
        if (t.Count != 1)
        {
            throw new ShapeException($"{op}: {name} {t} should be F32 [1, 1, 1]");
        }
    }

    /// <summary>F32 [B or 1, 1, D], or empty.</summary>
    private static void RequireBroadcastRow(string op, string name, in Tensor t, in Tensor x)
    {
        if (t.IsEmpty)
        {
            return;
        }

        RequireType(op, name, t, DType.F32);
        if (t.Rows != 1 || t.Cols != x.Cols || (t.Batch != 1 && t.Batch != x.Batch))
        {
            throw new ShapeException($"{op}: {name} {t} should be F32 [{x.Batch} or 1, 1, {x.Cols}] to fit {x}");
        }
    }

    private static void RequireModulation(string op, in Modulation modulation, in Tensor x)
    {
        RequireBroadcastRow(op, "modulation.Shift", modulation.Shift, x);
        RequireBroadcastRow(op, "modulation.Scale", modulation.Scale, x);
    }

    private static void RequireNormScale(string op, string name, in Tensor scale, in Tensor x, int headWidth)
    {
        RequireType(op, name, scale, DType.F32);
        if (scale.Batch != 1 || scale.Rows != 1 || (scale.Cols != headWidth && scale.Cols != x.Cols))
        {
            throw new ShapeException($"{op}: {name} {scale} should be F32 [1, 1, {headWidth}] or [1, 1, {x.Cols}] to fit {x}");
        }
    }

    private static int RequireHeads(string op, string name, in Tensor t, int heads)
    {
        if (heads <= 0 || t.Cols % heads != 0)
        {
            throw new ShapeException($"{op}: {name} {t} cannot be divided into {heads} heads");
        }

        int width = t.Cols / heads;
        if (width > MaxHeadWidth)
        {
            throw new ShapeException($"{op}: {name} {t} with {heads} heads has heads of {width}; at most {MaxHeadWidth} are supported");
        }

        return width;
    }

    /// <summary>An output must not write one element twice: samples lie apart, or interleave between rows.</summary>
    private static void RequireWritable(string op, string name, in Tensor t)
    {
        bool apart = t.BatchStride >= ((t.Rows - 1) * t.RowStride) + t.Cols;
        bool interleaved = t.BatchStride >= t.Cols && (t.Rows == 1 || t.RowStride >= ((t.Batch - 1) * t.BatchStride) + t.Cols);
        if (t.Batch > 1 && !apart && !interleaved)
        {
            throw new ShapeException($"{op}: {name} {t} with row stride {t.RowStride} and batch stride {t.BatchStride} would write elements twice");
        }
    }

    private static void RequireDisjoint(string op, string name, in Tensor t, string otherName, in Tensor other)
    {
        if (Overlap(t, other))
        {
            throw new ShapeException($"{op}: {name} {t} shares memory with {otherName} {other}");
        }
    }

    private static void RequireSameOrDisjoint(string op, string name, in Tensor t, string otherName, in Tensor other)
    {
        bool same = t.Data == other.Data && t.Type == other.Type && t.SameShape(other)
            && (t.Rows == 1 || t.RowStride == other.RowStride) && (t.Batch == 1 || t.BatchStride == other.BatchStride);
        if (!same && Overlap(t, other))
        {
            throw new ShapeException($"{op}: {name} {t} shares part of its memory with {otherName} {other}: it should be the same view or apart");
        }
    }

    private static void RequireFloating(string name, in HostTensor part)
    {
        if (part.Type is DType.I64 or DType.I32)
        {
            throw new ShapeException($"linear weight {name}: {part.Name} {part.ShapeText} is of type {part.Type}; a weight is a floating-point tensor");
        }
    }

    [DoesNotReturn]
    private static void ThrowPair(string op, string name, in Tensor t, string otherName, in Tensor other) =>
        throw new ShapeException($"{op}: {name} {t} does not fit {otherName} {other}");

    [DoesNotReturn]
    private static void ThrowWeight(string name, in Tensor t, LinearWeight weight, int width) =>
        throw new ShapeException($"linear: {name} {t} should be {width} wide to fit {weight.Name} [{weight.OutFeatures}, {weight.InFeatures}]");
}
