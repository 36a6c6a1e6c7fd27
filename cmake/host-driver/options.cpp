#include "options.h"

#include <cstdlib>
#include <cstring>
#include <thread>

#include "findings.h"

namespace dicache_host {
namespace {

long long from_environment(const char* name, long long fallback) {
  const char* text = std::getenv(name);
  return text == nullptr || *text == '\0' ? fallback : std::atoll(text);
}

Options read_options() {
  unsigned cores = std::thread::hardware_concurrency();
  Options o;
  o.seed = static_cast<uint64_t>(from_environment("DICACHE_HOST_SEED", 0));
  o.memory = static_cast<size_t>(from_environment("DICACHE_HOST_MEMORY", 4ll << 30));
  o.threads = static_cast<unsigned>(from_environment("DICACHE_HOST_THREADS", cores == 0 ? 1 : cores));
  o.arch = static_cast<unsigned>(from_environment("DICACHE_HOST_ARCH", 80));
  o.version = static_cast<int>(from_environment("DICACHE_HOST_VERSION", 12040));
  o.refuse_fused = false;
  o.eager = from_environment("DICACHE_HOST_EAGER", 0) != 0;
  o.interleave = from_environment("DICACHE_HOST_INTERLEAVE", 0) != 0;
  return o;
}

}  // namespace

Options& options() {
  static Options o = read_options();
  return o;
}

// In KB per compute capability, from the programming guide's table.
unsigned shared_memory_limit() {
  unsigned arch = options().arch;
  return (arch >= 90 ? 227 : arch == 80 || arch == 87 ? 163 : 99) * 1024;
}

bool set_option(const char* name, long long value) {
  Options& o = options();
  if (std::strcmp(name, "seed") == 0) o.seed = static_cast<uint64_t>(value);
  else if (std::strcmp(name, "memory") == 0) o.memory = static_cast<size_t>(value);
  else if (std::strcmp(name, "threads") == 0) o.threads = value < 1 ? 1 : static_cast<unsigned>(value);
  else if (std::strcmp(name, "arch") == 0) o.arch = static_cast<unsigned>(value);
  else if (std::strcmp(name, "version") == 0) o.version = static_cast<int>(value);
  else if (std::strcmp(name, "refuse_fused") == 0) o.refuse_fused = value != 0;
  else if (std::strcmp(name, "eager") == 0) o.eager = value != 0;
  else if (std::strcmp(name, "interleave") == 0) o.interleave = value != 0;
  else if (std::strcmp(name, "print") == 0) print_findings(value != 0);
  else return false;
  return true;
}

}  // namespace dicache_host
