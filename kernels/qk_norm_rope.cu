// qk_norm_rope: RMS norm of queries and keys, then rotary embedding of interleaved pairs, in place
// shapes   q [B, Lq, H * Dh], k [B, Lk, H * Dh] bf16 or f32, rows and samples strided, k may be missing; scales f32 [Dh] (norm per head)
//          or [H * Dh] (norm over the row); cos, sin f32 [B or 1, Lt, Dh / 2] or missing, rows from Lt on are not rotated
// math     f32 inside, one rounding at the store
// needs    Dh <= 256, even where rotated; with wide: Dh % 4 == 0, rows 16-byte aligned; sm_80+
// launch   grid = (max(Lq, Lk), 2 or 1 without k, B), block = 32 * min(H, 8): a warp per head, four elements per lane
// moves    4*L*D elements (R q,k  W q,k); tables and scales stay in L2       flops ~ 14*L*D
// budget   registers <= 48, smem <= 128
// limit    FLUX 1024 (L 4608, D 3072, bf16): 113 MB
// why      q and k lie in one qkv buffer: one launch serves both, and nothing is copied
#include "common.cuh"

constexpr int kQuad = 4;        // elements per lane: a head of 128 is one warp wide
constexpr int kQuads = 2;       // heads up to 256
constexpr int kMaxThreads = 8 * kWarp;

struct QkNormRopeArgs {
  Rows q;
  Rows k;
  const float* q_scale;
  const float* k_scale;
  Rows cos;
  Rows sin;
  int q_rows;
  int k_rows;
  int heads;
  int head_width;
  int table_rows;
  int q_norm_over_row;
  int k_norm_over_row;
  float epsilon;
  int wide;
};

struct alignas(8) Words2 {
  unsigned x, y;
};

DEVICE void load4(float (&v)[kQuad], const bf16* p, int count, bool wide) {
  if (wide && count > 0) {
    const Words2 w = *reinterpret_cast<const Words2*>(p);
    v[0] = __uint_as_float(w.x << 16);
    v[1] = __uint_as_float(w.x & 0xffff0000u);
    v[2] = __uint_as_float(w.y << 16);
    v[3] = __uint_as_float(w.y & 0xffff0000u);
    return;
  }
#pragma unroll
  for (int i = 0; i < kQuad; i++) v[i] = i < count ? to_f32(p[i]) : 0.f;
}

DEVICE void load4(float (&v)[kQuad], const float* p, int count, bool wide) {
  if (wide && count > 0) {
    const Words4 w = *reinterpret_cast<const Words4*>(p);
    v[0] = __uint_as_float(w.x);
    v[1] = __uint_as_float(w.y);
    v[2] = __uint_as_float(w.z);
    v[3] = __uint_as_float(w.w);
    return;
  }
#pragma unroll
  for (int i = 0; i < kQuad; i++) v[i] = i < count ? p[i] : 0.f;
}

DEVICE void store4(bf16* p, const float (&v)[kQuad], int count, bool wide) {
  if (wide && count > 0) {
    *reinterpret_cast<Words2*>(p) = Words2{pack_bf16(v[0], v[1]), pack_bf16(v[2], v[3])};
    return;
  }
#pragma unroll
  for (int i = 0; i < kQuad; i++) {
    if (i < count) p[i] = from_f32<bf16>(v[i]);
  }
}

DEVICE void store4(float* p, const float (&v)[kQuad], int count, bool wide) {
  if (wide && count > 0) {
    *reinterpret_cast<Words4*>(p) = Words4{__float_as_uint(v[0]), __float_as_uint(v[1]), __float_as_uint(v[2]), __float_as_uint(v[3])};
    return;
  }
#pragma unroll
  for (int i = 0; i < kQuad; i++) {
    if (i < count) p[i] = v[i];
  }
}

DEVICE float sum_of_squares(const float (&v)[kQuads][kQuad]) {
  float sum = 0.f;
#pragma unroll
  for (int j = 0; j < kQuads; j++) {
#pragma unroll
    for (int i = 0; i < kQuad; i++) sum += v[j][i] * v[j][i];
  }
  return sum;
}

template <class T>
DEVICE void load_head(float (&v)[kQuads][kQuad], const T* head, int head_width, bool wide) {
#pragma unroll
  for (int j = 0; j < kQuads; j++) {
    const int e = (j * kWarp + threadIdx.x % kWarp) * kQuad;
    load4(v[j], head + e, head_width - e, wide);
  }
}

template <class T>
DEVICE void qk_norm_rope(const QkNormRopeArgs& a) {
  __shared__ float partial[kMaxWarps];
  const int token = blockIdx.x, sample = blockIdx.z;
  const bool keys = blockIdx.y == 1, wide = a.wide;
  if (token >= (keys ? a.k_rows : a.q_rows)) return;
  const bool over_row = keys ? a.k_norm_over_row : a.q_norm_over_row;
  const float* scale = keys ? a.k_scale : a.q_scale;
  const int warp = threadIdx.x / kWarp, warps = blockDim.x / kWarp, lane = threadIdx.x % kWarp, width = a.head_width;
  T* row = row_of<T>(keys ? a.k : a.q, sample, token);
  const bool rotate = a.cos.data && token < a.table_rows;

  float v[kQuads][kQuad];
  float row_factor = 1.f;
  if (over_row) {
    float sum = 0.f;
    for (int head = warp; head < a.heads; head += warps) {
      load_head(v, row + head * width, width, wide);
      sum += sum_of_squares(v);
    }
    row_factor = rsqrtf(block_sum(sum, partial) / (a.heads * width) + a.epsilon);
  }

  for (int head = warp; head < a.heads; head += warps) {
    load_head(v, row + head * width, width, wide);
    float factor = row_factor;
    if (!over_row) factor = rsqrtf(warp_sum(sum_of_squares(v)) / width + a.epsilon);
#pragma unroll
    for (int j = 0; j < kQuads; j++) {
      const int e = (j * kWarp + lane) * kQuad, count = width - e;
      if (count <= 0) continue;
      float s[kQuad];
      load4(s, scale + (over_row ? head * width : 0) + e, count, wide);
#pragma unroll
      for (int i = 0; i < kQuad; i++) v[j][i] *= factor * s[i];
      if (rotate) {
        const float* cos = row_of<float>(a.cos, sample, token) + e / 2;
        const float* sin = row_of<float>(a.sin, sample, token) + e / 2;
#pragma unroll
        for (int i = 0; i < kQuad / 2; i++) {
          if (2 * i < count) {
            const float re = v[j][2 * i], im = v[j][2 * i + 1];
            v[j][2 * i] = re * cos[i] - im * sin[i];
            v[j][2 * i + 1] = im * cos[i] + re * sin[i];
          }
        }
      }
      store4(row + head * width + e, v[j], count, wide);
    }
  }
}

extern "C" __global__ void __launch_bounds__(kMaxThreads) qk_norm_rope_bf16(const __grid_constant__ QkNormRopeArgs a) {
  qk_norm_rope<bf16>(a);
}
extern "C" __global__ void __launch_bounds__(kMaxThreads) qk_norm_rope_f32(const __grid_constant__ QkNormRopeArgs a) {
  qk_norm_rope<float>(a);
}
