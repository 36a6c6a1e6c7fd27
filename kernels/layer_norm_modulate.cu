// layer_norm_modulate: y = LN(x) * (offset + scale) + shift, LN without affine part
// shapes   x [B, L, D] bf16 or f32, y [B, L, D] bf16 or f32, rows and samples strided; scale, shift f32 [B or 1, 1, D], may be missing
// math     f32 inside, one rounding at the store; mean and variance in two passes over registers
// needs    D <= 8192; with wide: D % 8 == 0, rows and vectors 16-byte aligned; sm_80+
// launch   grid = (L, B), block = D / 8 rounded up to warps (one row per block, eight elements per thread)
// moves    2*L*D elements (R x  W y); scale and shift stay in L2       flops ~ 8*L*D
// budget   registers <= 48, smem <= 256
// limit    FLUX 1024 (L 4608, D 3072, bf16): 57 MB
// why      a thread keeps its part of the row, so the two passes of the variance cost no second read
#include "row_norm.cuh"

struct LayerNormModulateArgs {
  Rows x;
  Rows y;
  ModulationArgs modulation;
  int cols;
  int wide;
};

template <class X, class Y>
DEVICE void layer_norm_modulate(const LayerNormModulateArgs& a) {
  const int row = blockIdx.x, sample = blockIdx.y;
  const int first = threadIdx.x * kVector, count = a.cols - first;
  float v[kVector];
  load8(v, row_of<X>(a.x, sample, row) + first, count, a.wide);
  layer_norm_row(v, count, a.cols, a.modulation.epsilon);
  modulate_row(v, a.modulation, sample, first, count, a.wide);
  store8(row_of<Y>(a.y, sample, row) + first, v, count, a.wide);
}

extern "C" __global__ void __launch_bounds__(1024) layer_norm_modulate_bf16(const __grid_constant__ LayerNormModulateArgs a) {
  layer_norm_modulate<bf16, bf16>(a);
}
extern "C" __global__ void __launch_bounds__(1024) layer_norm_modulate_f32(const __grid_constant__ LayerNormModulateArgs a) {
  layer_norm_modulate<float, float>(a);
}
extern "C" __global__ void __launch_bounds__(1024) layer_norm_modulate_f32_bf16(const __grid_constant__ LayerNormModulateArgs a) {
  layer_norm_modulate<float, bf16>(a);
}
