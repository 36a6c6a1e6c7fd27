// Modules and their kernels.
#pragma once

#include "handles.h"
#include "work.h"

namespace dicache_host {

Handles<Module>& modules();

// Checks a launch as the driver does before it accepts one. Success fills in the work.
CUresult make_kernel_work(CUfunction function, dim3 grid, dim3 block, unsigned shared, void** arguments, void** extra, KernelWork& work,
                          const char* call);

// What is compiled into this library.
const std::vector<Unit>& units();
// What nvrtc gives for a unit instead of machine code, and cuModuleLoadData takes.
std::string image_of(const Unit& unit);

}  // namespace dicache_host
