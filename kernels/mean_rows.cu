// mean_rows: y = mean of x over its rows
// shapes   x [B, L, D] bf16 or f32, y [B, 1, D] bf16 or f32; rows and samples strided
// math     f32 sums in a fixed order (every eighth row, then the eight), one rounding at the store
// needs    sm_80+
// launch   grid = (D / 32 rounded up, B), block = (32, 8): a column per lane, every eighth row per warp
// moves    L*D elements (R x)
// budget   registers <= 40, smem <= 1024
// limit    HunyuanVideo text (L 256, D 4096, f32): 4 MB
// why      a warp reads 32 neighbouring columns of a row at once; eight rows are under way per block
#include "common.cuh"

constexpr int kRowLanes = 8;

struct MeanRowsArgs {
  Rows x;
  Rows y;
  int row_count;
  int cols;
};

template <class X, class Y>
DEVICE void mean_rows(const MeanRowsArgs& a) {
  __shared__ float partial[kRowLanes][kWarp];
  const int col = blockIdx.x * kWarp + threadIdx.x;
  float sum = 0.f;
  if (col < a.cols) {
    for (int row = threadIdx.y; row < a.row_count; row += kRowLanes) sum += to_f32(row_of<X>(a.x, blockIdx.y, row)[col]);
  }
  partial[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y == 0 && col < a.cols) {
    float total = 0.f;
#pragma unroll
    for (int i = 0; i < kRowLanes; i++) total += partial[i][threadIdx.x];
    row_of<Y>(a.y, blockIdx.y, 0)[col] = from_f32<Y>(total / a.row_count);
  }
}

extern "C" __global__ void __launch_bounds__(kRowLanes * kWarp) mean_rows_bf16(const __grid_constant__ MeanRowsArgs a) {
  mean_rows<bf16, bf16>(a);
}
extern "C" __global__ void __launch_bounds__(kRowLanes * kWarp) mean_rows_f32(const __grid_constant__ MeanRowsArgs a) {
  mean_rows<float, float>(a);
}
extern "C" __global__ void __launch_bounds__(kRowLanes * kWarp) mean_rows_bf16_f32(const __grid_constant__ MeanRowsArgs a) {
  mean_rows<bf16, float>(a);
}
extern "C" __global__ void __launch_bounds__(kRowLanes * kWarp) mean_rows_f32_bf16(const __grid_constant__ MeanRowsArgs a) {
  mean_rows<float, bf16>(a);
}
