// euler_step: x += dt * velocity, one Euler step of flow matching
// shapes   x [B, L, C] f32; velocity [B, L, C] bf16 or f32; dt f32 [1] in device memory; rows and samples strided
// math     f32
// needs    with wide: C % 8 == 0, rows 16-byte aligned; sm_80+
// launch   grid = (L * ceil(C / 8) / 256 rounded up, B), block = 256 (eight elements per thread)
// moves    2*L*C f32 (R x  W x) and L*C elements of velocity
// budget   registers <= 40, smem <= 0
// limit    FLUX 1024 (4096 tokens of 64): 3 MB, so the launch is all it costs
// why      latents stay f32 over all steps: a bf16 sum would lose the small steps at the end
#include "elementwise.cuh"

struct EulerStepArgs {
  Rows x;
  Rows velocity;
  const float* dt;
  int row_count;
  int cols;
  int wide;
};

template <class V>
DEVICE void euler_step(const EulerStepArgs& a) {
  Piece piece;
  if (!piece_of(a.row_count, a.cols, piece)) return;
  const float dt = *a.dt;
  float x[kVector], velocity[kVector];
  float* address = piece_address<float>(a.x, piece);
  load8(x, address, piece.count, a.wide);
  load8(velocity, piece_address<V>(a.velocity, piece), piece.count, a.wide);
#pragma unroll
  for (int i = 0; i < kVector; i++) x[i] += dt * velocity[i];
  store8(address, x, piece.count, a.wide);
}

extern "C" __global__ void __launch_bounds__(kElementwiseThreads) euler_step_bf16(const __grid_constant__ EulerStepArgs a) {
  euler_step<bf16>(a);
}
extern "C" __global__ void __launch_bounds__(kElementwiseThreads) euler_step_f32(const __grid_constant__ EulerStepArgs a) {
  euler_step<float>(a);
}
