// framework_ops: the operations that a tensor framework would make of probe_l1 and trajectory_blend, one kernel each, for comparison only
// shapes   x, y, into [B, L, C] bf16 or f32 (one type), rows and samples strided; partials f32 [B * L]; gamma f32 [1] in device memory
// math     f32 inside, one rounding at each store: in bf16 every intermediate is rounded, as a framework does; in f32 nothing is lost
// needs    with wide: C % 8 == 0, rows 16-byte aligned; row_sum: C <= 8192; sm_80+
// launch   absolute, scale, add: grid = (L * ceil(C / 8) / 256 rounded up, B), block = 256; row_sum: grid = (L, B), block = C / 8
//          rounded up to warps, then probe_l1_sum
// moves    absolute, scale 2*L*C elements; add 3*L*C; row_sum L*C
// budget   registers <= 40, smem <= 128
// limit    FLUX 1024 (L 4096, C 3072, bf16): 50 MB for absolute
// why      the unfused form of the probe is measured on the same device and with the same care as the fused one
#include "elementwise.cuh"

struct FrameworkOpArgs {
  Rows x;
  Rows y;
  Rows into;
  const float* gamma;
  int row_count;
  int cols;
  int wide;
};

struct RowSumArgs {
  Rows x;
  float* partials;
  int cols;
  int wide;
};

template <class T>
DEVICE void framework_absolute(const FrameworkOpArgs& a) {
  Piece piece;
  if (!piece_of(a.row_count, a.cols, piece)) return;
  float v[kVector];
  load8(v, piece_address<T>(a.x, piece), piece.count, a.wide);
#pragma unroll
  for (int i = 0; i < kVector; i++) v[i] = fabsf(v[i]);
  store8(piece_address<T>(a.into, piece), v, piece.count, a.wide);
}

template <class T>
DEVICE void framework_scale(const FrameworkOpArgs& a) {
  Piece piece;
  if (!piece_of(a.row_count, a.cols, piece)) return;
  const float gamma = *a.gamma;
  float v[kVector];
  load8(v, piece_address<T>(a.x, piece), piece.count, a.wide);
#pragma unroll
  for (int i = 0; i < kVector; i++) v[i] *= gamma;
  store8(piece_address<T>(a.into, piece), v, piece.count, a.wide);
}

template <class T>
DEVICE void framework_add(const FrameworkOpArgs& a) {
  Piece piece;
  if (!piece_of(a.row_count, a.cols, piece)) return;
  float v[kVector], w[kVector];
  load8(v, piece_address<T>(a.x, piece), piece.count, a.wide);
  load8(w, piece_address<T>(a.y, piece), piece.count, a.wide);
#pragma unroll
  for (int i = 0; i < kVector; i++) v[i] += w[i];
  store8(piece_address<T>(a.into, piece), v, piece.count, a.wide);
}

// The same order of additions as in probe_row.
template <class T>
DEVICE void framework_row_sum(const RowSumArgs& a) {
  __shared__ float partial[kMaxWarps];
  const int first = threadIdx.x * kVector, count = a.cols - first;
  float v[kVector];
  load8(v, row_of<T>(a.x, blockIdx.y, blockIdx.x) + first, count, a.wide);
  float sum = 0.f;
#pragma unroll
  for (int i = 0; i < kVector; i++) sum += v[i];
  sum = block_sum(sum, partial);
  if (threadIdx.x == 0) a.partials[static_cast<long long>(blockIdx.y) * gridDim.x + blockIdx.x] = sum;
}

extern "C" __global__ void __launch_bounds__(kElementwiseThreads) framework_absolute_bf16(const __grid_constant__ FrameworkOpArgs a) {
  framework_absolute<bf16>(a);
}
extern "C" __global__ void __launch_bounds__(kElementwiseThreads) framework_absolute_f32(const __grid_constant__ FrameworkOpArgs a) {
  framework_absolute<float>(a);
}
extern "C" __global__ void __launch_bounds__(kElementwiseThreads) framework_scale_bf16(const __grid_constant__ FrameworkOpArgs a) {
  framework_scale<bf16>(a);
}
extern "C" __global__ void __launch_bounds__(kElementwiseThreads) framework_scale_f32(const __grid_constant__ FrameworkOpArgs a) {
  framework_scale<float>(a);
}
extern "C" __global__ void __launch_bounds__(kElementwiseThreads) framework_add_bf16(const __grid_constant__ FrameworkOpArgs a) {
  framework_add<bf16>(a);
}
extern "C" __global__ void __launch_bounds__(kElementwiseThreads) framework_add_f32(const __grid_constant__ FrameworkOpArgs a) {
  framework_add<float>(a);
}
extern "C" __global__ void __launch_bounds__(1024) framework_row_sum_bf16(const __grid_constant__ RowSumArgs a) {
  framework_row_sum<bf16>(a);
}
extern "C" __global__ void __launch_bounds__(1024) framework_row_sum_f32(const __grid_constant__ RowSumArgs a) {
  framework_row_sum<float>(a);
}
