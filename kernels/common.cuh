// common.cuh: what every kernel shares. Storage types, wide loads and stores, deterministic block sums, and the only PTX in the project.
//
// No CUDA header is included: NVRTC compiles these files as they stand. Compiled for the CPU (tests), cuda_host.h supplies the CUDA
// keywords and built-ins, and emulations of the wrapped instructions under the same names. Kernels reach PTX only through the wrappers
// below, so that the same kernel text runs in both places.
#pragma once

#ifdef __CUDACC__
#define DEVICE static __device__ __forceinline__
#define MEMBER __device__ __forceinline__
#define DYN_SMEM(type, name) extern __shared__ __align__(128) type name[]
#else
#include "cuda_host.h"
#define DEVICE static inline
#define MEMBER inline
#endif

constexpr int kWarp = 32;
constexpr int kMaxWarps = 32;  // of a block of 1024 threads
constexpr int kVector = 8;     // elements a thread moves at once: 16 bytes of bf16, two times 16 bytes of f32
constexpr unsigned kAllLanes = 0xffffffffu;

DEVICE float minus_infinity() { return __uint_as_float(0xff800000u); }

// ---- bf16: the upper half of a binary32 ----

struct bf16 {
  unsigned short bits;
};

struct alignas(16) Words4 {
  unsigned x, y, z, w;
};

DEVICE float to_f32(float v) { return v; }
DEVICE float to_f32(bf16 v) { return __uint_as_float(static_cast<unsigned>(v.bits) << 16); }

// Rounds to nearest, ties to even; a NaN stays a NaN.
DEVICE unsigned round_bf16(float v) {
  unsigned u = __float_as_uint(v);
  if ((u & 0x7fffffffu) > 0x7f800000u) return (u >> 16) | 0x40u;
  return (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
}

template <class T>
struct Storage;
template <>
struct Storage<float> {
  static MEMBER float round(float v) { return v; }
};
template <>
struct Storage<bf16> {
  static MEMBER bf16 round(float v) { return bf16{static_cast<unsigned short>(round_bf16(v))}; }
};

template <class T>
DEVICE T from_f32(float v) { return Storage<T>::round(v); }

// What reading the value back would give: sums taken in flight then equal sums taken over what was stored.
template <class T>
DEVICE float as_stored(float v) { return to_f32(from_f32<T>(v)); }

// ---- instructions that C++ has no word for ----

#ifdef __CUDACC__

DEVICE unsigned smem_address(const void* p) { return static_cast<unsigned>(__cvta_generic_to_shared(p)); }

// Copies 16 bytes from global to shared memory in the background; both addresses are multiples of 16. Past L1: each tile is read once.
DEVICE void cp_async16(void* smem, const void* gmem) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(smem_address(smem)), "l"(gmem) : "memory");
}

DEVICE void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits until at most N committed groups of this thread are still under way.
template <int N>
DEVICE void cp_async_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory"); }

// Four 8x8 tiles of 16-bit values: lane l passes the address of row l % 8 of tile l / 8 and receives word l % 4 of row l / 4 of each.
DEVICE void ldmatrix_x4(unsigned (&r)[4], const void* smem) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(smem_address(smem)));
}

// The same with every tile transposed.
DEVICE void ldmatrix_x4_trans(unsigned (&r)[4], const void* smem) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(smem_address(smem)));
}

// d[16x8] += a[16x16] b[16x8], bf16 in, f32 sums.
DEVICE void mma_m16n8k16_bf16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

template <class T>
DEVICE T shfl_xor(T v, int mask) { return __shfl_xor_sync(kAllLanes, v, mask); }

// Two bf16 in one register, low first; one instruction on the device, where the softmax needs it often.
DEVICE unsigned pack_bf16(float low, float high) {
  unsigned r;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
  return r;
}

// The same value, of which the compiler knows nothing: what is computed from it in a loop stays in the loop, instead of being computed once
// and kept in registers that are needed elsewhere.
DEVICE int not_hoisted(int v) {
  asm volatile("" : "+r"(v));
  return v;
}

// 2^v, about 2 ulp; denormal results are flushed to zero.
DEVICE float exp2_fast(float v) {
  float r;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(v));
  return r;
}

