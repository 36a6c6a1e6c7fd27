// What a test or a user may change; read from the environment once, changed by dicacheHostOption.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dicache_host {

struct Options {
  uint64_t seed;        // DICACHE_HOST_SEED: 0 runs threads in order, anything else shuffles threads, blocks and graph nodes
  size_t memory;        // DICACHE_HOST_MEMORY: bytes of device memory
  unsigned threads;     // DICACHE_HOST_THREADS: threads of the operating system that run blocks
  unsigned arch;        // DICACHE_HOST_ARCH: compute capability times ten
  int version;          // DICACHE_HOST_VERSION: newest CUDA supported, as cuDriverGetVersion gives it
  bool refuse_fused;    // no product with an epilogue runs, whatever the heuristics said of it
  bool eager;           // DICACHE_HOST_EAGER: run work when it is issued, not when something waits for it
  bool interleave;      // DICACHE_HOST_INTERLEAVE: while one stream is waited for, work of the others runs between, in an order the seed chooses
};

Options& options();

// Bytes of shared memory a block may ask for on the simulated architecture.
unsigned shared_memory_limit();

// False when there is no option of that name.
bool set_option(const char* name, long long value);

}  // namespace dicache_host
