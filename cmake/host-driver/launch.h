// Running a grid.
#pragma once

#include <cstddef>
#include <vector>

#include "cuda_api.h"
#include "cuda_host_registration.h"

namespace dicache_host {

// Arguments by value, as cuLaunchKernel leaves them behind when it returns.
class Arguments {
 public:
  Arguments() = default;
  Arguments(const Kernel& kernel, void** values);
  std::vector<void*> pointers() const;
  const std::vector<unsigned char>& bytes() const { return bytes_; }

 private:
  std::vector<unsigned char> bytes_;
  std::vector<size_t> offsets_;
};

struct Launch {
  const Kernel* kernel = nullptr;
  dim3 grid, block;
  unsigned dynamic_shared = 0;
  Arguments arguments;
};

// Runs every block. Anything but success has been reported as a finding.
CUresult run_launch(const Launch& launch);

}  // namespace dicache_host
