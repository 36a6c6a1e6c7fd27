// Operations of a whole warp: shuffles, votes, matrix fragments; and asynchronous copies to shared memory.
#pragma once

#include "cuda_host_threads.h"

namespace dicache_host {

enum class Shuffle : unsigned char { index, up, down, exclusive_or };

// Each returns when every running thread named in the mask has called the same function.
void sync_warp(unsigned mask);
uint64_t shuffle(unsigned mask, uint64_t bits, Shuffle kind, int operand, int width);
unsigned ballot(unsigned mask, bool predicate);
unsigned active_mask();
void load_matrix(unsigned* fragment, const void* row, unsigned matrices, bool transpose);
void multiply_bf16(float* d, const unsigned* a, const unsigned* b);
void multiply_f16(float* d, const unsigned* a, const unsigned* b);
void multiply_tf32(float* d, const unsigned* a, const unsigned* b);

void copy_async(void* shared, const void* global, unsigned bytes, unsigned valid_bytes);
void copy_commit();
void copy_wait(unsigned groups_left);

template <class T>
inline T shuffle_value(unsigned mask, T value, Shuffle kind, int operand, int width) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "shuffles move 4 or 8 bytes");
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = shuffle(mask, bits, kind, operand, width);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

}  // namespace dicache_host

inline void __syncwarp(unsigned mask = ~0u) { dicache_host::sync_warp(mask); }
inline unsigned __activemask() { return dicache_host::active_mask(); }
inline unsigned __ballot_sync(unsigned mask, int predicate) { return dicache_host::ballot(mask, predicate != 0); }
inline int __any_sync(unsigned mask, int predicate) { return dicache_host::ballot(mask, predicate != 0) != 0; }
inline int __all_sync(unsigned mask, int predicate) { return dicache_host::ballot(mask, predicate == 0) == 0; }

template <class T> inline T __shfl_sync(unsigned mask, T v, int lane, int width = 32) {
  return dicache_host::shuffle_value(mask, v, dicache_host::Shuffle::index, lane, width);
}
template <class T> inline T __shfl_up_sync(unsigned mask, T v, unsigned delta, int width = 32) {
  return dicache_host::shuffle_value(mask, v, dicache_host::Shuffle::up, static_cast<int>(delta), width);
}
template <class T> inline T __shfl_down_sync(unsigned mask, T v, unsigned delta, int width = 32) {
  return dicache_host::shuffle_value(mask, v, dicache_host::Shuffle::down, static_cast<int>(delta), width);
}
template <class T> inline T __shfl_xor_sync(unsigned mask, T v, int lanes, int width = 32) {
  return dicache_host::shuffle_value(mask, v, dicache_host::Shuffle::exclusive_or, lanes, width);
}

// The names that kernels/common.cuh gives to inline PTX on the device.
template <class T> inline T shfl_xor(T v, int lanes) { return __shfl_xor_sync(~0u, v, lanes); }
template <class T> inline T shfl_down(T v, int delta) { return __shfl_down_sync(~0u, v, static_cast<unsigned>(delta)); }

inline void cp_async16(void* shared, const void* global) { dicache_host::copy_async(shared, global, 16, 16); }
// Copies the first valid_bytes and clears the rest of the 16.
inline void cp_async16(void* shared, const void* global, unsigned valid_bytes) { dicache_host::copy_async(shared, global, 16, valid_bytes); }
inline void cp_async_commit() { dicache_host::copy_commit(); }
template <int N> inline void cp_async_wait() { dicache_host::copy_wait(N); }

inline void ldmatrix_x2(unsigned (&r)[2], const void* row) { dicache_host::load_matrix(r, row, 2, false); }
inline void ldmatrix_x2_trans(unsigned (&r)[2], const void* row) { dicache_host::load_matrix(r, row, 2, true); }
inline void ldmatrix_x4(unsigned (&r)[4], const void* row) { dicache_host::load_matrix(r, row, 4, false); }
inline void ldmatrix_x4_trans(unsigned (&r)[4], const void* row) { dicache_host::load_matrix(r, row, 4, true); }

// d += a b, f32 accumulators; a row-major, b column-major, in the fragment layout of the PTX manual.
inline void mma_m16n8k16_bf16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) { dicache_host::multiply_bf16(d, a, b); }
inline void mma_m16n8k16_f16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) { dicache_host::multiply_f16(d, a, b); }
inline void mma_m16n8k8_tf32(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) { dicache_host::multiply_tf32(d, a, b); }
