// The checker behind code compiled with -fsanitize=thread: whatever the order the threads ran in, two accesses to the same bytes with no
// barrier between them, at least one of them a write, are a race. It also knows every address exactly, and what has ever been written.
#pragma once

#include "fibers.h"
#include "findings.h"
#include "memory_checks.h"

namespace dicache_host {

struct Shadow;

// True in a library whose kernels are instrumented.
bool race_checking();

// A launch begins: what earlier launches did is ordered before it.
void race_new_launch();
// A block begins: its shared memory holds nothing yet.
void race_new_block();

// What instrumented code calls, by way of instrumentation.cpp.
void race_set_instrumented();
void instrumented_access(const void* address, unsigned bytes, AccessKind kind, bool aligned, const void* site);
void instrumented_failure(Check check, CUresult why, const std::string& what);

// The checker's records of an allocation; null in a library that is not instrumented.
Shadow* make_shadow(uintptr_t begin, size_t bytes);
void release_shadow(Shadow* shadow);

// What the driver itself writes and reads, for the checker of memory that was never written: lines of equal length, a step apart.
struct Lines {
  uintptr_t address;
  size_t bytes, count, step;
};
void note_written(const Lines& lines);
void note_copied(const Lines& to, const Lines& from);
void require_written(const Lines& lines, const std::string& what);

}  // namespace dicache_host
