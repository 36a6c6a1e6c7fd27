// gated_residual: x' = x + gate * y; in the same pass, each if wanted: n = LN(x') modulated, the six probe sums of x', x' - x0
// shapes   x, x', x0, x' - x0 and the probe's inputs [B, L, D] bf16 or f32 (one type); y, n [B, L, D] bf16 or f32; gate f32
//          [B or 1, 1, D] or missing for 1; partials f32 [6, B * L]; rows and samples strided; x' may be x
// math     f32 inside, one rounding at each store; norm, sums and residual are taken from x' as stored, so that a later pass over x'
//          gives the same bits
// needs    D <= 8192; with wide: D % 8 == 0, rows and vectors 16-byte aligned; sm_80+
// launch   grid = (L, B), block = D / 8 rounded up to warps (one row per block, eight elements per thread); then probe_l1_sum for sums
// moves    3*L*D elements (R x,y  W x'); +1 for n; +1 p' for the decision, +3 x,r1,r2 for gamma; +2 R x0 W for the residual
// budget   registers <= 64, smem <= 1152
// limit    FLUX 1024 (L 4608, D 3072, bf16): 85 MB, 113 MB with the norm
// why      separate kernels would read x' again for the norm, for the sums and for the residual
#include "probe_row.cuh"
#include "row_norm.cuh"

struct GatedResidualArgs {
  Rows x;
  Rows y;
  Vector gate;
  Rows into;
  Rows normed;
  ModulationArgs modulation;
  ProbeArgs probe;
  Rows origin;
  Rows residual;
  int cols;
  int wide;
};

// X: the residual stream. Y: what the blocks compute.
template <class X, class Y>
DEVICE void gated_residual(const GatedResidualArgs& a) {
  const int row = blockIdx.x, sample = blockIdx.y;
  const int first = threadIdx.x * kVector, count = a.cols - first;
  const bool wide = a.wide;

  float v[kVector], y[kVector];
  load8(v, row_of<X>(a.x, sample, row) + first, count, wide);
  load8(y, row_of<Y>(a.y, sample, row) + first, count, wide);
  if (a.gate.data) {
    float gate[kVector];
    load8(gate, vector_of(a.gate, sample) + first, count, wide);
#pragma unroll
    for (int i = 0; i < kVector; i++) y[i] *= gate[i];
  }
#pragma unroll
  for (int i = 0; i < kVector; i++) v[i] = as_stored<X>(v[i] + y[i]);
  store8(row_of<X>(a.into, sample, row) + first, v, count, wide);

  if (a.residual.data) {
    float r[kVector];
    load8(r, row_of<X>(a.origin, sample, row) + first, count, wide);
#pragma unroll
    for (int i = 0; i < kVector; i++) r[i] = v[i] - r[i];
    store8(row_of<X>(a.residual, sample, row) + first, r, count, wide);
  }
  if (a.probe.partials) probe_row<X>(v, a.probe, sample, row, first, count, wide);
  if (a.normed.data) {
    layer_norm_row(v, count, a.cols, a.modulation.epsilon);
    modulate_row(v, a.modulation, sample, first, count, wide);
    store8(row_of<Y>(a.normed, sample, row) + first, v, count, wide);
  }
}

extern "C" __global__ void __launch_bounds__(1024) gated_residual_bf16(const __grid_constant__ GatedResidualArgs a) {
  gated_residual<bf16, bf16>(a);
}
extern "C" __global__ void __launch_bounds__(1024) gated_residual_f32(const __grid_constant__ GatedResidualArgs a) {
  gated_residual<float, float>(a);
}
extern "C" __global__ void __launch_bounds__(1024) gated_residual_f32_bf16(const __grid_constant__ GatedResidualArgs a) {
  gated_residual<float, bf16>(a);
}
