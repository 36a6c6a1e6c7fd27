// What streams and graphs carry out: launches, copies, fills, matrix products, event records and waits, graph launches.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "launch.h"
#include "matmul.h"

namespace dicache_host {

struct Event;
struct Plan;
struct Stream;

struct Module {
  const Unit* unit;
  bool unloaded = false;
  std::vector<std::unique_ptr<struct Function>> functions;
};

struct Function {
  Module* module;
  const Kernel* kernel;
  unsigned dynamic_shared_limit;
};

struct KernelWork {
  std::shared_ptr<Module> module;
  Launch launch;
};

struct CopyWork {
  uintptr_t destination, source;
  size_t width, height, destination_pitch, source_pitch;
  bool destination_on_device, source_on_device;
  std::shared_ptr<std::vector<unsigned char>> snapshot;  // of pageable host memory, which a caller may reuse at once
};

struct FillWork {
  uintptr_t destination;
  unsigned value, element_bytes;
  size_t width, height, pitch;
};

struct RecordWork {
  std::shared_ptr<Event> event;
  uint64_t ticket;
};

struct WaitWork {
  std::shared_ptr<Event> event;
  uint64_t ticket;
};

struct GraphWork {
  std::shared_ptr<const Plan> plan;
};

using Work = std::variant<KernelWork, CopyWork, FillWork, Matmul, RecordWork, WaitWork, GraphWork>;

// Does it now. Errors have been reported as findings.
CUresult perform(const Work& work);

const char* describe(const Work& work);

}  // namespace dicache_host
