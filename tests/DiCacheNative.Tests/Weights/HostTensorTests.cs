using System.Runtime.InteropServices;
using DiCacheNative.Tensors;

namespace DiCacheNative.Tests.Weights;

public sealed unsafe class HostTensorTests
{
    [Fact]
    public void Every_bfloat16_is_widened_exactly_wherever_it_lies()
    {
        ushort[] all = new ushort[65536];
        for (int i = 0; i < all.Length; i++)
        {
            all[i] = (ushort)i;
        }

        fixed (ushort* p = all)
        {
            HostTensor t = new("all", (nint)p, DType.BF16, [all.Length]);
            foreach (int count in new[] { 65536, 65535, 33, 15, 1, 0 })
            {
                float[] got = new float[count];
                t.CopyTo(got, 65536 - count);
                for (int i = 0; i < count; i++)
                {
                    Assert.Equal((uint)(i + 65536 - count) << 16, BitConverter.SingleToUInt32Bits(got[i]));
                }
            }
        }
    }

    [Fact]
    public void Every_binary16_is_widened_exactly()
    {
        ushort[] all = new ushort[65536];
        for (int i = 0; i < all.Length; i++)
        {
            all[i] = (ushort)i;
        }

        fixed (ushort* p = all)
        {
            float[] got = new HostTensor("all", (nint)p, DType.F16, [256, 256]).ToArray();
            for (int i = 0; i < all.Length; i++)
            {
                float expected = (float)BitConverter.UInt16BitsToHalf(all[i]);
                Assert.True(
                    float.IsNaN(expected) ? float.IsNaN(got[i]) : BitConverter.SingleToInt32Bits(expected) == BitConverter.SingleToInt32Bits(got[i]),
                    $"{i:x4}: {got[i]:R}, expected {expected:R}");
            }
        }
    }

    [Fact]
    public void Unaligned_data_is_read_in_every_type()
    {
        foreach (DType type in Enum.GetValues<DType>())
        {
            float[] values = [.. Enumerable.Range(-20, 41)];
            byte[] bytes = new byte[1 + (values.Length * type.Size())];
            for (int i = 0; i < values.Length; i++)
            {
                Span<byte> to = bytes.AsSpan(1 + (i * type.Size()));
                switch (type)
                {
                    case DType.F32: MemoryMarshal.Write(to, values[i]); break;
                    case DType.F16: MemoryMarshal.Write(to, (Half)values[i]); break;
                    case DType.BF16: MemoryMarshal.Write(to, (ushort)(BitConverter.SingleToUInt32Bits(values[i]) >> 16)); break;
                    case DType.F64: MemoryMarshal.Write(to, (double)values[i]); break;
                    case DType.I64: MemoryMarshal.Write(to, (long)values[i]); break;
                    default: MemoryMarshal.Write(to, (int)values[i]); break;
                }
            }

            fixed (byte* p = bytes)
            {
                HostTensor t = new("t", (nint)(p + 1), type, [values.Length]);
                Assert.Equal(values, t.ToArray());
                Assert.Equal(values[3..10], t.Rows(3, 7).ToArray());
            }
        }
    }

    [Fact]
    public void Ranges_outside_the_tensor_are_refused()
    {
        float[] values = [1, 2, 3, 4];
        fixed (float* p = values)
        {
            HostTensor t = new("t", (nint)p, DType.F32, [2, 2]);
            Assert.Throws<ShapeException>(() => t.CopyTo(new float[2], 3));
            Assert.Throws<ShapeException>(() => t.CopyTo(new float[1], -1));
            Assert.Throws<ShapeException>(() => t.CopyTo(new float[5]));
            Assert.Throws<ShapeException>(() => t.Rows(1, 2));
        }
    }

    [Fact]
    public void A_tensor_that_stands_for_a_missing_one_can_be_sliced_but_not_read()
    {
        HostTensor part = new HostTensor("gone", 0, DType.F32, [6, 4]).Rows(2, 3);
        Assert.Equal([3, 4], part.Shape.ToArray());
        Assert.Contains("gone [3, 4]", Assert.Throws<ShapeException>(() => part.ToArray()).Message, StringComparison.Ordinal);
    }
}
