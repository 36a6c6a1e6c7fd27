// cp.async: copies that are only there once waited for.
#include <cstring>

#include "cuda_host_warp.h"
#include "findings.h"
#include "memory_checks.h"

namespace dicache_host {
namespace {

void perform(const PendingCopy& copy) {
  std::memcpy(copy.shared, copy.global, copy.valid_bytes);
  std::memset(static_cast<char*>(copy.shared) + copy.valid_bytes, 0, copy.bytes - copy.valid_bytes);
}

}  // namespace

// Both extremes of when the hardware may copy are tried, by the seed: late shows a missing wait, early an overwritten operand.
void copy_async(void* shared, const void* global, unsigned bytes, unsigned valid_bytes) {
  Thread& t = current_thread();
  Block& b = *t.block;
  require_shared(b, t, shared, bytes, bytes, "cp.async");
  require_aligned(b, t, global, bytes, "cp.async");
  if (t.copies == max_pending_copies) {
    report(Check::launch, describe_place(b, &t) + ": more than " + std::to_string(max_pending_copies) + " cp.async not waited for");
    fail_block(b, CUDA_ERROR_LAUNCH_FAILED);
  }
  if (valid_bytes != 0) note_access(b, t, global, valid_bytes, AccessKind::read);
  note_access(b, t, shared, bytes, AccessKind::copy_issued);
  PendingCopy& copy = t.pending[t.copies++];
  copy = {shared, global, bytes, valid_bytes, t.copy_group};
  if (!b.late_copies) perform(copy);
}

void copy_commit() { current_thread().copy_group++; }

void copy_wait(unsigned groups_left) {
  Thread& t = current_thread();
  Block& b = *t.block;
  unsigned kept = 0;
  for (unsigned i = 0; i < t.copies; i++) {
    const PendingCopy copy = t.pending[i];
    if (copy.group + groups_left >= t.copy_group) {
      t.pending[kept++] = copy;
      continue;
    }
    if (b.late_copies) perform(copy);
    note_access(b, t, copy.shared, copy.bytes, AccessKind::write);
  }
  t.copies = kept;
}

}  // namespace dicache_host
