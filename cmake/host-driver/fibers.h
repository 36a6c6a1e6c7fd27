// A block as a set of fibers: one stack per CUDA thread, switched by hand, all on one thread of the operating system.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cuda_api.h"
#include "cuda_host_registration.h"
#include "stack_switch.h"

namespace dicache_host {

inline constexpr unsigned warp_lanes = 32;
inline constexpr unsigned max_threads = 1024;
inline constexpr unsigned max_warps = max_threads / warp_lanes;

// Asynchronous copies a thread has issued and not yet waited for.
struct PendingCopy {
  void* shared;
  const void* global;
  unsigned bytes, valid_bytes, group;
};
inline constexpr unsigned max_pending_copies = 128;

struct Block;

// Lives in the highest bytes of the stack it describes; the view must come last (see self()).
struct alignas(64) Thread {
  Block* block;
  SavedStack saved;
  unsigned copies, copy_group;
  PendingCopy pending[max_pending_copies];
  alignas(64) ThreadView view;
};
static_assert(sizeof(Thread) % 64 == 0 && offsetof(Thread, view) == sizeof(Thread) - 64);

enum class Collective : unsigned char { sync, shuffle, ballot, load_matrix, multiply_bf16, multiply_f16, multiply_tf32 };

struct alignas(64) Warp {
  // One bit per lane.
  unsigned alive, runnable, started, at_block, arrived;
  unsigned epoch;                 // warp barriers passed
  Collective kinds[warp_lanes];   // the operation each waiting lane is in
  unsigned masks[warp_lanes];     // the lanes each waiting lane waits for
  unsigned options[warp_lanes];   // what kind of shuffle, how many matrices ...
  uint64_t operands[warp_lanes][3];
  uint64_t results[warp_lanes][2];
};

struct Block {
  Geometry geometry;
  const Kernel* kernel;
  void** arguments;
  unsigned threads, warps;
  unsigned alive, waiting, runnable_warps;
  unsigned epoch;                 // block barriers passed
  int vote_count, vote_result;
  unsigned vote_voters;
  unsigned serial;                // counts the blocks run by this worker, for the checker of uninitialised memory
  bool shuffled, late_copies;
  uint64_t random;
  // Where this block's shared memory lies: the static variables of all kernels; the dynamic part, and the page behind it.
  uintptr_t static_begin, static_end, dynamic_begin, dynamic_end, dynamic_limit;
  Thread* current;
  Thread* thread[max_threads];
  std::vector<Thread*> free_stacks;
  std::vector<Thread*> stacks;
  SavedStack scheduler;
  CUresult failure;               // why the block was left before its end
  Warp warp[max_warps];
};

// Runs the threads of one block to the end. False when they did not get there: a finding and block.failure say why.
bool run_block(Block& block);

// Gives the block as many stacks as it has threads. Each has a guard page below it.
bool reserve_stacks(Block& block);

// Leaves the running block for good, from inside a fiber.
[[noreturn]] void fail_block(Block& block, CUresult why);

inline bool in_static_shared(const Block& b, uintptr_t address) { return address >= b.static_begin && address < b.static_end; }
inline bool in_dynamic_shared(const Block& b, uintptr_t address) { return address >= b.dynamic_begin && address < b.dynamic_end; }

inline Thread& current_thread() {
  return *reinterpret_cast<Thread*>(reinterpret_cast<uintptr_t>(&self()) - offsetof(Thread, view));
}
inline unsigned lane_of(const Thread& t) { return t.view.linear % warp_lanes; }
inline unsigned warp_of(const Thread& t) { return t.view.linear / warp_lanes; }

// "kernel probe_l1_bf16, block (0,0,0), thread (3,0,0)"
std::string describe_place(const Block& block, const Thread* thread);

}  // namespace dicache_host
