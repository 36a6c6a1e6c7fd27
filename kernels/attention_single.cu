// attention_single: o = softmax(scale * q k^T) v per sample and head, all products in f32
// shapes   q, o [B, Lq, H * Dh], k, v [B, Lk, H * Dh] bf16 or f32 (one type); rows and samples strided, no alignment asked for
// math     f32, one rounding at the store; online softmax over tiles of 32 keys
// needs    Dh <= 256; scale > 0; sm_80+
// launch   grid = (Lq / 4 rounded up, H, B), block = 128: a warp per query
// moves    k and v once per block, from L1 and L2       flops 4*Lq*Lk*H*Dh
// budget   registers <= 64, smem <= 512
// limit    the f32 units; speed is not its purpose
// why      f32 for comparison with the CPU backend, which tensor cores cannot give; bf16 for rows that cannot be moved 16 bytes at a time
#include "attention_tiles.cuh"

constexpr int kColumns = 8;  // per lane: heads up to 256

template <class T>
DEVICE void attention_single(const AttentionArgs& a) {
  __shared__ float probabilities[kSingleQueries][kWarp];
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp, width = a.head_width;
  const int query = blockIdx.x * kSingleQueries + warp;
  if (query >= a.q_rows) return;
  const long long head = static_cast<long long>(blockIdx.y) * width;
  const T* q = row_of<T>(a.q, blockIdx.z, query) + head;

  float out[kColumns] = {};
  float largest = minus_infinity(), sum = 0.f;
  for (int first = 0; first < a.k_rows; first += kWarp) {
    float score = minus_infinity();
    if (first + lane < a.k_rows) {
      const T* k = row_of<T>(a.k, blockIdx.z, first + lane) + head;
      score = 0.f;
      for (int i = 0; i < width; i++) score += to_f32(q[i]) * to_f32(k[i]);
      score *= a.scale;
    }
    float top = score;
#pragma unroll
    for (int mask = kWarp / 2; mask > 0; mask /= 2) top = fmaxf(top, shfl_xor(top, mask));
    top = fmaxf(top, largest);
    const float base = top == minus_infinity() ? 0.f : top;  // scores of -inf alone would make -inf - -inf
    const float keep = expf(largest - base), p = expf(score - base);
    largest = top;
    sum = sum * keep + warp_sum(p);
    __syncwarp();  // the last tile's probabilities have been read
    probabilities[warp][lane] = p;
    __syncwarp();

    const int keys = min(kWarp, a.k_rows - first);
#pragma unroll
    for (int c = 0; c < kColumns; c++) out[c] *= keep;
    for (int j = 0; j < keys; j++) {
      const T* v = row_of<T>(a.v, blockIdx.z, first + j) + head;
#pragma unroll
      for (int c = 0; c < kColumns; c++) {
        if (c * kWarp + lane < width) out[c] += probabilities[warp][j] * to_f32(v[c * kWarp + lane]);
      }
    }
  }

  T* o = row_of<T>(a.o, blockIdx.z, query) + head;
#pragma unroll
  for (int c = 0; c < kColumns; c++) {
    if (c * kWarp + lane < width) o[c * kWarp + lane] = from_f32<T>(out[c] / sum);
  }
}

extern "C" __global__ void __launch_bounds__(kSingleQueries * kWarp) attention_single_bf16(const __grid_constant__ AttentionArgs a) {
  attention_single<bf16>(a);
}
extern "C" __global__ void __launch_bounds__(kSingleQueries * kWarp) attention_single_f32(const __grid_constant__ AttentionArgs a) {
  attention_single<float>(a);
}
