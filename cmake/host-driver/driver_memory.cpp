// Memory and copies.
#include "call.h"
#include "capture.h"
#include "memory.h"
#include "options.h"
#include "stream.h"

using namespace dicache_host;

namespace {

CUresult host_pointer_misused(const char* call, const void* host, const char* role) {
  report(Check::host_pointer, std::string(call) + ": the host " + role + " is " + describe_address(reinterpret_cast<uintptr_t>(host)));
  return CUDA_ERROR_INVALID_VALUE;
}

CUresult submit_copy(CopyWork copy, const void* host, bool to_device, void* stream_handle, const char* call) {
  std::shared_ptr<Stream> stream = stream_of(stream_handle, call);
  if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  bool with_host = host != nullptr;
  if (with_host && in_device_range(reinterpret_cast<uintptr_t>(host)))
    return host_pointer_misused(call, host, to_device ? "source" : "target");
  size_t pitch = to_device ? copy.source_pitch : copy.destination_pitch;
  size_t bytes = copy.height == 0 ? 0 : (copy.height - 1) * pitch + copy.width;
  bool pageable = with_host && !is_pinned(reinterpret_cast<uintptr_t>(host), bytes);
  if (!pageable || stream->capture) return submit(*stream, std::move(copy), call);
  // From pageable memory the driver takes its own copy before it returns; into pageable memory it returns when all is there.
  if (to_device) {
    auto* p = static_cast<const unsigned char*>(host);
    copy.snapshot = std::make_shared<std::vector<unsigned char>>(p, p + bytes);
    return submit(*stream, std::move(copy), call);
  }
  CUresult r = submit(*stream, std::move(copy), call);
  return r != CUDA_SUCCESS ? r : drain(*stream);
}

CopyWork linear(uintptr_t destination, uintptr_t source, size_t bytes, bool destination_on_device, bool source_on_device) {
  return {destination, source, bytes, bytes == 0 ? 0u : 1u, bytes, bytes, destination_on_device, source_on_device, nullptr};
}

CUresult fill(CUdeviceptr to, size_t pitch, unsigned value, unsigned element, size_t width, size_t height, void* stream, const char* call) {
  std::shared_ptr<Stream> s = stream_of(stream, call);
  if (s == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (to % element != 0) return CUDA_ERROR_INVALID_VALUE;
  return submit(*s, FillWork{to, value, element, width, height, pitch}, call);
}

CUresult host_alloc(void** pointer, size_t bytes, const char* name) {
  if (CUresult r = refuse_while_capturing(name); r != CUDA_SUCCESS) return r;
  if (bytes == 0) return CUDA_ERROR_INVALID_VALUE;
  *pointer = allocate_pinned(bytes);
  return *pointer == nullptr ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS;
}

}  // namespace

DICACHE_EXPORT CUresult cuMemGetInfo_v2(size_t* free, size_t* total) {
  Call call("cuMemGetInfo");
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  *total = options().memory;
  *free = options().memory > device_bytes_used() ? options().memory - device_bytes_used() : 0;
  return CUDA_SUCCESS;
}

DICACHE_EXPORT CUresult cuMemAlloc_v2(CUdeviceptr* pointer, size_t bytes) {
  Call call("cuMemAlloc");
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  if (CUresult r = refuse_while_capturing("cuMemAlloc"); r != CUDA_SUCCESS) return r;
  if (bytes == 0) return CUDA_ERROR_INVALID_VALUE;
  const Allocation* a = allocate_device(bytes);
  if (a == nullptr) return CUDA_ERROR_OUT_OF_MEMORY;
  *pointer = a->begin;
  return CUDA_SUCCESS;
}

DICACHE_EXPORT CUresult cuMemFree_v2(CUdeviceptr pointer) {
  Call call("cuMemFree", Fails::after);
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  if (CUresult r = refuse_while_capturing("cuMemFree"); r != CUDA_SUCCESS) return r;
  if (pointer == 0) return call.result(CUDA_SUCCESS);
  // Freeing waits for the device; what still runs may use the memory.
  drain_all();
  if (!free_device(pointer)) {
    report(was_freed(pointer) ? Check::use_after_free : Check::host_pointer, "cuMemFree was given " + describe_address(pointer));
    return CUDA_ERROR_INVALID_VALUE;
  }
  return call.result(CUDA_SUCCESS);
}

DICACHE_EXPORT CUresult cuMemAllocHost_v2(void** pointer, size_t bytes) {
  Call call("cuMemAllocHost");
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  return host_alloc(pointer, bytes, "cuMemAllocHost");
}

DICACHE_EXPORT CUresult cuMemHostAlloc(void** pointer, size_t bytes, unsigned flags) {
  Call call("cuMemHostAlloc");
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  if (flags > 7) return CUDA_ERROR_INVALID_VALUE;
  return host_alloc(pointer, bytes, "cuMemHostAlloc");
}

DICACHE_EXPORT CUresult cuMemFreeHost(void* pointer) {
  Call call("cuMemFreeHost", Fails::after);
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  if (CUresult r = refuse_while_capturing("cuMemFreeHost"); r != CUDA_SUCCESS) return r;
  drain_all();
  if (!free_pinned(pointer)) {
    report(Check::host_pointer, "cuMemFreeHost was given a pointer that cuMemHostAlloc did not return");
    return CUDA_ERROR_INVALID_VALUE;
  }
  return call.result(CUDA_SUCCESS);
}

DICACHE_EXPORT CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void* from, size_t bytes, CUstream stream) {
  Call call("cuMemcpyHtoDAsync");
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  return submit_copy(linear(to, reinterpret_cast<uintptr_t>(from), bytes, true, false), from, true, stream, "cuMemcpyHtoDAsync");
}

