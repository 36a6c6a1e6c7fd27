// The functions that code compiled with -fsanitize=thread,bounds,alignment calls. They stand in for the compiler's own run time, which
// is not linked: they hand every access to the race checker.
#include "race.h"

using namespace dicache_host;

namespace {

struct SourceLocation {
  const char* file;
  uint32_t line, column;
};

std::string text_of(const SourceLocation& l) { return std::string(l.file) + ":" + std::to_string(l.line); }

}  // namespace

#define SITE __builtin_return_address(0)
#define DEFINE_ACCESS(bytes)                                                                                                    \
  void __tsan_read##bytes(void* p) { instrumented_access(p, bytes, AccessKind::read, true, SITE); }                             \
  void __tsan_write##bytes(void* p) { instrumented_access(p, bytes, AccessKind::write, true, SITE); }                           \
  void __tsan_volatile_read##bytes(void* p) { instrumented_access(p, bytes, AccessKind::read, true, SITE); }                    \
  void __tsan_volatile_write##bytes(void* p) { instrumented_access(p, bytes, AccessKind::write, true, SITE); }                  \
  void __tsan_unaligned_read##bytes(void* p) { instrumented_access(p, bytes, AccessKind::read, false, SITE); }                  \
  void __tsan_unaligned_write##bytes(void* p) { instrumented_access(p, bytes, AccessKind::write, false, SITE); }

extern "C" {

DEFINE_ACCESS(1)
DEFINE_ACCESS(2)
DEFINE_ACCESS(4)
DEFINE_ACCESS(8)
DEFINE_ACCESS(16)

void __tsan_read_range(void* p, unsigned long bytes) {
  instrumented_access(p, static_cast<unsigned>(bytes), AccessKind::read, false, SITE);
}
void __tsan_write_range(void* p, unsigned long bytes) {
  instrumented_access(p, static_cast<unsigned>(bytes), AccessKind::write, false, SITE);
}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void*, void*) {}
void __tsan_vptr_read(void*) {}
void __tsan_init() { race_set_instrumented(); }

void __ubsan_handle_out_of_bounds(const SourceLocation* where, uintptr_t index) {
  instrumented_failure(Check::out_of_bounds, CUDA_ERROR_ILLEGAL_ADDRESS,
                       text_of(*where) + ": index " + std::to_string(static_cast<intptr_t>(index)) + " of an array");
}

void __ubsan_handle_type_mismatch_v1(const SourceLocation* where, uintptr_t address) {
  instrumented_failure(Check::misaligned, CUDA_ERROR_MISALIGNED_ADDRESS,
                       text_of(*where) + ": an address that ends in " + std::to_string(address % 16) + " of 16, too little for its type");
}

}  // extern "C"
