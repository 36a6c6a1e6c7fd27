// row_norm.cuh: LayerNorm of one row held by one block, eight elements per thread, and the affine map after it. The three kernels that
// end in a norm (layer_norm_modulate, gated_residual, trajectory_blend) share it, so that they give the same bits.
#pragma once
#include "common.cuh"

// n * (offset + scale) + shift; scale and shift may be missing.
struct ModulationArgs {
  Vector shift;
  Vector scale;
  float offset;
  float epsilon;
};

// Mean and variance in two passes over registers: no cancellation, and the row is read once.
DEVICE void layer_norm_row(float (&v)[kVector], int count, int cols, float epsilon) {
  __shared__ float mean_partial[kMaxWarps];
  __shared__ float variance_partial[kMaxWarps];

  float sum = 0.f;
#pragma unroll
  for (int i = 0; i < kVector; i++) sum += v[i];  // elements beyond count are zero
  const float mean = block_sum(sum, mean_partial) / cols;

  float squares = 0.f;
#pragma unroll
  for (int i = 0; i < kVector; i++) {
    v[i] -= mean;
    squares += i < count ? v[i] * v[i] : 0.f;
  }
  const float scale = rsqrtf(block_sum(squares, variance_partial) / cols + epsilon);
#pragma unroll
  for (int i = 0; i < kVector; i++) v[i] *= scale;
}

DEVICE void modulate_row(float (&v)[kVector], const ModulationArgs& m, int sample, int first, int count, bool wide) {
  if (m.scale.data) {
    float scale[kVector];
    load8(scale, vector_of(m.scale, sample) + first, count, wide);
#pragma unroll
    for (int i = 0; i < kVector; i++) v[i] *= m.offset + scale[i];
  }
  if (m.shift.data) {
    float shift[kVector];
    load8(shift, vector_of(m.shift, sample) + first, count, wide);
#pragma unroll
    for (int i = 0; i < kVector; i++) v[i] += shift[i];
  }
}
