// Modules, functions, launches.
#include <cstring>
#include <unordered_map>

#include "call.h"
#include "control.h"
#include "module.h"
#include "options.h"
#include "shared_layout.h"
#include "stream.h"
#include "worker.h"

using namespace dicache_host;

namespace {

constexpr unsigned default_dynamic_shared = 48 * 1024;
constexpr char image_prefix[] = "dicache-host-image ";

std::vector<Unit>& registered() {
  static auto* all = new std::vector<Unit>;
  return *all;
}

// Functions by handle; a module that was unloaded leaves its entries, so that using one is noticed.
std::unordered_map<CUfunction, std::weak_ptr<Module>>& function_owners() {
  static auto* all = new std::unordered_map<CUfunction, std::weak_ptr<Module>>;
  return *all;
}

std::shared_ptr<Module> owner_of(CUfunction function, const char* call) {
  auto it = function_owners().find(function);
  std::shared_ptr<Module> module = it == function_owners().end() ? nullptr : it->second.lock();
  if (module == nullptr || module->unloaded) {
    report(Check::handle, std::string(call) + " was given a function of no loaded module");
    return nullptr;
  }
  return module;
}

uint64_t hash_of(const Unit& unit) {  // FNV-1a over all texts
  uint64_t hash = 14695981039346656037ull;
  for (unsigned i = 0; i < unit.text_count; i++)
    for (const char* p = unit.texts[i].begin; p != unit.texts[i].end; p++)
      hash = (hash ^ static_cast<unsigned char>(*p)) * 1099511628211ull;
  return hash;
}


CUresult refuse_launch(const Kernel& kernel, const std::string& why) {
  report(Check::launch, std::string("kernel ") + kernel.name + ": " + why);
  return CUDA_ERROR_INVALID_VALUE;
}

CUresult check_geometry(const Kernel& kernel, dim3 grid, dim3 block) {
  uint64_t threads = uint64_t{block.x} * block.y * block.z, blocks = uint64_t{grid.x} * grid.y * grid.z;
  if (threads == 0 || blocks == 0) return refuse_launch(kernel, "an empty grid or block");
  if (block.x > 1024 || block.y > 1024 || block.z > 64 || threads > 1024)
    return refuse_launch(kernel, "a block of " + std::to_string(threads) + " threads");
  if (grid.x > 0x7FFFFFFFu || grid.y > 65535 || grid.z > 65535) return refuse_launch(kernel, "a grid larger than any device runs");
  if (blocks > 0x7FFFFFFFu) return refuse_launch(kernel, "a grid larger than this driver runs");
  if (threads > kernel.max_threads)
    return refuse_launch(kernel, std::to_string(threads) + " threads, compiled for at most " + std::to_string(kernel.max_threads));
  return CUDA_SUCCESS;
}

}  // namespace

