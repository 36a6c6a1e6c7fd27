// Kernels without a fault: what the emulation computes is checked against plain arithmetic, and the checkers must find nothing.
#include "cuda_host.h"

constexpr int kTile = 64;       // rows and columns of a block's tile
constexpr int kDepth = 32;      // depth loaded at a time
constexpr int kThreads = 128;   // four warps of 32 x 32

// out[i] = linear index of the thread that writes element i, for any grid and block shape.
extern "C" __global__ void clean_indices(unsigned* out) {
  unsigned threads = blockDim.x * blockDim.y * blockDim.z;
  unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  out[block * threads + thread] = block * threads + thread;
}

// partials[block] = sum of |a - b| over the block's share: grid stride, shuffles, static and dynamic shared memory.
extern "C" __global__ void __launch_bounds__(256) clean_reduction(const float* a, const float* b, float* partials, int n) {
  DYN_SMEM(float, partial);
  __shared__ float total;
  float sum = 0.0f;
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) sum += fabsf(a[i] - b[i]);
  for (int lanes = 16; lanes > 0; lanes /= 2) sum += shfl_xor(sum, lanes);
  if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x < 32) {
    sum = threadIdx.x < blockDim.x / 32 ? partial[threadIdx.x] : 0.0f;
    for (int lanes = 16; lanes > 0; lanes /= 2) sum += shfl_down(sum, lanes);
    if (threadIdx.x == 0) total = sum;
  }
  __syncthreads();
  if (threadIdx.x == blockDim.x - 1) partials[blockIdx.x] = total;
}

// Every shuffle, vote and atomic, by blocks of one warp: out[block][6][32], counter[1].
extern "C" __global__ void clean_warp(int* out, unsigned* counter) {
  int lane = static_cast<int>(threadIdx.x);
  out += blockIdx.x * 192;
  out[lane] = __shfl_sync(~0u, lane, (lane + 5) % 32);
  out[32 + lane] = __shfl_up_sync(~0u, lane, 3, 8);
  out[64 + lane] = __shfl_down_sync(~0u, lane, 3, 8);
  out[96 + lane] = __shfl_xor_sync(~0u, lane, 9);
  out[128 + lane] = static_cast<int>(__ballot_sync(~0u, lane % 3 == 0));
  out[160 + lane] = __syncthreads_count(lane < 7) * 100 + __syncthreads_or(lane == 31) * 10 + __syncthreads_and(lane < 31);
  atomicAdd(counter, 2u);
}

