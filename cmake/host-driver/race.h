// The checker behind code compiled with -fsanitize=thread: whatever the order the threads ran in, two accesses to the same bytes with no
// barrier between them, at least one of them a write, are a race. It also knows every address exactly, and what has been written.
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

void release_shadow(Shadow* shadow);

}  // namespace dicache_host
