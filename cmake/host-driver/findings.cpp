#include "findings.h"

#include <cstdio>
#include <cstdlib>
#include <mutex>

namespace dicache_host {
namespace {

// A broken kernel can break the same rule a million times; the count stays exact, the text does not need them all.
constexpr size_t kept_lines = 200;

struct Log {
  std::mutex mutex;
  size_t count = 0;
  std::string text;
  bool print = std::getenv("DICACHE_HOST_QUIET") == nullptr;
};

Log& log() {
  static Log* instance = new Log;  // never destroyed: findings may come while the process ends
  return *instance;
}

}  // namespace

const char* name_of(Check check) {
  switch (check) {
    case Check::out_of_bounds: return "out of bounds";
    case Check::misaligned: return "misaligned access";
    case Check::use_after_free: return "use after free";
    case Check::host_pointer: return "not a device pointer";
    case Check::deadlock: return "deadlock";
    case Check::race: return "data race";
    case Check::uninitialised_shared: return "uninitialised shared memory";
    case Check::uninitialised_device: return "uninitialised device memory";
    case Check::divergence: return "divergent warp operation";
    case Check::capture: return "capture misuse";
    case Check::graph: return "graph misuse";
    case Check::handle: return "invalid handle";
    case Check::launch: return "invalid launch";
    case Check::stack_overflow: return "kernel stack overflow";
    case Check::arithmetic: return "arithmetic fault";
  }
  return "finding";
}

void report(Check check, const std::string& text) {
  std::string line = std::string(name_of(check)) + ": " + text + "\n";
  Log& l = log();
  std::lock_guard lock(l.mutex);
  if (++l.count <= kept_lines) {
    l.text += line;
    if (l.print) std::fprintf(stderr, "cuda-host: %s", line.c_str());
  }
}

size_t finding_count() {
  std::lock_guard lock(log().mutex);
  return log().count;
}

std::string finding_text() {
  std::lock_guard lock(log().mutex);
  return log().text;
}

void clear_findings() {
  std::lock_guard lock(log().mutex);
  log().count = 0;
  log().text.clear();
}

void print_findings(bool on) {
  std::lock_guard lock(log().mutex);
  log().print = on;
}

}  // namespace dicache_host
