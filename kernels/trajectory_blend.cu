// trajectory_blend: h = x + (r2 + gamma * (r1 - r2)), or h = x + r1 without r2; optionally n = LN(h) modulated in the same pass
// shapes   x, r1, r2, h [B, L, D] bf16 or f32 (one type); n [B, L, D] bf16 or f32; gamma f32 [1]; scale, shift f32 [B or 1, 1, D]
// math     f32 inside, one rounding at each store; products are not contracted, so that the same operations done one by one in f32 give the
//          same bits; the norm is taken from h as stored
// needs    D <= 8192; with wide: D % 8 == 0, rows and vectors 16-byte aligned; sm_80+
// launch   grid = (L, B), block = D / 8 rounded up to warps (one row per block, eight elements per thread)
// moves    4*L*D elements (R x,r1,r2  W h), +1 for n, -1 when h itself is not wanted
// budget   registers <= 56, smem <= 256
// limit    FLUX 1024 (L 4096, D 3072, bf16): 101 MB
// why      gamma is read on the device, so one recorded plan serves every step; a framework makes 13 passes
#include "row_norm.cuh"

struct TrajectoryBlendArgs {
  Rows input;
  Rows newer;
  Rows older;
  const float* gamma;
  Rows into;
  Rows normed;
  ModulationArgs modulation;
  int cols;
  int wide;
};

// X: the residual stream. Y: what the head computes.
template <class X, class Y>
DEVICE void trajectory_blend(const TrajectoryBlendArgs& a) {
  const int row = blockIdx.x, sample = blockIdx.y;
  const int first = threadIdx.x * kVector, count = a.cols - first;
  const bool wide = a.wide;

  float v[kVector], r[kVector];
  load8(v, row_of<X>(a.input, sample, row) + first, count, wide);
  load8(r, row_of<X>(a.newer, sample, row) + first, count, wide);
  if (a.older.data) {
    const float gamma = *a.gamma;
    float older[kVector];
    load8(older, row_of<X>(a.older, sample, row) + first, count, wide);
#pragma unroll
    for (int i = 0; i < kVector; i++) r[i] = __fadd_rn(older[i], __fmul_rn(gamma, r[i] - older[i]));
  }
#pragma unroll
  for (int i = 0; i < kVector; i++) v[i] = as_stored<X>(v[i] + r[i]);
  if (a.into.data) store8(row_of<X>(a.into, sample, row) + first, v, count, wide);

  if (a.normed.data) {
    layer_norm_row(v, count, a.cols, a.modulation.epsilon);
    modulate_row(v, a.modulation, sample, first, count, wide);
    store8(row_of<Y>(a.normed, sample, row) + first, v, count, wide);
  }
}

extern "C" __global__ void __launch_bounds__(1024) trajectory_blend_bf16(const __grid_constant__ TrajectoryBlendArgs a) {
  trajectory_blend<bf16, bf16>(a);
}
extern "C" __global__ void __launch_bounds__(1024) trajectory_blend_f32(const __grid_constant__ TrajectoryBlendArgs a) {
  trajectory_blend<float, float>(a);
}
extern "C" __global__ void __launch_bounds__(1024) trajectory_blend_f32_bf16(const __grid_constant__ TrajectoryBlendArgs a) {
  trajectory_blend<float, bf16>(a);
}
