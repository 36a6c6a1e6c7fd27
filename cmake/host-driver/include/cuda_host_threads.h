// Thread and block coordinates, block barriers, fences and atomics.
#pragma once

#include "cuda_host_types.h"

namespace dicache_host {

// Each CUDA thread runs on a stack of this size, aligned to it, with its Thread record in the highest bytes. The record is thus found
// from the stack pointer alone, which costs less than a thread-local variable and survives inlining.
inline constexpr size_t stack_bytes = 64 * 1024;

// Where the block runs. Fixed while the block is running.
struct Geometry {
  uint3 block_index;
  dim3 block_dimensions;
  dim3 grid_dimensions;
  unsigned char* dynamic_shared;
};

// What a kernel reads of its own thread.
struct ThreadView {
  uint3 index;
  unsigned linear;
  const Geometry* geometry;
};

inline __attribute__((always_inline)) const ThreadView& self() {
#if defined(__x86_64__)
  uintptr_t stack;
  asm("movq %%rsp, %0" : "=r"(stack));
#else
  uintptr_t stack = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
#endif
  // The view is the last member-sized piece below the end of the slot; see Thread in fibers.h.
  return *reinterpret_cast<const ThreadView*>((stack | (stack_bytes - 1)) + 1 - 64);
}

enum class Vote : int { none, count, all, any };

// Waits for the threads of the block that still run; returns the vote over their predicates.
int sync_block(Vote vote, int predicate);
void device_fence();

// Atomics go through the driver so that the race checker knows them for what they are.
unsigned atomic_add_u32(unsigned* address, unsigned value);
unsigned atomic_max_u32(unsigned* address, unsigned value);
int atomic_max_s32(int* address, int value);
unsigned atomic_exchange_u32(unsigned* address, unsigned value);
unsigned atomic_cas_u32(unsigned* address, unsigned expected, unsigned desired);
unsigned atomic_inc_u32(unsigned* address, unsigned limit);
float atomic_add_f32(float* address, float value);
unsigned long long atomic_add_u64(unsigned long long* address, unsigned long long value);

void set_conditional(unsigned long long handle, unsigned value);

}  // namespace dicache_host

#define threadIdx (dicache_host::self().index)
#define blockIdx (dicache_host::self().geometry->block_index)
#define blockDim (dicache_host::self().geometry->block_dimensions)
#define gridDim (dicache_host::self().geometry->grid_dimensions)
#define warpSize 32

// `extern __shared__ type name[]` under CUDA: the extra shared memory asked for at launch.
#define DYN_SMEM(type, name) type* const name = reinterpret_cast<type*>(dicache_host::self().geometry->dynamic_shared)

inline void __syncthreads() { dicache_host::sync_block(dicache_host::Vote::none, 0); }
inline void syncthreads() { dicache_host::sync_block(dicache_host::Vote::none, 0); }
inline int __syncthreads_count(int predicate) { return dicache_host::sync_block(dicache_host::Vote::count, predicate); }
inline int __syncthreads_and(int predicate) { return dicache_host::sync_block(dicache_host::Vote::all, predicate); }
inline int __syncthreads_or(int predicate) { return dicache_host::sync_block(dicache_host::Vote::any, predicate); }

inline void __threadfence() { dicache_host::device_fence(); }
inline void __threadfence_block() {}
inline void __threadfence_system() { dicache_host::device_fence(); }

inline unsigned atomicAdd(unsigned* p, unsigned v) { return dicache_host::atomic_add_u32(p, v); }
inline int atomicAdd(int* p, int v) {
  return static_cast<int>(dicache_host::atomic_add_u32(reinterpret_cast<unsigned*>(p), static_cast<unsigned>(v)));
}
inline unsigned long long atomicAdd(unsigned long long* p, unsigned long long v) { return dicache_host::atomic_add_u64(p, v); }
inline float atomicAdd(float* p, float v) { return dicache_host::atomic_add_f32(p, v); }
inline unsigned atomicMax(unsigned* p, unsigned v) { return dicache_host::atomic_max_u32(p, v); }
inline int atomicMax(int* p, int v) { return dicache_host::atomic_max_s32(p, v); }
inline unsigned atomicExch(unsigned* p, unsigned v) { return dicache_host::atomic_exchange_u32(p, v); }
inline unsigned atomicCAS(unsigned* p, unsigned expected, unsigned v) { return dicache_host::atomic_cas_u32(p, expected, v); }
inline unsigned atomicInc(unsigned* p, unsigned limit) { return dicache_host::atomic_inc_u32(p, limit); }

// The device-side half of a conditional graph node.
inline void cudaGraphSetConditional(unsigned long long handle, unsigned value) { dicache_host::set_conditional(handle, value); }
