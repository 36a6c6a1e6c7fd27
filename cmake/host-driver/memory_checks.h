// Checks on single accesses that the driver itself makes or is told of.
#pragma once

#include "fibers.h"

namespace dicache_host {

enum class AccessKind { read, write, atomic, copy_issued };

// Tells the race checker, if there is one, of an access made on behalf of a thread. Leaves the block if the address is illegal.
void note_access(Block& block, const Thread& thread, const void* address, unsigned bytes, AccessKind kind);

// Leaves the block unless the bytes lie in its shared memory and the address is a multiple of the alignment.
void require_shared(Block& block, const Thread& thread, const void* address, unsigned bytes, unsigned alignment, const char* what);

void require_aligned(Block& block, const Thread& thread, const void* address, unsigned alignment, const char* what);

// Reports and leaves the block.
[[noreturn]] void illegal_access(Block& block, const Thread& thread, uintptr_t address, const std::string& what);

}  // namespace dicache_host