namespace dicache_host {

Handles<Module>& modules() {
  static auto* all = new Handles<Module>("module");
  return *all;
}

const std::vector<Unit>& units() { return registered(); }

void register_unit(const Unit& unit) { registered().push_back(unit); }

std::string image_of(const Unit& unit) {
  char hash[32];
  std::snprintf(hash, sizeof hash, " %016llx", static_cast<unsigned long long>(hash_of(unit)));
  return image_prefix + std::string(unit.texts[0].name) + hash;
}

CUresult make_kernel_work(CUfunction handle, dim3 grid, dim3 block, unsigned shared, void** arguments, void** extra, KernelWork& work,
                          const char* call) {
  std::shared_ptr<Module> module = owner_of(handle, call);
  if (module == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  const auto& function = *static_cast<const Function*>(handle);
  const Kernel& kernel = *function.kernel;
  if (extra != nullptr) return CUDA_ERROR_NOT_SUPPORTED;
  if (arguments == nullptr && kernel.parameter_count != 0) return refuse_launch(kernel, "no arguments");
  if (CUresult r = check_geometry(kernel, grid, block); r != CUDA_SUCCESS) return r;
  auto fixed = static_cast<unsigned>(static_shared_bytes(kernel));
  unsigned limit = std::max(function.dynamic_shared_limit, fixed < default_dynamic_shared ? default_dynamic_shared - fixed : 0);
  if (shared > limit || shared + fixed > shared_memory_limit())
    return refuse_launch(kernel, std::to_string(shared) + " bytes of dynamic shared memory, allowed are " + std::to_string(limit));
  work = {module, {&kernel, grid, block, shared, Arguments(kernel, arguments)}};
  return CUDA_SUCCESS;
}

void list_modules(std::string& text, size_t& count) { modules().list(text, count); }

void clear_modules() {
  modules().clear();
  function_owners().clear();
}

}  // namespace dicache_host

DICACHE_EXPORT CUresult cuModuleLoadData(CUmodule* module, const void* image) {
  Call call("cuModuleLoadData");
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  if (image == nullptr) return CUDA_ERROR_INVALID_VALUE;
  auto* text = static_cast<const char*>(image);
  if (std::strncmp(text, image_prefix, sizeof image_prefix - 1) != 0) return CUDA_ERROR_INVALID_IMAGE;
  for (const Unit& unit : units()) {
    if (image_of(unit) != text) continue;
    auto loaded = std::make_shared<Module>();
    loaded->unit = &unit;
    *module = modules().add(std::move(loaded));
    return CUDA_SUCCESS;
  }
  return CUDA_ERROR_NO_BINARY_FOR_GPU;
}

DICACHE_EXPORT CUresult cuModuleLoadDataEx(CUmodule* module, const void* image, unsigned, const int*, void**) {
  return cuModuleLoadData(module, image);
}

DICACHE_EXPORT CUresult cuModuleUnload(CUmodule handle) {
  Call call("cuModuleUnload", Fails::after);
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  std::shared_ptr<Module> module = modules().remove(handle, "cuModuleUnload");
  if (module == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  drain_all();
  module->unloaded = true;
  return call.result(CUDA_SUCCESS);
}

DICACHE_EXPORT CUresult cuModuleGetFunction(CUfunction* function, CUmodule handle, const char* name) {
  Call call("cuModuleGetFunction");
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  std::shared_ptr<Module> module = modules().find(handle, "cuModuleGetFunction");
  if (module == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  for (unsigned i = 0; i < module->unit->kernel_count; i++) {
    const Kernel& kernel = module->unit->kernels[i];
    if (std::strcmp(kernel.name, name) != 0) continue;
    module->functions.push_back(std::make_unique<Function>(Function{module.get(), &kernel, 0}));
    *function = module->functions.back().get();
    function_owners()[*function] = module;
    return CUDA_SUCCESS;
  }
  return CUDA_ERROR_NOT_FOUND;
}

DICACHE_EXPORT CUresult cuFuncGetAttribute(int* value, int attribute, CUfunction function) {
  Call call("cuFuncGetAttribute");
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  if (owner_of(function, "cuFuncGetAttribute") == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  const auto& f = *static_cast<const Function*>(function);
  switch (attribute) {
    case 0: *value = static_cast<int>(f.kernel->max_threads); return CUDA_SUCCESS;        // MAX_THREADS_PER_BLOCK
    case 1: *value = static_cast<int>(static_shared_bytes(*f.kernel)); return CUDA_SUCCESS;  // SHARED_SIZE_BYTES
    case 8: *value = static_cast<int>(f.dynamic_shared_limit); return CUDA_SUCCESS;       // MAX_DYNAMIC_SHARED_SIZE_BYTES
    default: return CUDA_ERROR_NOT_SUPPORTED;  // registers and the like: the host has none of them
  }
}

DICACHE_EXPORT CUresult cuFuncSetAttribute(CUfunction function, int attribute, int value) {
  Call call("cuFuncSetAttribute");
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  if (owner_of(function, "cuFuncSetAttribute") == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  auto& f = *static_cast<Function*>(function);
  if (attribute == 9) return value >= -1 && value <= 100 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;  // PREFERRED_SHARED_MEMORY_CARVEOUT
  if (attribute != 8) return CUDA_ERROR_INVALID_VALUE;
  if (value < 0 || static_cast<unsigned>(value) + static_shared_bytes(*f.kernel) > shared_memory_limit()) return CUDA_ERROR_INVALID_VALUE;
  f.dynamic_shared_limit = static_cast<unsigned>(value);
  return CUDA_SUCCESS;
}

DICACHE_EXPORT CUresult cuLaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                                       unsigned block_y, unsigned block_z, unsigned shared, CUstream stream_handle, void** arguments,
                                       void** extra) {
  Call call("cuLaunchKernel");
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  std::shared_ptr<Stream> stream = stream_of(stream_handle, "cuLaunchKernel");
  if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  KernelWork work;
  dim3 grid{grid_x, grid_y, grid_z}, block{block_x, block_y, block_z};
  CUresult r = make_kernel_work(function, grid, block, shared, arguments, extra, work, "cuLaunchKernel");
  return r != CUDA_SUCCESS ? r : submit(*stream, std::move(work), "cuLaunchKernel");
}
