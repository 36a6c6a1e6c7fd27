// Atomic operations and fences of kernels.
#include <atomic>
#include <cstring>

#include "cuda_host_threads.h"
#include "memory_checks.h"

namespace dicache_host {
namespace {

template <class T, class Update>
T update(T* address, Update next) {
  Thread& t = current_thread();
  require_aligned(*t.block, t, address, sizeof(T), "an atomic operation");
  note_access(*t.block, t, address, sizeof(T), AccessKind::atomic);
  std::atomic_ref<T> value(*address);
  T seen = value.load();
  while (!value.compare_exchange_weak(seen, next(seen))) {
  }
  return seen;
}

}  // namespace

void device_fence() { std::atomic_thread_fence(std::memory_order_seq_cst); }

unsigned atomic_add_u32(unsigned* p, unsigned v) { return update(p, [=](unsigned old) { return old + v; }); }
unsigned atomic_max_u32(unsigned* p, unsigned v) { return update(p, [=](unsigned old) { return old < v ? v : old; }); }
int atomic_max_s32(int* p, int v) { return update(p, [=](int old) { return old < v ? v : old; }); }
unsigned atomic_exchange_u32(unsigned* p, unsigned v) { return update(p, [=](unsigned) { return v; }); }
unsigned atomic_cas_u32(unsigned* p, unsigned expected, unsigned v) {
  return update(p, [=](unsigned old) { return old == expected ? v : old; });
}
unsigned atomic_inc_u32(unsigned* p, unsigned limit) { return update(p, [=](unsigned old) { return old >= limit ? 0 : old + 1; }); }
unsigned long long atomic_add_u64(unsigned long long* p, unsigned long long v) {
  return update(p, [=](unsigned long long old) { return old + v; });
}
float atomic_add_f32(float* p, float v) { return update(p, [=](float old) { return old + v; }); }

}  // namespace dicache_host
