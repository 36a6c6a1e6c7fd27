// guide: into = uncond + scale * (cond - uncond), classifier-free guidance
// shapes   cond, uncond [B, L, C] bf16 or f32 (one type); into [B, L, C] bf16 or f32; scale f32 [1] in device memory
// math     f32 inside, one rounding at the store
// needs    with wide: C % 8 == 0, rows 16-byte aligned; sm_80+
// launch   grid = (L * ceil(C / 8) / 256 rounded up, B), block = 256 (eight elements per thread)
// moves    3*L*C elements (R cond,uncond  W into)
// budget   registers <= 40, smem <= 0
// limit    WAN 480p (32760 tokens of 64, f32): 25 MB
// why      the scale is read on the device, so that a recorded step can be replayed with another one
#include "elementwise.cuh"

struct GuideArgs {
  Rows cond;
  Rows uncond;
  Rows into;
  const float* scale;
  int row_count;
  int cols;
  int wide;
};

template <class X, class Y>
DEVICE void guide(const GuideArgs& a) {
  Piece piece;
  if (!piece_of(a.row_count, a.cols, piece)) return;
  const float scale = *a.scale;
  float cond[kVector], uncond[kVector];
  load8(cond, piece_address<X>(a.cond, piece), piece.count, a.wide);
  load8(uncond, piece_address<X>(a.uncond, piece), piece.count, a.wide);
#pragma unroll
  for (int i = 0; i < kVector; i++) uncond[i] += scale * (cond[i] - uncond[i]);
  store8(piece_address<Y>(a.into, piece), uncond, piece.count, a.wide);
}

extern "C" __global__ void __launch_bounds__(kElementwiseThreads) guide_bf16(const __grid_constant__ GuideArgs a) {
  guide<bf16, bf16>(a);
}
extern "C" __global__ void __launch_bounds__(kElementwiseThreads) guide_f32(const __grid_constant__ GuideArgs a) {
  guide<float, float>(a);
}
extern "C" __global__ void __launch_bounds__(kElementwiseThreads) guide_bf16_f32(const __grid_constant__ GuideArgs a) {
  guide<bf16, float>(a);
}
extern "C" __global__ void __launch_bounds__(kElementwiseThreads) guide_f32_bf16(const __grid_constant__ GuideArgs a) {
  guide<float, bf16>(a);
}
