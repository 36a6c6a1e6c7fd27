// The threads of the operating system that run blocks. Kernels never run on a thread of the caller: a fault inside one must not reach
// a run time that has signal handlers and stacks of its own.
#pragma once

#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "fibers.h"

namespace dicache_host {

struct Fault {
  int signal, code;
  uintptr_t address, instruction;
};

struct Worker {
  Block block{};
  unsigned char* dynamic_end = nullptr;  // dynamic shared memory ends here, at a page that cannot be touched
  sigjmp_buf escape;
  volatile bool in_kernel = false;
  Fault fault{};
};

// 227 KB, the most any architecture offers, in whole pages.
inline constexpr size_t dynamic_shared_limit = 228 * 1024;

// The worker that is the calling thread, or null.
Worker* this_worker();

// Runs the function once on each of at most `wanted` workers, in parallel, and waits for all.
void run_on_workers(unsigned wanted, const std::function<void(Worker&)>& function);

// Splits [0, count) among the workers.
void parallel_for(unsigned count, const std::function<void(unsigned)>& function);

// Where the calling thread's copy of the library's thread-local variables lies: the kernels' static shared memory is among them.
void thread_local_range(uintptr_t& begin, uintptr_t& end);

void install_fault_handler();

}  // namespace dicache_host
