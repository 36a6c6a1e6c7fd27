// What the checks find: counted by kind, kept as one line of text each, printed as they happen.
#pragma once

#include <cstddef>
#include <string>

namespace dicache_host {

enum class Check {
  out_of_bounds,
  misaligned,
  use_after_free,
  host_pointer,
  deadlock,
  race,
  uninitialised_shared,
  uninitialised_device,
  divergence,
  capture,
  graph,
  handle,
  launch,
  stack_overflow,
  arithmetic,
};

const char* name_of(Check check);

// Safe from any thread; not from a signal handler.
void report(Check check, const std::string& text);

size_t finding_count();
std::string finding_text();
void clear_findings();
void print_findings(bool on);

}  // namespace dicache_host
