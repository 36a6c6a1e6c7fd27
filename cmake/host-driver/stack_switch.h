// Switching from one stack to another.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__x86_64__) && !defined(DICACHE_HOST_UCONTEXT)

namespace dicache_host {

using SavedStack = void*;

// Saves the callee-saved registers on the present stack, remembers where, and continues on the other stack.
extern "C" void dicache_host_switch(SavedStack* save, SavedStack target) __attribute__((visibility("hidden")));

inline void switch_stack(SavedStack& save, SavedStack& target) { dicache_host_switch(&save, target); }

// Makes a stack that starts at entry when first switched to. top is the highest usable address, 16-byte aligned.
inline void prepare_stack(SavedStack& saved, void* /*bottom*/, void* top, void (*entry)()) {
  auto** p = static_cast<void**>(top);
  *--p = nullptr;  // keeps the stack aligned as after a call
  *--p = reinterpret_cast<void*>(entry);
  for (int i = 0; i < 6; i++) *--p = nullptr;
  saved = p;
}

}  // namespace dicache_host

#else

#include <ucontext.h>

namespace dicache_host {

using SavedStack = ucontext_t;

inline void switch_stack(SavedStack& save, SavedStack& target) { swapcontext(&save, &target); }

inline void prepare_stack(SavedStack& saved, void* bottom, void* top, void (*entry)()) {
  getcontext(&saved);
  saved.uc_stack.ss_sp = bottom;
  saved.uc_stack.ss_size = static_cast<size_t>(static_cast<char*>(top) - static_cast<char*>(bottom));
  saved.uc_link = nullptr;
  makecontext(&saved, entry, 0);
}

}  // namespace dicache_host

#endif
