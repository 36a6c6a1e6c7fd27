// probe_row.cuh: the sums of the DiCache probe over one row held by one block. probe_l1 and gated_residual share it, so that the sums
// have the same bits whether they are taken over a stored probe output or while it is being made.
#pragma once
#include "common.cuh"

constexpr int kProbeSums = 6;

// All [B, L, D] of one type; data is null for what is not wanted.
struct ProbeArgs {
  Rows previous_probe;   // p'
  Rows input;            // x
  Rows previous_input;   // x'
  Rows older_residual;   // r2
  Rows newer_residual;   // r1
  float* partials;       // [6, B * L]: one number per sum and row, added up by probe_l1_sum
};

template <class T>
DEVICE void probe_row(const float (&p)[kVector], const ProbeArgs& a, int sample, int row, int first, int count, bool wide) {
  __shared__ float partial[kProbeSums][kMaxWarps];
  float sums[kProbeSums] = {};

  if (a.previous_probe.data) {
    float previous[kVector];
    load8(previous, row_of<T>(a.previous_probe, sample, row) + first, count, wide);
#pragma unroll
    for (int i = 0; i < kVector; i++) {
      sums[0] += fabsf(p[i] - previous[i]);
      sums[1] += fabsf(previous[i]);
    }
  }

  float x[kVector];
  if (a.input.data) load8(x, row_of<T>(a.input, sample, row) + first, count, wide);
  if (a.input.data && a.previous_input.data) {
    float previous[kVector];
    load8(previous, row_of<T>(a.previous_input, sample, row) + first, count, wide);
#pragma unroll
    for (int i = 0; i < kVector; i++) {
      sums[2] += fabsf(x[i] - previous[i]);
      sums[3] += fabsf(previous[i]);
    }
  }

  if (a.older_residual.data) {
    float older[kVector];
    load8(older, row_of<T>(a.older_residual, sample, row) + first, count, wide);
#pragma unroll
    for (int i = 0; i < kVector; i++) sums[4] += fabsf((p[i] - x[i]) - older[i]);
    if (a.newer_residual.data) {
      float newer[kVector];
      load8(newer, row_of<T>(a.newer_residual, sample, row) + first, count, wide);
#pragma unroll
      for (int i = 0; i < kVector; i++) sums[5] += fabsf(newer[i] - older[i]);
    }
  }

#pragma unroll
  for (int s = 0; s < kProbeSums; s++) {
    const float sum = warp_sum(sums[s]);
    if (threadIdx.x % kWarp == 0) partial[s][threadIdx.x / kWarp] = sum;
  }
  __syncthreads();
  if (threadIdx.x < kProbeSums) {
    const int warps = (blockDim.x + kWarp - 1) / kWarp;
    float sum = 0.f;
    for (int i = 0; i < warps; i++) sum += partial[threadIdx.x][i];
    const long long rows = static_cast<long long>(gridDim.x) * gridDim.y;
    a.partials[threadIdx.x * rows + static_cast<long long>(sample) * gridDim.x + row] = sum;
  }
}
