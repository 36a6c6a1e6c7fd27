// subtract: into = a - b
// shapes   a, b, into [B, L, C] bf16 or f32 (one type), rows and samples strided
// math     f32 inside, one rounding at the store
// needs    with wide: C % 8 == 0, rows 16-byte aligned; sm_80+
// launch   grid = (L * ceil(C / 8) / 256 rounded up, B), block = 256 (eight elements per thread)
// moves    3*L*C elements (R a,b  W into)
// budget   registers <= 40, smem <= 0
// limit    FLUX 1024 (L 4096, C 3072, bf16): 75 MB
// why      for residuals that no gated_residual could record, and the subtraction of the unfused probe
#include "elementwise.cuh"

struct SubtractArgs {
  Rows a;
  Rows b;
  Rows into;
  int row_count;
  int cols;
  int wide;
};

template <class T>
DEVICE void subtract(const SubtractArgs& args) {
  Piece piece;
  if (!piece_of(args.row_count, args.cols, piece)) return;
  float a[kVector], b[kVector];
  load8(a, piece_address<T>(args.a, piece), piece.count, args.wide);
  load8(b, piece_address<T>(args.b, piece), piece.count, args.wide);
#pragma unroll
  for (int i = 0; i < kVector; i++) a[i] -= b[i];
  store8(piece_address<T>(args.into, piece), a, piece.count, args.wide);
}

extern "C" __global__ void __launch_bounds__(kElementwiseThreads) subtract_bf16(const __grid_constant__ SubtractArgs a) {
  subtract<bf16>(a);
}
extern "C" __global__ void __launch_bounds__(kElementwiseThreads) subtract_f32(const __grid_constant__ SubtractArgs a) {
  subtract<float>(a);
}
