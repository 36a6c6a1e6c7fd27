#include "launch.h"

#include <signal.h>
#include <dlfcn.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <numeric>

#include "findings.h"
#include "memory.h"
#include "memory_checks.h"
#include "options.h"
#include "race.h"
#include "shared_layout.h"
#include "worker.h"

namespace dicache_host {
namespace {

constexpr unsigned char fill = 0xFF;
constexpr unsigned dynamic_alignment = 128;

struct Run {
  const Launch& launch;
  unsigned blocks, step, offset;
  std::atomic<unsigned> next{0};
  std::atomic<int> error{CUDA_SUCCESS};

  // The first failure is the one that counts; it also stops the other workers.
  void fail(CUresult result) {
    int expected = CUDA_SUCCESS;
    error.compare_exchange_strong(expected, result);
  }
};

uint64_t mixed(uint64_t value) {
  value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9ull;
  value = (value ^ value >> 27) * 0x94D049BB133111EBull;
  return value ^ value >> 31;
}

std::string instruction_text(uintptr_t instruction) {
  Dl_info info{};
  if (instruction == 0 || dladdr(reinterpret_cast<void*>(instruction), &info) == 0) return "";
  const char* file = std::strrchr(info.dli_fname, '/');
  char text[256];
  std::snprintf(text, sizeof text, " [%s+0x%lx]", file == nullptr ? info.dli_fname : file + 1,
                static_cast<unsigned long>(instruction - reinterpret_cast<uintptr_t>(info.dli_fbase)));
  return text;
}

void report_address(const Block& b, const std::string& text, uintptr_t address) {
  if (address >= b.dynamic_limit - dynamic_shared_limit && address < b.dynamic_limit + 4096) {
    bool before = address < b.dynamic_begin;
    std::string distance = std::to_string(before ? b.dynamic_begin - address : address - b.dynamic_end);
    report(Check::out_of_bounds, text + distance + " bytes " + (before ? "before" : "beyond") + " dynamic shared memory");
    return;
  }
  Check check = was_freed(address) ? Check::use_after_free : in_device_range(address) ? Check::out_of_bounds : Check::host_pointer;
  report(check, text + describe_address(address));
}

// What the fault handler wrote down, told once the worker is back on its own stack.
CUresult report_fault(Worker& w) {
  Block& b = w.block;
  const Fault& f = w.fault;
  std::string place = describe_place(b, b.current) + instruction_text(f.instruction);
  if (f.signal == SIGFPE) {
    report(Check::arithmetic, place + ": integer division by zero");
    return CUDA_ERROR_LAUNCH_FAILED;
  }
  uintptr_t stack = b.current == nullptr ? 0 : reinterpret_cast<uintptr_t>(b.current) & ~(stack_bytes - 1);
  if (stack != 0 && f.address >= stack && f.address < stack + 4096) {
    report(Check::stack_overflow, place + ": local variables pass " + std::to_string(stack_bytes) + " bytes");
    return CUDA_ERROR_LAUNCH_FAILED;
  }
  // The processor names no address for a vector access that is not aligned.
  if (f.signal == SIGBUS || (f.address == 0 && f.code == SI_KERNEL)) {
    report(Check::misaligned, place + ": vector access to an address that is not a multiple of its size");
    return CUDA_ERROR_MISALIGNED_ADDRESS;
  }
  report_address(b, place + ": access to ", f.address);
  return CUDA_ERROR_ILLEGAL_ADDRESS;
}

void prepare_block(Worker& w, const Run& run, void** arguments, unsigned worker_seed) {
  Block& b = w.block;
  const Launch& l = run.launch;
  b.kernel = l.kernel;
  b.arguments = arguments;
  b.threads = l.block.x * l.block.y * l.block.z;
  b.geometry.block_dimensions = l.block;
  b.geometry.grid_dimensions = l.grid;
  b.shuffled = options().seed != 0;
  b.late_copies = !b.shuffled || (mixed(options().seed) & 1) != 0;
  b.random = mixed(options().seed + worker_seed) | 1;
  b.dynamic_limit = reinterpret_cast<uintptr_t>(w.dynamic_end);
  b.dynamic_begin = (b.dynamic_limit - l.dynamic_shared) & ~uintptr_t{dynamic_alignment - 1};
  b.dynamic_end = b.dynamic_begin + l.dynamic_shared;
  b.geometry.dynamic_shared = reinterpret_cast<unsigned char*>(b.dynamic_begin);
  thread_local_range(b.static_begin, b.static_end);
}

bool dynamic_margin_intact(const Block& b) {
  for (uintptr_t p = b.dynamic_end; p < b.dynamic_limit; p++) {
    if (*reinterpret_cast<unsigned char*>(p) == fill) continue;
    report_address(b, describe_place(b, nullptr) + ": a write landed ", p);
    return false;
  }
  return true;
}

void run_blocks(Worker& w, Run& run) {
  Block& b = w.block;
  const dim3& grid = run.launch.grid;
  for (unsigned i = run.next++; i < run.blocks && run.error == CUDA_SUCCESS; i = run.next++) {
    auto index = static_cast<unsigned>((static_cast<uint64_t>(i) * run.step + run.offset) % run.blocks);
    b.geometry.block_index = {index % grid.x, index / grid.x % grid.y, index / (grid.x * grid.y)};
    fill_static_shared(*run.launch.kernel, b.static_begin, fill);
    std::memset(b.geometry.dynamic_shared, fill, b.dynamic_limit - b.dynamic_begin);
    race_new_block();
    if (!run_block(b)) {
      run.fail(b.failure);
    } else if (!dynamic_margin_intact(b)) {
      run.fail(CUDA_ERROR_ILLEGAL_ADDRESS);
    }
  }
}

void run_worker(Worker& w, Run& run, unsigned worker_seed) {
  std::vector<void*> arguments = run.launch.arguments.pointers();
  prepare_block(w, run, arguments.data(), worker_seed);
  if (!reserve_stacks(w.block) || w.dynamic_end == nullptr) {
    run.fail(CUDA_ERROR_OUT_OF_MEMORY);
    return;
  }
  if (sigsetjmp(w.escape, 1) != 0) {
    run.fail(report_fault(w));
    return;
  }
  w.in_kernel = true;
  run_blocks(w, run);
  w.in_kernel = false;
}

// A word that points into device memory but into no live allocation is a stale or miscomputed pointer, used or not. Arguments are often
// structures, so the words are looked at and not the types.
bool arguments_valid(const Launch& l) {
  const auto& bytes = l.arguments.bytes();
  for (size_t at = 0; at + 8 <= bytes.size(); at += 8) {
    uintptr_t word;
    std::memcpy(&word, bytes.data() + at, 8);
    if (!in_device_range(word) || find_allocation(word) != nullptr || find_allocation(word - 1) != nullptr) continue;
    Check check = was_freed(word) ? Check::use_after_free : Check::out_of_bounds;
    report(check, std::string("kernel ") + l.kernel->name + " was given a pointer " + describe_address(word));
    return false;
  }
  return true;
}

}  // namespace

// Every argument starts at a multiple of 16, which is enough for any type a kernel takes.
Arguments::Arguments(const Kernel& kernel, void** values) {
  for (unsigned i = 0; i < kernel.parameter_count; i++) {
    offsets_.push_back(bytes_.size());
    bytes_.resize((bytes_.size() + kernel.parameters[i].size + 15) & ~size_t{15});
    std::memcpy(bytes_.data() + offsets_[i], values[i], kernel.parameters[i].size);
  }
}

std::vector<void*> Arguments::pointers() const {
  std::vector<void*> result;
  for (size_t offset : offsets_) result.push_back(const_cast<unsigned char*>(bytes_.data()) + offset);
  return result;
}

CUresult run_launch(const Launch& l) {
  if (!arguments_valid(l)) return CUDA_ERROR_ILLEGAL_ADDRESS;
  Run run{l, l.grid.x * l.grid.y * l.grid.z, 1, 0};
  if (uint64_t seed = options().seed; seed != 0 && run.blocks > 1) {
    run.step = static_cast<unsigned>(mixed(seed) % run.blocks) | 1;
    while (std::gcd(run.step, run.blocks) != 1) run.step++;
    run.offset = static_cast<unsigned>(mixed(seed + 1) % run.blocks);
  }
  race_new_launch();
  std::atomic<unsigned> worker_seed{1};
  unsigned workers = race_checking() ? 1 : std::min(options().threads, run.blocks);
  run_on_workers(workers, [&](Worker& w) { run_worker(w, run, worker_seed++); });
  if (run.error != CUDA_SUCCESS) return static_cast<CUresult>(run.error.load());
  return check_margins(std::string("after kernel ") + l.kernel->name) ? CUDA_SUCCESS : CUDA_ERROR_ILLEGAL_ADDRESS;
}

[[noreturn]] void illegal_access(Block& b, const Thread& t, uintptr_t address, const std::string& what) {
  report_address(b, describe_place(b, &t) + ": " + what + " ", address);
  fail_block(b, CUDA_ERROR_ILLEGAL_ADDRESS);
}

void require_aligned(Block& b, const Thread& t, const void* address, unsigned alignment, const char* what) {
  if (reinterpret_cast<uintptr_t>(address) % alignment == 0) return;
  report(Check::misaligned, describe_place(b, &t) + ": " + what + " at an address that is not a multiple of " + std::to_string(alignment));
  fail_block(b, CUDA_ERROR_MISALIGNED_ADDRESS);
}

void require_shared(Block& b, const Thread& t, const void* address, unsigned bytes, unsigned alignment, const char* what) {
  require_aligned(b, t, address, alignment, what);
  auto begin = reinterpret_cast<uintptr_t>(address);
  bool inside = (in_static_shared(b, begin) && in_static_shared(b, begin + bytes - 1)) ||
                (in_dynamic_shared(b, begin) && in_dynamic_shared(b, begin + bytes - 1));
  if (inside) return;
  report(Check::out_of_bounds, describe_place(b, &t) + ": " + what + " outside shared memory");
  fail_block(b, CUDA_ERROR_ILLEGAL_ADDRESS);
}

}  // namespace dicache_host
