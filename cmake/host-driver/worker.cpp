#include "worker.h"

#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "options.h"

namespace dicache_host {
namespace {

// Not a thread_local variable: those are filled before each block, and asking for one in a signal handler may allocate.
pthread_key_t worker_key() {
  static pthread_key_t key = [] {
    pthread_key_t k;
    pthread_key_create(&k, nullptr);
    return k;
  }();
  return key;
}

constexpr size_t signal_stack_bytes = 64 * 1024;

struct Pool {
  std::mutex mutex;
  std::condition_variable wake, done;
  std::vector<Worker*> workers;
  const std::function<void(Worker&)>* job = nullptr;
  unsigned wanted = 0, running = 0;
  uint64_t generation = 0;
};

Pool& pool() {
  static Pool* instance = new Pool;  // the threads live as long as the process
  return *instance;
}

void* map_pages(size_t bytes) {
  void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return p == MAP_FAILED ? nullptr : p;
}

void prepare_thread(Worker& w) {
  pthread_setspecific(worker_key(), &w);
  // Only what a kernel can cause arrives here; everything else is for the caller's threads.
  sigset_t all_but_faults;
  sigfillset(&all_but_faults);
  for (int s : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP}) sigdelset(&all_but_faults, s);
  pthread_sigmask(SIG_SETMASK, &all_but_faults, nullptr);
  stack_t stack{};
  stack.ss_sp = map_pages(signal_stack_bytes);
  stack.ss_size = signal_stack_bytes;
  sigaltstack(&stack, nullptr);
  pthread_setname_np(pthread_self(), "cuda-host");

  auto* region = static_cast<unsigned char*>(map_pages(dynamic_shared_limit + 4096));
  w.dynamic_end = region + dynamic_shared_limit;
  mprotect(w.dynamic_end, 4096, PROT_NONE);
}

void worker_main(Pool& p, Worker& w, unsigned index) {
  prepare_thread(w);
  uint64_t seen = 0;
  std::unique_lock lock(p.mutex);
  for (;;) {
    p.wake.wait(lock, [&] { return p.generation != seen; });
    seen = p.generation;
    if (index >= p.wanted) continue;
    const auto* job = p.job;
    lock.unlock();
    (*job)(w);
    lock.lock();
    if (--p.running == 0) p.done.notify_one();
  }
}

int find_own_segment(dl_phdr_info* info, size_t, void* data) {
  auto* range = static_cast<uintptr_t*>(data);
  auto probe = reinterpret_cast<uintptr_t>(&find_own_segment);
  bool own = false;
  size_t bytes = 0;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const auto& header = info->dlpi_phdr[i];
    uintptr_t begin = info->dlpi_addr + header.p_vaddr;
    own |= header.p_type == PT_LOAD && probe >= begin && probe < begin + header.p_memsz;
    if (header.p_type == PT_TLS) bytes = header.p_memsz;
  }
  if (!own) return 0;
  range[0] = reinterpret_cast<uintptr_t>(info->dlpi_tls_data);
  range[1] = range[0] == 0 ? 0 : range[0] + bytes;
  return 1;
}

}  // namespace

Worker* this_worker() { return static_cast<Worker*>(pthread_getspecific(worker_key())); }

void thread_local_range(uintptr_t& begin, uintptr_t& end) {
  // A thread gets its copy of the variables when it first uses one.
  static thread_local volatile char own_copy;
  (void)own_copy;
  uintptr_t range[2] = {0, 0};
  dl_iterate_phdr(&find_own_segment, range);
  begin = range[0];
  end = range[1];
}

void run_on_workers(unsigned wanted, const std::function<void(Worker&)>& function) {
  if (wanted == 0) return;
  install_fault_handler();
  Pool& p = pool();
  std::unique_lock lock(p.mutex);
  while (p.workers.size() < wanted) {
    auto* w = new Worker;
    auto index = static_cast<unsigned>(p.workers.size());
    p.workers.push_back(w);
    std::thread([&p, w, index] { worker_main(p, *w, index); }).detach();
  }
  p.job = &function;
  p.wanted = p.running = wanted;
  p.generation++;
  p.wake.notify_all();
  p.done.wait(lock, [&] { return p.running == 0; });
}

void parallel_for(unsigned count, const std::function<void(unsigned)>& function) {
  std::atomic<unsigned> next{0};
  unsigned workers = options().threads < count ? options().threads : count;
  run_on_workers(workers, [&](Worker&) {
    for (unsigned i = next++; i < count; i = next++) function(i);
  });
}

}  // namespace dicache_host
