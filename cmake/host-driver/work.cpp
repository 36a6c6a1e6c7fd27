#include "work.h"

#include <cstring>

#include "findings.h"
#include "graph.h"
#include "memory.h"
#include "race.h"
#include "stream.h"

namespace dicache_host {
namespace {

CUresult perform_kernel(const KernelWork& w) {
  if (w.module->unloaded) {
    report(Check::use_after_free, std::string("kernel ") + w.launch.kernel->name + " runs after its module was unloaded");
    return CUDA_ERROR_LAUNCH_FAILED;
  }
  return run_launch(w.launch);
}

size_t extent(size_t width, size_t height, size_t pitch) { return height == 0 || width == 0 ? 0 : (height - 1) * pitch + width; }

CUresult perform_copy(const CopyWork& c) {
  size_t written = extent(c.width, c.height, c.destination_pitch), read = extent(c.width, c.height, c.source_pitch);
  if (c.destination_on_device && !require_device(c.destination, written, "the target of a copy")) return CUDA_ERROR_ILLEGAL_ADDRESS;
  if (c.source_on_device && !require_device(c.source, read, "the source of a copy")) return CUDA_ERROR_ILLEGAL_ADDRESS;
  auto* to = reinterpret_cast<unsigned char*>(c.destination);
  auto* from = c.snapshot ? c.snapshot->data() : reinterpret_cast<const unsigned char*>(c.source);
  for (size_t row = 0; row < c.height; row++) std::memmove(to + row * c.destination_pitch, from + row * c.source_pitch, c.width);
  Lines target{c.destination, c.width, c.height, c.destination_pitch}, origin{c.source, c.width, c.height, c.source_pitch};
  if (c.destination_on_device && c.source_on_device) note_copied(target, origin);
  else if (c.destination_on_device) note_written(target);
  else require_written(origin, "a copy to the host");
  return CUDA_SUCCESS;
}

CUresult perform_fill(const FillWork& f) {
  if (!require_device(f.destination, extent(f.width * f.element_bytes, f.height, f.pitch), "a fill")) return CUDA_ERROR_ILLEGAL_ADDRESS;
  for (size_t row = 0; row < f.height; row++) {
    auto* p = reinterpret_cast<unsigned char*>(f.destination + row * f.pitch);
    for (size_t i = 0; i < f.width; i++) std::memcpy(p + i * f.element_bytes, &f.value, f.element_bytes);
  }
  note_written({f.destination, f.width * f.element_bytes, f.height, f.pitch});
  return CUDA_SUCCESS;
}

struct Performer {
  CUresult operator()(const KernelWork& w) const { return perform_kernel(w); }
  CUresult operator()(const CopyWork& w) const { return perform_copy(w); }
  CUresult operator()(const FillWork& w) const { return perform_fill(w); }
  CUresult operator()(const Matmul& w) const { return run_matmul(w); }
  CUresult operator()(const RecordWork& w) const {
    w.event->complete(w.ticket);
    return CUDA_SUCCESS;
  }
  CUresult operator()(const WaitWork& w) const { return finish_record(*w.event, w.ticket); }
  CUresult operator()(const GraphWork& w) const { return run_plan(w.plan); }
};

struct Describer {
  const char* operator()(const KernelWork& w) const { return w.launch.kernel->name; }
  const char* operator()(const CopyWork&) const { return "a copy"; }
  const char* operator()(const FillWork&) const { return "a fill"; }
  const char* operator()(const Matmul&) const { return "a matrix product"; }
  const char* operator()(const RecordWork&) const { return "an event record"; }
  const char* operator()(const WaitWork&) const { return "an event wait"; }
  const char* operator()(const GraphWork&) const { return "a graph launch"; }
};

}  // namespace

CUresult perform(const Work& work) { return std::visit(Performer{}, work); }

const char* describe(const Work& work) { return std::visit(Describer{}, work); }

}  // namespace dicache_host
