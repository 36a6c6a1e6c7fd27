// What every exported function does first: count itself, fail if it was told to, and check that it may be called at all.
#pragma once

#include <mutex>
#include <string>

#include "cuda_api.h"

namespace dicache_host {

enum class Needs { nothing, initialized, context };

// Functions that release something fail after the release, as real ones do when they pass on the error of earlier work.
enum class Fails { before, after };

// One call of an exported function. Holds the lock that makes the driver safe from any thread.
class Call {
 public:
  explicit Call(const char* name, Fails fails = Fails::before);

  // Why the call must not go on, or CUDA_SUCCESS.
  CUresult refused(Needs needs);
  // The same for interfaces with codes of their own: true when a failure was asked for.
  bool injected() const { return injected_; }
  // The result to return after the work.
  CUresult result(CUresult r) const;

 private:
  std::unique_lock<std::recursive_mutex> lock_;
  const char* name_;
  Fails fails_;
  bool injected_;
};

void inject_failure(const char* entry, long n);
long call_count();
long call_count(const char* entry);
void reset_calls();

// The error of work already issued. On a GPU it stays for the life of the process, whatever is released: here until dicacheHostReset.
CUresult context_error();
void set_context_error(CUresult error);

bool driver_initialized();
void set_driver_initialized(bool initialized);
bool context_retained();
void set_context_retained(bool retained);

// The context current on the calling thread: null or the device's one context.
CUcontext current_context();
void set_current_context(CUcontext context);
CUcontext primary_context();

}  // namespace dicache_host