DICACHE_EXPORT CUresult cuMemcpyDtoHAsync_v2(void* to, CUdeviceptr from, size_t bytes, CUstream stream) {
  Call call("cuMemcpyDtoHAsync");
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  return submit_copy(linear(reinterpret_cast<uintptr_t>(to), from, bytes, false, true), to, false, stream, "cuMemcpyDtoHAsync");
}

DICACHE_EXPORT CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  Call call("cuMemcpyDtoDAsync");
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  return submit_copy(linear(to, from, bytes, true, true), nullptr, true, stream, "cuMemcpyDtoDAsync");
}

// The synchronous copies go through the default stream.
DICACHE_EXPORT CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void* from, size_t bytes) {
  Call call("cuMemcpyHtoD");
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  if (CUresult r = refuse_while_capturing("cuMemcpyHtoD"); r != CUDA_SUCCESS) return r;
  return submit_copy(linear(to, reinterpret_cast<uintptr_t>(from), bytes, true, false), from, true, nullptr, "cuMemcpyHtoD");
}

DICACHE_EXPORT CUresult cuMemcpyDtoH_v2(void* to, CUdeviceptr from, size_t bytes) {
  Call call("cuMemcpyDtoH");
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  if (CUresult r = refuse_while_capturing("cuMemcpyDtoH"); r != CUDA_SUCCESS) return r;
  return submit_copy(linear(reinterpret_cast<uintptr_t>(to), from, bytes, false, true), to, false, nullptr, "cuMemcpyDtoH");
}

DICACHE_EXPORT CUresult cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D* c, CUstream stream) {
  Call call("cuMemcpy2DAsync");
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  auto known = [](unsigned type) { return type == CU_MEMORYTYPE_HOST || type == CU_MEMORYTYPE_DEVICE; };
  if (!known(c->srcMemoryType) || !known(c->dstMemoryType)) return CUDA_ERROR_NOT_SUPPORTED;
  bool source_on_device = c->srcMemoryType == CU_MEMORYTYPE_DEVICE, destination_on_device = c->dstMemoryType == CU_MEMORYTYPE_DEVICE;
  if (!source_on_device && !destination_on_device) return CUDA_ERROR_NOT_SUPPORTED;
  size_t source_pitch = c->srcPitch == 0 ? c->WidthInBytes : c->srcPitch;
  size_t destination_pitch = c->dstPitch == 0 ? c->WidthInBytes : c->dstPitch;
  if (source_pitch < c->WidthInBytes || destination_pitch < c->WidthInBytes) return CUDA_ERROR_INVALID_VALUE;
  uintptr_t source = source_on_device ? c->srcDevice : reinterpret_cast<uintptr_t>(c->srcHost);
  uintptr_t destination = destination_on_device ? c->dstDevice : reinterpret_cast<uintptr_t>(c->dstHost);
  source += c->srcY * source_pitch + c->srcXInBytes;
  destination += c->dstY * destination_pitch + c->dstXInBytes;
  CopyWork copy{destination,  source, c->WidthInBytes, c->Height, destination_pitch, source_pitch, destination_on_device,
                source_on_device, nullptr};
  uintptr_t host = !source_on_device ? source : !destination_on_device ? destination : 0;
  return submit_copy(std::move(copy), reinterpret_cast<const void*>(host), destination_on_device, stream, "cuMemcpy2DAsync");
}

DICACHE_EXPORT CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count, CUstream stream) {
  Call call("cuMemsetD8Async");
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  return fill(to, count, value, 1, count, 1, stream, "cuMemsetD8Async");
}

DICACHE_EXPORT CUresult cuMemsetD16Async(CUdeviceptr to, unsigned short value, size_t count, CUstream stream) {
  Call call("cuMemsetD16Async");
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  return fill(to, 2 * count, value, 2, count, 1, stream, "cuMemsetD16Async");
}

DICACHE_EXPORT CUresult cuMemsetD32Async(CUdeviceptr to, unsigned value, size_t count, CUstream stream) {
  Call call("cuMemsetD32Async");
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  return fill(to, 4 * count, value, 4, count, 1, stream, "cuMemsetD32Async");
}