#else

DEVICE unsigned pack_bf16(float low, float high) { return round_bf16(low) | (round_bf16(high) << 16); }
DEVICE float exp2_fast(float v) { return exp2f(v); }
DEVICE int not_hoisted(int v) { return v; }

#endif

// ---- operands ----

// One tensor operand [B, L, C]: sample b, row r starts b * batch_stride + r * row_stride elements after data.
struct Rows {
  void* data;
  long long batch_stride;
  long long row_stride;
};

// One F32 vector per sample, or one for all (batch_stride 0).
struct Vector {
  const float* data;
  long long batch_stride;
};

template <class T>
DEVICE T* row_of(const Rows& rows, int sample, int row) {
  return static_cast<T*>(rows.data) + sample * rows.batch_stride + row * rows.row_stride;
}

DEVICE const float* vector_of(const Vector& vector, int sample) { return vector.data + sample * vector.batch_stride; }

// ---- eight elements at a time ----

// Sets v to p[0..count), zero beyond. With wide, p is 16-byte aligned and count is either at least 8 or not positive.
DEVICE void load8(float (&v)[kVector], const bf16* p, int count, bool wide) {
  if (wide && count > 0) {
    const Words4 w = *reinterpret_cast<const Words4*>(p);
    const unsigned words[4] = {w.x, w.y, w.z, w.w};
#pragma unroll
    for (int i = 0; i < 4; i++) {
      v[2 * i] = __uint_as_float(words[i] << 16);
      v[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000u);
    }
    return;
  }
#pragma unroll
  for (int i = 0; i < kVector; i++) v[i] = i < count ? to_f32(p[i]) : 0.f;
}

DEVICE void load8(float (&v)[kVector], const float* p, int count, bool wide) {
  if (wide && count > 0) {
#pragma unroll
    for (int i = 0; i < 2; i++) {
      const Words4 w = reinterpret_cast<const Words4*>(p)[i];
      v[4 * i] = __uint_as_float(w.x);
      v[4 * i + 1] = __uint_as_float(w.y);
      v[4 * i + 2] = __uint_as_float(w.z);
      v[4 * i + 3] = __uint_as_float(w.w);
    }
    return;
  }
#pragma unroll
  for (int i = 0; i < kVector; i++) v[i] = i < count ? p[i] : 0.f;
}

DEVICE void store8(bf16* p, const float (&v)[kVector], int count, bool wide) {
  if (wide && count > 0) {
    *reinterpret_cast<Words4*>(p) = Words4{pack_bf16(v[0], v[1]), pack_bf16(v[2], v[3]), pack_bf16(v[4], v[5]), pack_bf16(v[6], v[7])};
    return;
  }
#pragma unroll
  for (int i = 0; i < kVector; i++) {
    if (i < count) p[i] = from_f32<bf16>(v[i]);
  }
}

DEVICE void store8(float* p, const float (&v)[kVector], int count, bool wide) {
  if (wide && count > 0) {
#pragma unroll
    for (int i = 0; i < 2; i++) {
      reinterpret_cast<Words4*>(p)[i] = Words4{__float_as_uint(v[4 * i]), __float_as_uint(v[4 * i + 1]), __float_as_uint(v[4 * i + 2]),
                                               __float_as_uint(v[4 * i + 3])};
    }
    return;
  }
#pragma unroll
  for (int i = 0; i < kVector; i++) {
    if (i < count) p[i] = v[i];
  }
}

// ---- sums in a fixed order: the same input gives the same bits ----

DEVICE float warp_sum(float v) {
#pragma unroll
  for (int mask = kWarp / 2; mask > 0; mask /= 2) v += shfl_xor(v, mask);
  return v;
}

// Sum over the block, known to every thread. partial is used by this call only: one array per call saves a second barrier.
DEVICE float block_sum(float v, float (&partial)[kMaxWarps]) {
  v = warp_sum(v);
  if (threadIdx.x % kWarp == 0) partial[threadIdx.x / kWarp] = v;
  __syncthreads();
  const int warps = (blockDim.x + kWarp - 1) / kWarp;
  float sum = 0.f;
  for (int i = 0; i < warps; i++) sum += partial[i];
  return sum;
}
