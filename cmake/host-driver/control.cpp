// Functions that tests call beside the driver's own.
#include "control.h"

#include <algorithm>
#include <cstring>

#include "call.h"
#include "findings.h"
#include "graph.h"
#include "memory.h"
#include "options.h"
#include "race.h"
#include "stream.h"

using namespace dicache_host;

namespace {

// Copies as much of the text as fits, always ended by a zero.
void copy_text(const std::string& text, char* buffer, size_t size) {
  if (buffer == nullptr || size == 0) return;
  size_t length = std::min(text.size(), size - 1);
  std::memcpy(buffer, text.data(), length);
  buffer[length] = '\0';
}

}  // namespace

// How many findings there are; their text, one per line, goes to the buffer.
DICACHE_EXPORT size_t dicacheHostFindings(char* buffer, size_t size) {
  copy_text(finding_text(), buffer, size);
  return finding_count();
}

// How many resources are alive (allocations, modules, streams, events, graphs, programs, cuBLASLt objects, contexts).
DICACHE_EXPORT size_t dicacheHostLive(char* buffer, size_t size) {
  Call call("dicacheHostLive");
  std::string text;
  size_t count = 0;
  list_allocations(text, count);
  list_modules(text, count);
  streams().list(text, count);
  events().list(text, count);
  graphs().list(text, count);
  plans().list(text, count);
  list_programs(text, count);
  list_cublas(text, count);
  if (contexts_retained() != 0) text += std::to_string(contexts_retained()) + " retained context(s)\n";
  count += contexts_retained();
  copy_text(text, buffer, size);
  return count;
}

// Forgets everything: findings, errors, counts, injected failures, and whatever is alive.
DICACHE_EXPORT void dicacheHostReset() {
  Call call("dicacheHostReset");
  clear_graphs();
  clear_streams();
  clear_modules();
  clear_programs();
  clear_cublas();
  free_all_memory();
  release_contexts();
  set_driver_initialized(false);
  clear_findings();
  reset_calls();
}

// Makes the n-th call from now of an entry point fail (named without its version suffix; "*" for any); 0 takes it back.
DICACHE_EXPORT void dicacheHostFail(const char* entry, int n) { inject_failure(entry, n); }

// Calls since the last reset: of one entry point, or of all when the name is null.
DICACHE_EXPORT size_t dicacheHostCalls(const char* entry) {
  return static_cast<size_t>(entry == nullptr ? call_count() : call_count(entry));
}

// Sets an option (seed, memory, threads, arch, version, refuse_fused, eager, interleave, print). False when there is none of that name.
DICACHE_EXPORT int dicacheHostOption(const char* name, long long value) { return set_option(name, value) ? 1 : 0; }

// True when the kernels of this library are instrumented, that is, when races and uninitialised shared memory are found.
DICACHE_EXPORT int dicacheHostChecksRaces() { return race_checking() ? 1 : 0; }
