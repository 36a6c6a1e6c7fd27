// Where the static shared memory of each kernel file lies among the library's thread-local variables.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cuda_host_registration.h"

namespace dicache_host {

// Fills the static shared memory of the kernel's file in the calling thread's copy.
void fill_static_shared(const Kernel& kernel, uintptr_t thread_local_begin, unsigned char value);

// Static shared memory of the kernel, in bytes: the variables in its own body, and all of its file that stand in no kernel's body.
size_t static_shared_bytes(const Kernel& kernel);

}  // namespace dicache_host
