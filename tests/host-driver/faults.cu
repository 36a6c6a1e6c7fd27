// One planted fault per kernel; each checker of the host driver must fire on its own.
#include "cuda_host.h"

// Writes one element past each end that it is told of: element `at` of an array it believes to be long enough.
extern "C" __global__ void fault_write(float* array, int at) {
  if (threadIdx.x == 3) array[at] = 1.0f;
}

extern "C" __global__ void fault_read(const float* array, int at, float* out) {
  if (threadIdx.x == 3) out[0] = array[at];
}

// A pointer into memory that was freed before the launch, hidden from a look at the arguments.
extern "C" __global__ void fault_use_after_free(unsigned long long address_xor, unsigned long long key) {
  if (threadIdx.x == 1) *reinterpret_cast<float*>(address_xor ^ key) = 1.0f;
}

extern "C" __global__ void fault_misaligned(const float* array, float4* out) {
  const float4 v = *reinterpret_cast<const float4*>(array + 1);
  out[threadIdx.x] = v;
}

extern "C" __global__ void fault_dynamic_shared(float* out, int at) {
  DYN_SMEM(float, buffer);
  buffer[at] = 1.0f;
  out[0] = buffer[0];
}

extern "C" __global__ void fault_static_index(float* out, int at) {
  __shared__ float table[32];
  table[threadIdx.x % 32] = 1.0f;
  __syncthreads();
  out[threadIdx.x] = table[at];
}

extern "C" __global__ void fault_deadlock(float* out) {
  __shared__ float value;
  if (threadIdx.x < 40) {
    value = 1.0f;
    __syncthreads();
  } else if (threadIdx.x & 1) {
    __syncwarp();
  } else {
    __syncthreads();
  }
  out[threadIdx.x] = value;
}

extern "C" __global__ void fault_divergent_shuffle(float* out) {
  float v = static_cast<float>(threadIdx.x);
  if (threadIdx.x < 16) v = __shfl_xor_sync(~0u, v, 1);
  else v = static_cast<float>(__ballot_sync(~0u, v > 3.0f));
  out[threadIdx.x] = v;
}

// The neighbour's value is read before it is there: a barrier is missing.
extern "C" __global__ void fault_shared_race(float* out) {
  __shared__ float values[64];
  values[threadIdx.x] = static_cast<float>(threadIdx.x);
  out[threadIdx.x] = values[(threadIdx.x + 1) % 64];
}

// All blocks add to one element without an atomic operation.
extern "C" __global__ void fault_global_race(float* sum) {
  if (threadIdx.x == 0) sum[0] += 1.0f;
}

// The second buffer of a pair is overwritten while other warps still read it: gives the right result in most orders.
extern "C" __global__ void fault_missing_second_barrier(const float* in, float* out, int rounds) {
  __shared__ float stage[64];
  float sum = 0.0f;
  for (int r = 0; r < rounds; r++) {
    stage[threadIdx.x] = in[r * 64 + threadIdx.x];
    __syncthreads();
    sum += stage[63 - threadIdx.x];
  }
  out[threadIdx.x] = sum;
}

extern "C" __global__ void fault_uninitialised(float* out) {
  __shared__ float values[64];
  if (threadIdx.x < 63) values[threadIdx.x] = 1.0f;
  __syncthreads();
  out[threadIdx.x] = values[threadIdx.x];
}

// Reads what cp.async brings without waiting for it.
extern "C" __global__ void fault_copy_not_awaited(const float* in, float* out) {
  __shared__ __align__(16) float values[128];
  cp_async16(&values[threadIdx.x * 4], in + threadIdx.x * 4);
  cp_async_commit();
  __syncthreads();
  out[threadIdx.x] = values[threadIdx.x * 4];
}

extern "C" __global__ void fault_stack(float* out, int depth) {
  volatile float local[40000];
  for (int i = 0; i < depth; i++) local[i] = static_cast<float>(i);
  out[threadIdx.x] = local[depth - 1];
}

extern "C" __global__ void fault_division(int* out, int divisor) { out[threadIdx.x] = 7 / divisor; }
