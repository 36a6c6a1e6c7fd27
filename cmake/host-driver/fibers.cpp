#include "fibers.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "findings.h"
#include "warp.h"

#if defined(__x86_64__) && !defined(DICACHE_HOST_UCONTEXT)
asm(R"(
  .text
  .p2align 4
  .globl dicache_host_switch
  .hidden dicache_host_switch
  .type dicache_host_switch, @function
dicache_host_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size dicache_host_switch, .-dicache_host_switch
)");
#endif

namespace dicache_host {
namespace {

constexpr unsigned none = ~0u;

uint64_t next_random(uint64_t& state) {  // xorshift64
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

unsigned lowest(unsigned mask) { return static_cast<unsigned>(__builtin_ctz(mask)); }

// The first set bit at or after a random position, cyclically.
unsigned random_bit(unsigned mask, uint64_t random) {
  unsigned shift = static_cast<unsigned>(random) & 31;
  unsigned rotated = (mask >> shift) | (shift == 0 ? 0 : mask << (32 - shift));
  return (lowest(rotated) + shift) & 31;
}

// The thread to run after this one: the rest of its warp first (its data are in the cache), then the next warp; any, when shuffled.
unsigned pick(Block& b, unsigned after) {
  if (b.runnable_warps == 0) return none;
  if (b.shuffled) {
    uint64_t r = next_random(b.random);
    unsigned w = random_bit(b.runnable_warps, r >> 32);
    return w * warp_lanes + random_bit(b.warp[w].runnable, r);
  }
  unsigned w = after / warp_lanes, lane = after % warp_lanes;
  if (unsigned mine = b.warp[w].runnable) {
    unsigned above = lane == 31 ? 0 : mine & (~0u << (lane + 1));
    return w * warp_lanes + lowest(above != 0 ? above : mine);
  }
  unsigned above = w == 31 ? 0 : b.runnable_warps & (~0u << (w + 1));
  w = lowest(above != 0 ? above : b.runnable_warps);
  return w * warp_lanes + lowest(b.warp[w].runnable);
}

void set_runnable(Block& b, unsigned w, unsigned lanes) {
  b.warp[w].runnable |= lanes;
  if (b.warp[w].runnable != 0) b.runnable_warps |= 1u << w;
}

void clear_runnable(Block& b, unsigned linear) {
  Warp& w = b.warp[linear / warp_lanes];
  w.runnable &= ~(1u << linear % warp_lanes);
  if (w.runnable == 0) b.runnable_warps &= ~(1u << linear / warp_lanes);
}

void adopt(Block& b, Thread* t, unsigned linear) {
  unsigned x = b.geometry.block_dimensions.x, y = b.geometry.block_dimensions.y;
  t->view.index = {linear % x, linear / x % y, linear / (x * y)};
  t->view.linear = linear;
  t->view.geometry = &b.geometry;
  t->block = &b;
  t->copies = t->copy_group = 0;
  b.thread[linear] = t;
  b.warp[linear / warp_lanes].started |= 1u << linear % warp_lanes;
}

bool started(const Block& b, unsigned linear) { return (b.warp[linear / warp_lanes].started >> linear % warp_lanes & 1) != 0; }

void fiber_entry();

void* stack_bottom(Thread* t) { return reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(t) & ~(stack_bytes - 1)); }

// Continues with another thread of the block; what becomes of the present one is the caller's business.
void resume(Block& b, SavedStack& save, unsigned linear) {
  if (!started(b, linear)) {
    Thread* t = b.free_stacks.back();
    b.free_stacks.pop_back();
    adopt(b, t, linear);
    // Stacks are 64 KB apart; starting each at another offset keeps them from competing for the same cache sets.
    uintptr_t top = reinterpret_cast<uintptr_t>(t) - (linear & 15) * 128;
    prepare_stack(t->saved, stack_bottom(t), reinterpret_cast<void*>(top), &fiber_entry);
  }
  b.current = b.thread[linear];
  switch_stack(save, b.current->saved);
}

std::string range_text(const std::vector<unsigned>& threads) {
  std::string text = std::to_string(threads.size()) + (threads.size() == 1 ? " thread (" : " threads (");
  text += std::to_string(threads.front());
  if (threads.size() > 1) text += threads.back() - threads.front() + 1 == threads.size() ? ".." : " and others up to ";
  if (threads.size() > 1) text += std::to_string(threads.back());
  return text + ")";
}

void report_deadlock(Block& b) {
  std::vector<unsigned> at_block, at_warp;
  for (unsigned i = 0; i < b.threads; i++) {
    const Warp& w = b.warp[i / warp_lanes];
    unsigned bit = 1u << i % warp_lanes;
    if (w.at_block & bit) at_block.push_back(i);
    if (w.arrived & bit) at_warp.push_back(i);
  }
  std::string text = describe_place(b, nullptr) + ": ";
  if (!at_block.empty()) text += range_text(at_block) + " wait at __syncthreads";
  if (!at_block.empty() && !at_warp.empty()) text += " while ";
  if (!at_warp.empty()) text += range_text(at_warp) + " wait for lanes of their warp";
  report(Check::deadlock, text + "; none of the " + std::to_string(b.alive) + " threads left can go on");
}

void release_block_barrier(Block& b) {
  b.waiting = 0;
  b.epoch++;
  b.vote_result = b.vote_count;
  b.vote_count = 0;
  for (unsigned w = 0; w < b.warps; w++) {
    if (b.warp[w].at_block == 0) continue;
    set_runnable(b, w, b.warp[w].at_block);
    b.warp[w].at_block = 0;
  }
}

void finish(Block& b, Thread& t) {
  unsigned linear = t.view.linear, w = linear / warp_lanes;
  b.alive--;
  b.warp[w].alive &= ~(1u << linear % warp_lanes);
  clear_runnable(b, linear);
  if (b.waiting != 0 && b.waiting == b.alive) release_block_barrier(b);
  if (b.warp[w].arrived != 0) complete_collectives(b, w);
}

[[noreturn]] void leave_block(Block& b) {
  SavedStack unused;
  switch_stack(unused, b.scheduler);
  __builtin_unreachable();
}

// Runs threads until none is left to start; then leaves its stack to others.
void fiber_entry() {
  Thread* t = &current_thread();
  Block& b = *t->block;
  for (;;) {
    b.kernel->invoke(b.arguments);
    unsigned linear = t->view.linear;
    finish(b, *t);
    if (b.alive == 0) break;
    unsigned next = pick(b, linear);
    if (next == none) {
      report_deadlock(b);
      fail_block(b, CUDA_ERROR_LAUNCH_TIMEOUT);
    }
    if (started(b, next)) {
      b.free_stacks.push_back(t);
      SavedStack unused;
      resume(b, unused, next);
    }
    adopt(b, t, next);
    b.current = t;
  }
  leave_block(b);
}

}  // namespace

void leave_until_runnable(Block& b, Thread& t) {
  unsigned next = pick(b, t.view.linear);
  if (next == none) {
    report_deadlock(b);
    fail_block(b, CUDA_ERROR_LAUNCH_TIMEOUT);
  }
  if (next == t.view.linear) return;
  resume(b, t.saved, next);
}

void make_runnable(Block& b, unsigned w, unsigned lanes) { set_runnable(b, w, lanes); }

void stop_running(Block& b, unsigned linear) { clear_runnable(b, linear); }

int sync_block(Vote vote, int predicate) {
  Thread& t = current_thread();
  Block& b = *t.block;
  unsigned linear = t.view.linear;
  clear_runnable(b, linear);
  b.warp[linear / warp_lanes].at_block |= 1u << linear % warp_lanes;
  if (vote == Vote::all) b.vote_count += predicate == 0;
  else if (vote != Vote::none) b.vote_count += predicate != 0;
  if (++b.waiting == b.alive) release_block_barrier(b);
  // The last to arrive goes on at once, unless the order is to be shuffled.
  if (b.waiting != 0 || b.shuffled) leave_until_runnable(b, t);
  if (vote == Vote::all) return b.vote_result == 0;
  if (vote == Vote::any) return b.vote_result != 0;
  return b.vote_result;
}

void fail_block(Block& b, CUresult why) {
  b.failure = why;
  leave_block(b);
}

bool run_block(Block& b) {
  b.alive = b.threads;
  b.waiting = 0;
  b.epoch = 1;
  b.vote_count = b.vote_result = 0;
  b.failure = CUDA_SUCCESS;
  b.warps = (b.threads + warp_lanes - 1) / warp_lanes;
  b.runnable_warps = b.warps == 32 ? ~0u : (1u << b.warps) - 1;
  for (unsigned w = 0; w < b.warps; w++) {
    Warp& warp = b.warp[w];
    unsigned lanes = std::min(warp_lanes, b.threads - w * warp_lanes);
    warp.alive = warp.runnable = lanes == 32 ? ~0u : (1u << lanes) - 1;
    warp.started = warp.at_block = warp.arrived = 0;
    warp.epoch = 1;
  }
  b.free_stacks.assign(b.stacks.rbegin(), b.stacks.rend());
  resume(b, b.scheduler, b.shuffled ? pick(b, 0) : 0);
  b.current = nullptr;
  return b.failure == CUDA_SUCCESS;
}

bool reserve_stacks(Block& b) {
  while (b.stacks.size() < b.threads) {
    // Twice the size, to cut an aligned piece out of it: the record of a thread is found by masking the stack pointer.
    constexpr unsigned batch = 64;
    size_t bytes = (batch + 1) * stack_bytes;
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return false;
    uintptr_t first = (reinterpret_cast<uintptr_t>(memory) + stack_bytes - 1) & ~(stack_bytes - 1);
    for (unsigned i = 0; i < batch; i++) {
      uintptr_t bottom = first + i * stack_bytes;
      mprotect(reinterpret_cast<void*>(bottom), static_cast<size_t>(sysconf(_SC_PAGESIZE)), PROT_NONE);
      b.stacks.push_back(reinterpret_cast<Thread*>(bottom + stack_bytes - sizeof(Thread)));
    }
  }
  return true;
}

std::string describe_place(const Block& b, const Thread* t) {
  auto triple = [](unsigned x, unsigned y, unsigned z) {
    return "(" + std::to_string(x) + "," + std::to_string(y) + "," + std::to_string(z) + ")";
  };
  const Geometry& g = b.geometry;
  std::string text = std::string("kernel ") + b.kernel->name + ", block " + triple(g.block_index.x, g.block_index.y, g.block_index.z);
  if (t != nullptr) text += ", thread " + triple(t->view.index.x, t->view.index.y, t->view.index.z);
  return text;
}

}  // namespace dicache_host
