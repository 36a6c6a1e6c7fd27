// probe_l1: the sums of the DiCache probe in one pass: |p-p'|, |p'|, |x-x'|, |x'|, |(p-x)-r2|, |r1-r2|
// shapes   p, p', x, x', r1, r2 [B, L, D] bf16 or f32 (one type), all but p may be missing; partials f32 [6, B * L]; sums f32 [6]
// math     f32 inside; a sum per row (threads, then warps, in a fixed order), then a sum over rows in a fixed order: same input, same bits
// needs    D <= 8192; with wide: D % 8 == 0, rows 16-byte aligned; sm_80+
// launch   probe_l1: grid = (L, B), block = D / 8 rounded up to warps; probe_l1_sum: grid = 6, block = 256
// moves    decision (p, p') 2*L*D elements; with gamma (x, r1, r2) 5*L*D; partials 24 B per row
// budget   registers <= 56, smem <= 896
// limit    FLUX 1024 (L 4096, D 3072, bf16): decision 50 MB
// why      a tensor framework makes 20 passes for the decision alone; no float atomics, since a decision hangs on the sum
#include "probe_row.cuh"

constexpr int kSumThreads = 256;

struct ProbeL1Args {
  Rows probe;
  ProbeArgs inputs;
  int cols;
  int wide;
};

template <class T>
DEVICE void probe_l1(const ProbeL1Args& a) {
  const int row = blockIdx.x, sample = blockIdx.y;
  const int first = threadIdx.x * kVector, count = a.cols - first;
  float p[kVector];
  load8(p, row_of<T>(a.probe, sample, row) + first, count, a.wide);
  probe_row<T>(p, a.inputs, sample, row, first, count, a.wide);
}

extern "C" __global__ void __launch_bounds__(1024) probe_l1_bf16(const __grid_constant__ ProbeL1Args a) { probe_l1<bf16>(a); }
extern "C" __global__ void __launch_bounds__(1024) probe_l1_f32(const __grid_constant__ ProbeL1Args a) { probe_l1<float>(a); }

// One block per sum: partials [gridDim.x, rows], sums [gridDim.x].
extern "C" __global__ void __launch_bounds__(kSumThreads) probe_l1_sum(const float* partials, int rows, float* sums) {
  __shared__ float partial[kMaxWarps];
  const float* values = partials + static_cast<long long>(blockIdx.x) * rows;
  float sum = 0.f;
  for (int i = threadIdx.x; i < rows; i += kSumThreads) sum += values[i];
  sum = block_sum(sum, partial);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}
