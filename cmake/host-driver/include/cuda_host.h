// What kernels/*.cu see instead of CUDA when g++ compiles them for the host driver.
//
// A kernel is ordinary C++ here: a CUDA thread is a fiber, a block runs on one thread of the operating system, and everything that
// needs the hardware (barriers, shuffles, matrix fragments, asynchronous copies) is a call into the host driver.
#pragma once

// With DICACHE_HOST_SCAN only the kernels' own text is wanted: generate.sh reads the __global__ functions from it.
#ifndef DICACHE_HOST_SCAN
#include "cuda_host_types.h"
#include "cuda_host_threads.h"
#include "cuda_host_warp.h"
#include "cuda_host_registration.h"
#endif
