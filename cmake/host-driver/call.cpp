#include "call.h"

#include <cstring>
#include <unordered_map>

namespace dicache_host {
namespace {

struct Calls {
  std::recursive_mutex mutex;
  std::unordered_map<std::string, long> counts;
  long total = 0;
  std::string failing;
  long until_failure = 0;
  bool initialized = false;
  bool retained = false;
  CUresult error = CUDA_SUCCESS;
};

Calls& calls() {
  static Calls* instance = new Calls;
  return *instance;
}

thread_local CUcontext current = nullptr;

bool count_call(const char* name) {
  Calls& c = calls();
  c.total++;
  c.counts[name]++;
  if (c.until_failure == 0 || (c.failing != "*" && c.failing != name)) return false;
  return --c.until_failure == 0;
}

// What the real function is most likely to say.
CUresult injected_error(const char* name) {
  for (const char* allocator : {"cuMemAlloc", "cuMemAllocHost", "cuMemHostAlloc", "cuModuleLoadData", "cuGraphInstantiate"})
    if (std::strcmp(name, allocator) == 0) return CUDA_ERROR_OUT_OF_MEMORY;
  return CUDA_ERROR_UNKNOWN;
}

}  // namespace

Call::Call(const char* name, Fails fails) : lock_(calls().mutex), name_(name), fails_(fails), injected_(count_call(name)) {}

CUresult Call::refused(Needs needs) {
  if (injected_ && fails_ == Fails::before) return injected_error(name_);
  if (needs == Needs::nothing) return CUDA_SUCCESS;
  if (!driver_initialized()) return CUDA_ERROR_NOT_INITIALIZED;
  if (needs == Needs::initialized) return CUDA_SUCCESS;
  if (current == nullptr || !context_retained()) return CUDA_ERROR_INVALID_CONTEXT;
  return fails_ == Fails::after ? CUDA_SUCCESS : context_error();
}

CUresult Call::result(CUresult r) const {
  if (r != CUDA_SUCCESS) return r;
  if (injected_ && fails_ == Fails::after) return injected_error(name_);
  return fails_ == Fails::after ? context_error() : r;
}

void inject_failure(const char* entry, long n) {
  std::lock_guard lock(calls().mutex);
  calls().failing = entry;
  calls().until_failure = n < 0 ? 0 : n;
}

long call_count() {
  std::lock_guard lock(calls().mutex);
  return calls().total;
}

long call_count(const char* entry) {
  std::lock_guard lock(calls().mutex);
  auto it = calls().counts.find(entry);
  return it == calls().counts.end() ? 0 : it->second;
}

void reset_calls() {
  Calls& c = calls();
  std::lock_guard lock(c.mutex);
  c.counts.clear();
  c.total = 0;
  c.until_failure = 0;
  c.error = CUDA_SUCCESS;
}

CUresult context_error() { return calls().error; }

void set_context_error(CUresult error) {
  if (calls().error == CUDA_SUCCESS) calls().error = error;
}

bool driver_initialized() { return calls().initialized; }
void set_driver_initialized(bool initialized) { calls().initialized = initialized; }
bool context_retained() { return calls().retained; }
void set_context_retained(bool retained) {
  calls().retained = retained;
}

CUcontext current_context() { return current; }
void set_current_context(CUcontext context) { current = context; }
CUcontext primary_context() { return &calls(); }

}  // namespace dicache_host