// c [m, n] = a [m, k] b [n, k]^T in bf16 with f32 sums: cp.async in two stages, ldmatrix, mma. m, n multiples of 64, k of 32.
extern "C" __global__ void __launch_bounds__(kThreads) clean_gemm(const unsigned short* a, const unsigned short* b, float* c, int n, int k) {
  __shared__ __align__(128) unsigned short rows[2][kTile * kDepth];
  __shared__ __align__(128) unsigned short columns[2][kTile * kDepth];
  int thread = static_cast<int>(threadIdx.x), warp = thread / 32, lane = thread % 32;
  int first_row = static_cast<int>(blockIdx.y) * kTile, first_column = static_cast<int>(blockIdx.x) * kTile;
  int warp_row = warp / 2 * 32, warp_column = warp % 2 * 32;
  float sums[2][4][4] = {};
  // Chunks of 8 elements change places within a row so that ldmatrix reads from different banks.
  auto place = [](int row, int chunk) { return row * kDepth + (chunk ^ (row >> 1 & 3)) * 8; };
  auto load = [&](int stage, int at) {
    for (int i = thread; i < kTile * kDepth / 8; i += kThreads) {
      int row = i / 4, chunk = i % 4;
      cp_async16(&rows[stage][place(row, chunk)], a + static_cast<size_t>(first_row + row) * k + at + chunk * 8);
      cp_async16(&columns[stage][place(row, chunk)], b + static_cast<size_t>(first_column + row) * k + at + chunk * 8);
    }
    cp_async_commit();
  };
  load(0, 0);
  for (int at = 0, stage = 0; at < k; at += kDepth, stage ^= 1) {
    if (at + kDepth < k) {
      load(stage ^ 1, at + kDepth);
      cp_async_wait<1>();
    } else {
      cp_async_wait<0>();
    }
    __syncthreads();
    for (int half = 0; half < 2; half++) {
      unsigned left[2][4], right[2][4];
      for (int i = 0; i < 2; i++) ldmatrix_x4(left[i], &rows[stage][place(warp_row + i * 16 + lane % 16, half * 2 + lane / 16)]);
      for (int j = 0; j < 2; j++) {
        int row = warp_column + j * 16 + lane % 8 + lane / 16 * 8;
        ldmatrix_x4(right[j], &columns[stage][place(row, half * 2 + (lane >> 3 & 1))]);
      }
      for (int i = 0; i < 2; i++)
        for (int j = 0; j < 4; j++) {
          unsigned pair[2] = {right[j / 2][j % 2 * 2], right[j / 2][j % 2 * 2 + 1]};
          mma_m16n8k16_bf16(sums[i][j], left[i], pair);
        }
    }
    __syncthreads();
  }
  for (int i = 0; i < 2; i++)
    for (int j = 0; j < 4; j++)
      for (int h = 0; h < 4; h++) {
        int row = first_row + warp_row + i * 16 + h / 2 * 8 + lane / 4, column = first_column + warp_column + j * 8 + lane % 4 * 2 + h % 2;
        c[static_cast<size_t>(row) * n + column] = sums[i][j][h];
      }
}

// d [16, 8] = a [16, 8] b [8, 8] by one tf32 mma; and out [8, 8] = the transpose of in, by ldmatrix, one lane pair per element pair.
extern "C" __global__ void clean_fragments(const float* a, const float* b, float* d, const unsigned short* in, unsigned short* out) {
  int lane = static_cast<int>(threadIdx.x), g = lane / 4, t = lane % 4;
  unsigned left[4] = {__float_as_uint(a[g * 8 + t]), __float_as_uint(a[(g + 8) * 8 + t]), __float_as_uint(a[g * 8 + t + 4]),
                      __float_as_uint(a[(g + 8) * 8 + t + 4])};
  unsigned right[2] = {__float_as_uint(b[t * 8 + g]), __float_as_uint(b[(t + 4) * 8 + g])};
  float sums[4] = {};
  mma_m16n8k8_tf32(sums, left, right);
  d[g * 8 + 2 * t] = sums[0];
  d[g * 8 + 2 * t + 1] = sums[1];
  d[(g + 8) * 8 + 2 * t] = sums[2];
  d[(g + 8) * 8 + 2 * t + 1] = sums[3];

  __shared__ __align__(16) unsigned short tile[4][8][8];
  for (int i = lane; i < 256; i += 32) (&tile[0][0][0])[i] = in[i];
  __syncwarp();
  unsigned r[4];
  ldmatrix_x4_trans(r, &tile[lane / 8][lane % 8][0]);
  for (int i = 0; i < 4; i++) {
    out[i * 64 + g * 8 + 2 * t] = static_cast<unsigned short>(r[i]);
    out[i * 64 + g * 8 + 2 * t + 1] = static_cast<unsigned short>(r[i] >> 16);
  }
}

// counts[0]++, then tells the conditional node whether to go on until `turns` are done.
extern "C" __global__ void clean_count(unsigned* counts, unsigned turns, unsigned long long condition) {
  counts[0]++;
  cudaGraphSetConditional(condition, counts[0] < turns ? 1u : 0u);
}

// into[i] = from[i] * factor + add[0], read through a structure passed by value.
struct CleanScale {
  const float* from;
  float* into;
  const float* add;
  float factor;
  int count;
};

extern "C" __global__ void clean_scale(const __grid_constant__ CleanScale s) {
  int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < s.count) s.into[i] = s.from[i] * s.factor + s.add[0];
}
