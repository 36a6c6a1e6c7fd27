// Initialisation, the device, its context.
#include <algorithm>
#include <cstring>
#include <dlfcn.h>
#include <string>

#include "call.h"
#include "capture.h"
#include "control.h"
#include "memory.h"
#include "options.h"
#include "stream.h"

using namespace dicache_host;

namespace {

constexpr int multiprocessors = 4;  // few, so that grids sized by it stay quick
constexpr char device_name[] = "DiCacheNative host driver";

struct Named {
  CUresult code;
  const char* name;
  const char* text;
};

constexpr Named errors[] = {
    {CUDA_SUCCESS, "CUDA_SUCCESS", "no error"},
    {CUDA_ERROR_INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "an argument is out of range"},
    {CUDA_ERROR_OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "not enough memory"},
    {CUDA_ERROR_NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED", "cuInit was not called"},
    {CUDA_ERROR_NO_DEVICE, "CUDA_ERROR_NO_DEVICE", "there is no device"},
    {CUDA_ERROR_INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE", "there is no such device"},
    {CUDA_ERROR_INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE", "the kernel image is not valid"},
    {CUDA_ERROR_INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT", "no context is current"},
    {CUDA_ERROR_NO_BINARY_FOR_GPU, "CUDA_ERROR_NO_BINARY_FOR_GPU", "the kernel image is for another device"},
    {CUDA_ERROR_INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE", "the handle is not valid"},
    {CUDA_ERROR_ILLEGAL_STATE, "CUDA_ERROR_ILLEGAL_STATE", "the object is not in the state the call needs"},
    {CUDA_ERROR_NOT_FOUND, "CUDA_ERROR_NOT_FOUND", "the name was not found"},
    {CUDA_ERROR_NOT_READY, "CUDA_ERROR_NOT_READY", "the work is not done yet"},
    {CUDA_ERROR_ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS", "a kernel used an address that is not its own"},
    {CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "the launch asks for more than the device has"},
    {CUDA_ERROR_LAUNCH_TIMEOUT, "CUDA_ERROR_LAUNCH_TIMEOUT", "a kernel did not end"},
    {CUDA_ERROR_MISALIGNED_ADDRESS, "CUDA_ERROR_MISALIGNED_ADDRESS", "a kernel used an address that is not aligned"},
    {CUDA_ERROR_LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED", "a kernel failed"},
    {CUDA_ERROR_NOT_PERMITTED, "CUDA_ERROR_NOT_PERMITTED", "the call is not permitted"},
    {CUDA_ERROR_NOT_SUPPORTED, "CUDA_ERROR_NOT_SUPPORTED", "the call is not supported"},
    {CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "the call is not permitted while a stream captures"},
    {CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "the capture was spoilt by an earlier call"},
    {CUDA_ERROR_STREAM_CAPTURE_MERGE, "CUDA_ERROR_STREAM_CAPTURE_MERGE", "two captures cannot become one"},
    {CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED", "the capture began on another stream"},
    {CUDA_ERROR_STREAM_CAPTURE_UNJOINED, "CUDA_ERROR_STREAM_CAPTURE_UNJOINED", "a stream left the capture without being joined"},
    {CUDA_ERROR_STREAM_CAPTURE_ISOLATION, "CUDA_ERROR_STREAM_CAPTURE_ISOLATION", "captured work cannot depend on other work"},
    {CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, "CUDA_ERROR_STREAM_CAPTURE_IMPLICIT", "the default stream cannot be used while capturing"},
    {CUDA_ERROR_CAPTURED_EVENT, "CUDA_ERROR_CAPTURED_EVENT", "the event belongs to a capture"},
    {CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD, "CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD", "the capture began on another thread"},
    {CUDA_ERROR_UNKNOWN, "CUDA_ERROR_UNKNOWN", "unknown error"},
};

const Named* find_error(CUresult code) {
  auto it = std::find_if(std::begin(errors), std::end(errors), [=](const Named& e) { return e.code == code; });
  return it == std::end(errors) ? nullptr : it;
}

bool attribute(int number, int& value) {
  switch (number) {
    case 1: value = 1024; return true;                                          // MAX_THREADS_PER_BLOCK
    case 2: case 3: value = 1024; return true;                                  // MAX_BLOCK_DIM_X, Y
    case 4: value = 64; return true;                                            // MAX_BLOCK_DIM_Z
    case 5: value = 2147483647; return true;                                    // MAX_GRID_DIM_X
    case 6: case 7: value = 65535; return true;                                 // MAX_GRID_DIM_Y, Z
    case 8: value = 48 * 1024; return true;                                     // MAX_SHARED_MEMORY_PER_BLOCK
    case 9: value = 64 * 1024; return true;                                     // TOTAL_CONSTANT_MEMORY
    case 10: value = 32; return true;                                           // WARP_SIZE
    case 12: case 82: value = 65536; return true;                               // MAX_REGISTERS_PER_BLOCK, _PER_MULTIPROCESSOR
    case 16: value = multiprocessors; return true;                              // MULTIPROCESSOR_COUNT
    case 31: case 41: value = 1; return true;                                   // CONCURRENT_KERNELS, UNIFIED_ADDRESSING
    case 39: value = 2048; return true;                                         // MAX_THREADS_PER_MULTIPROCESSOR
    case 75: value = static_cast<int>(options().arch / 10); return true;        // COMPUTE_CAPABILITY_MAJOR
    case 76: value = static_cast<int>(options().arch % 10); return true;        // COMPUTE_CAPABILITY_MINOR
    case 81: value = static_cast<int>(shared_memory_limit()) + 1024; return true;                       // MAX_SHARED_MEMORY_PER_MULTIPROCESSOR
    case 97: value = static_cast<int>(shared_memory_limit()); return true;                              // MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
    case 106: value = 32; return true;                                          // MAX_BLOCKS_PER_MULTIPROCESSOR
    case 111: value = 1024; return true;                                        // RESERVED_SHARED_MEMORY_PER_BLOCK
    // Clock rates, the memory bus and the cache are not simulated: 0, as the driver says where a device has no such thing.
    case 13: case 36: case 37: case 38: value = 0; return true;
    default: return false;
  }
}

unsigned retain_count = 0;

}  // namespace

DICACHE_EXPORT CUresult cuInit(unsigned flags) {
  Call call("cuInit");
  if (CUresult r = call.refused(Needs::nothing); r != CUDA_SUCCESS) return r;
  if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
  set_driver_initialized(true);
  return CUDA_SUCCESS;
}

DICACHE_EXPORT CUresult cuDriverGetVersion(int* version) {
  Call call("cuDriverGetVersion");
  if (CUresult r = call.refused(Needs::nothing); r != CUDA_SUCCESS) return r;
  *version = options().version;
  return CUDA_SUCCESS;
}

DICACHE_EXPORT CUresult cuGetErrorName(CUresult error, const char** text) {
  Call call("cuGetErrorName");
  if (CUresult r = call.refused(Needs::nothing); r != CUDA_SUCCESS) return r;
  const Named* found = find_error(error);
  *text = found == nullptr ? nullptr : found->name;
  return found == nullptr ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

DICACHE_EXPORT CUresult cuGetErrorString(CUresult error, const char** text) {
  Call call("cuGetErrorString");
  if (CUresult r = call.refused(Needs::nothing); r != CUDA_SUCCESS) return r;
  const Named* found = find_error(error);
  *text = found == nullptr ? nullptr : found->text;
  return found == nullptr ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

DICACHE_EXPORT CUresult cuDeviceGetCount(int* count) {
  Call call("cuDeviceGetCount");
  if (CUresult r = call.refused(Needs::initialized); r != CUDA_SUCCESS) return r;
  *count = 1;
  return CUDA_SUCCESS;
}

DICACHE_EXPORT CUresult cuDeviceGet(CUdevice* device, int ordinal) {
  Call call("cuDeviceGet");
  if (CUresult r = call.refused(Needs::initialized); r != CUDA_SUCCESS) return r;
  if (ordinal != 0) return CUDA_ERROR_INVALID_DEVICE;
  *device = 0;
  return CUDA_SUCCESS;
}

DICACHE_EXPORT CUresult cuDeviceGetName(char* name, int length, CUdevice device) {
  Call call("cuDeviceGetName");
  if (CUresult r = call.refused(Needs::initialized); r != CUDA_SUCCESS) return r;
  if (device != 0) return CUDA_ERROR_INVALID_DEVICE;
  if (length < 1) return CUDA_ERROR_INVALID_VALUE;
  std::strncpy(name, device_name, static_cast<size_t>(length));
  name[length - 1] = '\0';
  return CUDA_SUCCESS;
}

DICACHE_EXPORT CUresult cuDeviceGetAttribute(int* value, int number, CUdevice device) {
  Call call("cuDeviceGetAttribute");
  if (CUresult r = call.refused(Needs::initialized); r != CUDA_SUCCESS) return r;
  if (device != 0) return CUDA_ERROR_INVALID_DEVICE;
  return attribute(number, *value) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

DICACHE_EXPORT CUresult cuDeviceTotalMem_v2(size_t* bytes, CUdevice device) {
  Call call("cuDeviceTotalMem");
  if (CUresult r = call.refused(Needs::initialized); r != CUDA_SUCCESS) return r;
  if (device != 0) return CUDA_ERROR_INVALID_DEVICE;
  *bytes = options().memory;
  return CUDA_SUCCESS;
}

DICACHE_EXPORT CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) {
  Call call("cuDevicePrimaryCtxRetain");
  if (CUresult r = call.refused(Needs::initialized); r != CUDA_SUCCESS) return r;
  if (device != 0) return CUDA_ERROR_INVALID_DEVICE;
  if (context_error() != CUDA_SUCCESS) return context_error();
  retain_count++;
  set_context_retained(true);
  *context = primary_context();
  return CUDA_SUCCESS;
}

DICACHE_EXPORT CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
  Call call("cuDevicePrimaryCtxRelease", Fails::after);
  if (CUresult r = call.refused(Needs::initialized); r != CUDA_SUCCESS) return r;
  if (device != 0) return CUDA_ERROR_INVALID_DEVICE;
  if (retain_count == 0) return CUDA_ERROR_INVALID_CONTEXT;
  CUresult earlier = drain_all();
  if (--retain_count == 0) set_context_retained(false);
  return call.result(earlier);
}

DICACHE_EXPORT CUresult cuCtxSetCurrent(CUcontext context) {
  Call call("cuCtxSetCurrent");
  if (CUresult r = call.refused(Needs::initialized); r != CUDA_SUCCESS) return r;
  if (context != nullptr && (context != primary_context() || !context_retained())) return CUDA_ERROR_INVALID_CONTEXT;
  set_current_context(context);
  return CUDA_SUCCESS;
}

DICACHE_EXPORT CUresult cuCtxGetCurrent(CUcontext* context) {
  Call call("cuCtxGetCurrent");
  if (CUresult r = call.refused(Needs::initialized); r != CUDA_SUCCESS) return r;
  *context = current_context();
  return CUDA_SUCCESS;
}

DICACHE_EXPORT CUresult cuCtxSynchronize() {
  Call call("cuCtxSynchronize");
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  if (CUresult r = refuse_while_capturing("cuCtxSynchronize"); r != CUDA_SUCCESS) return r;
  return drain_all();
}

DICACHE_EXPORT CUresult cuGetProcAddress_v2(const char* symbol, void** function, int version, uint64_t flags, int* status) {
  Call call("cuGetProcAddress");
  if (CUresult r = call.refused(Needs::nothing); r != CUDA_SUCCESS) return r;
  (void)version;
  (void)flags;
  Dl_info self{};
  dladdr(reinterpret_cast<void*>(&cuInit), &self);
  void* library = dlopen(self.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
  void* found = nullptr;
  // The newest version of a name is the one it stands for.
  for (const char* suffix : {"_v2", ""}) {
    found = library == nullptr ? nullptr : dlsym(library, (std::string(symbol) + suffix).c_str());
    if (found != nullptr) break;
  }
  if (library != nullptr) dlclose(library);
  *function = found;
  if (status != nullptr) *status = found == nullptr ? 1 : 0;  // CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND : _SUCCESS
  return found == nullptr ? CUDA_ERROR_NOT_FOUND : CUDA_SUCCESS;
}

namespace dicache_host {

size_t contexts_retained() { return retain_count; }

void release_contexts() {
  retain_count = 0;
  set_context_retained(false);
}

}  // namespace dicache_host
