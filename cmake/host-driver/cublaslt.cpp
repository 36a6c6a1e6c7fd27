// cuBLASLt: descriptors, layouts, preferences, heuristics, products.
#include <cstring>
#include <set>

#include "call.h"
#include "capture.h"
#include "control.h"
#include "handles.h"
#include "matmul.h"
#include "options.h"
#include "stream.h"

using namespace dicache_host;

namespace {

struct Library {};

struct MatmulDescription {
  cublasComputeType compute;
  cudaDataType scale;
  int32_t transpose_a = 0, transpose_b = 0;
  uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  void* bias = nullptr;
  int32_t bias_type = -1;  // as D unless set
};

struct Preference {
  size_t workspace_bytes = 0;
};

// Public attribute numbers.
enum MatmulAttribute {
  MATMUL_COMPUTE_TYPE = 0,
  MATMUL_SCALE_TYPE = 1,
  MATMUL_TRANSA = 3,
  MATMUL_TRANSB = 4,
  MATMUL_EPILOGUE = 7,
  MATMUL_BIAS_POINTER = 8,
  MATMUL_BIAS_DATA_TYPE = 26,
};
enum LayoutAttribute {
  LAYOUT_TYPE = 0,
  LAYOUT_ORDER = 1,
  LAYOUT_ROWS = 2,
  LAYOUT_COLS = 3,
  LAYOUT_LD = 4,
  LAYOUT_BATCH_COUNT = 5,
  LAYOUT_STRIDED_BATCH_OFFSET = 6,
};
enum PreferenceAttribute {
  PREFERENCE_SEARCH_MODE = 0,
  PREFERENCE_MAX_WORKSPACE_BYTES = 1,
  PREFERENCE_MIN_ALIGNMENT_A = 5,
  PREFERENCE_MIN_ALIGNMENT_D = 8,
};

constexpr size_t version_number = 120499;
constexpr uint64_t algorithm_mark = 0x64694361636865ull;  // so that an algorithm that no heuristic gave is noticed

// An algorithm as the 64 opaque bytes hold it.
struct Algorithm {
  uint64_t mark, kernel, workspace_bytes;
};
static_assert(sizeof(Algorithm) <= sizeof(cublasLtMatmulAlgo));

// Kernels whose code was loaded: the library does so when one is first used.
std::set<uint64_t>& loaded_kernels() {
  static auto* all = new std::set<uint64_t>;
  return *all;
}

// A sum over many products for few results is split, and its parts are kept in the workspace. Very large results take all there may be, as
// the stream-K kernels of newer GPUs do. Without room for it there is always an algorithm that needs none.
size_t wanted_workspace(uint64_t rows, uint64_t columns, uint64_t depth, size_t most) {
  constexpr uint64_t large = uint64_t{1} << 22;
  size_t wanted = rows * columns >= large ? size_t{32} << 20 : depth >= 32 && depth >= rows ? 4 * rows * columns * sizeof(float) : 0;
  return wanted <= most ? wanted : 0;
}

Handles<Library>& libraries() {
  static auto* all = new Handles<Library>("cuBLASLt handle");
  return *all;
}

Handles<MatmulDescription>& descriptions() {
  static auto* all = new Handles<MatmulDescription>("cuBLASLt matmul description");
  return *all;
}

Handles<MatrixLayout>& layouts() {
  static auto* all = new Handles<MatrixLayout>("cuBLASLt matrix layout");
  return *all;
}

Handles<Preference>& preferences() {
  static auto* all = new Handles<Preference>("cuBLASLt preference");
  return *all;
}

template <class T>
cublasStatus destroy(Handles<T>& all, void* handle, const char* name) {
  Call call(name, Fails::after);
  if (all.remove(handle, name) == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  return call.injected() ? CUBLAS_STATUS_INTERNAL_ERROR : CUBLAS_STATUS_SUCCESS;
}

template <class T>
cublasStatus take(T& into, const void* from, size_t size) {
  if (from == nullptr || size != sizeof(T)) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(&into, from, size);
  return CUBLAS_STATUS_SUCCESS;
}

bool is_float_type(int type) { return type == CUDA_R_32F || type == CUDA_R_16F || type == CUDA_R_16BF; }

bool has_bias(uint32_t epilogue) { return (epilogue & CUBLASLT_EPILOGUE_BIAS) != 0; }

struct Layouts {
  std::shared_ptr<MatrixLayout> a, b, c, d;
};

// What the real library supports of what the engine could ask: anything else is refused as the heuristic refuses it.
cublasStatus check(const MatmulDescription& m, const Layouts& l) {
  uint64_t rows = m.transpose_a != 0 ? l.a->columns : l.a->rows, depth = m.transpose_a != 0 ? l.a->rows : l.a->columns;
  uint64_t columns = m.transpose_b != 0 ? l.b->rows : l.b->columns, depth_b = m.transpose_b != 0 ? l.b->columns : l.b->rows;
  bool shapes = depth == depth_b && l.d->rows == rows && l.d->columns == columns && l.c->rows == rows && l.c->columns == columns;
  for (const auto& layout : {l.a, l.b, l.c, l.d}) {
    uint64_t along = layout->order == CUBLASLT_ORDER_COL ? layout->rows : layout->columns;
    if (layout->leading < static_cast<int64_t>(along) || layout->batches != l.d->batches) shapes = false;
  }
  if (!shapes) return CUBLAS_STATUS_INVALID_VALUE;
  bool compute = m.compute == CUBLAS_COMPUTE_32F || m.compute == CUBLAS_COMPUTE_32F_FAST_TF32;
  bool types = l.a->type == l.b->type && l.c->type == l.d->type && (l.d->type == CUDA_R_32F || l.d->type == l.a->type);
  bool epilogue = m.epilogue == CUBLASLT_EPILOGUE_DEFAULT || m.epilogue == CUBLASLT_EPILOGUE_BIAS || m.epilogue == CUBLASLT_EPILOGUE_GELU ||
                  m.epilogue == CUBLASLT_EPILOGUE_GELU_BIAS;
  // A bias belongs to the rows of a column-major result; the library has no kernel for the other order.
  bool order = !has_bias(m.epilogue) || l.d->order == CUBLASLT_ORDER_COL;
  int bias_type = m.bias_type < 0 ? static_cast<int>(l.d->type) : m.bias_type;
  bool bias = !has_bias(m.epilogue) || bias_type == l.d->type || bias_type == CUDA_R_32F;
  return compute && m.scale == CUDA_R_32F && types && epilogue && order && bias ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}

struct Problem {
  std::shared_ptr<MatmulDescription> description;
  Layouts layouts;
};

// The objects behind the handles, if the library can do what they describe.
cublasStatus find_problem(void* description, void* a, void* b, void* c, void* d, const char* call, Problem& p) {
  p.description = descriptions().find(description, call);
  p.layouts = {layouts().find(a, call), layouts().find(b, call), layouts().find(c, call), layouts().find(d, call)};
  const Layouts& l = p.layouts;
  bool known = p.description != nullptr && l.a != nullptr && l.b != nullptr && l.c != nullptr && l.d != nullptr;
  return known ? check(*p.description, l) : CUBLAS_STATUS_INVALID_VALUE;
}

}  // namespace

namespace dicache_host {

void list_cublas(std::string& text, size_t& count) {
  libraries().list(text, count);
  descriptions().list(text, count);
  layouts().list(text, count);
  preferences().list(text, count);
}

void clear_cublas() {
  loaded_kernels().clear();
  libraries().clear();
  descriptions().clear();
  layouts().clear();
  preferences().clear();
}

}  // namespace dicache_host

DICACHE_EXPORT size_t cublasLtGetVersion() { return version_number; }

DICACHE_EXPORT cublasStatus cublasLtCreate(void** handle) {
  Call call("cublasLtCreate");
  if (call.injected() || call.refused(Needs::context) != CUDA_SUCCESS) return CUBLAS_STATUS_NOT_INITIALIZED;
  *handle = libraries().add(std::make_shared<Library>());
  return CUBLAS_STATUS_SUCCESS;
}

DICACHE_EXPORT cublasStatus cublasLtDestroy(void* handle) { return destroy(libraries(), handle, "cublasLtDestroy"); }

DICACHE_EXPORT cublasStatus cublasLtMatmulDescCreate(void** description, int compute, int scale) {
  Call call("cublasLtMatmulDescCreate");
  if (call.injected()) return CUBLAS_STATUS_ALLOC_FAILED;
  auto created = std::make_shared<MatmulDescription>();
  created->compute = static_cast<cublasComputeType>(compute);
  created->scale = static_cast<cudaDataType>(scale);
  *description = descriptions().add(std::move(created));
  return CUBLAS_STATUS_SUCCESS;
}

DICACHE_EXPORT cublasStatus cublasLtMatmulDescSetAttribute(void* description, int attribute, const void* value, size_t size) {
  Call call("cublasLtMatmulDescSetAttribute");
  if (call.injected()) return CUBLAS_STATUS_INTERNAL_ERROR;
  auto m = descriptions().find(description, "cublasLtMatmulDescSetAttribute");
  if (m == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  switch (attribute) {
    case MATMUL_COMPUTE_TYPE: return take(m->compute, value, size);
    case MATMUL_SCALE_TYPE: return take(m->scale, value, size);
    case MATMUL_TRANSA: return take(m->transpose_a, value, size);
    case MATMUL_TRANSB: return take(m->transpose_b, value, size);
    case MATMUL_EPILOGUE: return take(m->epilogue, value, size);
    case MATMUL_BIAS_POINTER: return take(m->bias, value, size);
    case MATMUL_BIAS_DATA_TYPE: return take(m->bias_type, value, size);
    default: return CUBLAS_STATUS_INVALID_VALUE;
  }
}

DICACHE_EXPORT cublasStatus cublasLtMatmulDescDestroy(void* description) {
  return destroy(descriptions(), description, "cublasLtMatmulDescDestroy");
}

DICACHE_EXPORT cublasStatus cublasLtMatrixLayoutCreate(void** layout, int type, uint64_t rows, uint64_t columns, int64_t leading) {
  Call call("cublasLtMatrixLayoutCreate");
  if (call.injected()) return CUBLAS_STATUS_ALLOC_FAILED;
  if (!is_float_type(type)) return CUBLAS_STATUS_INVALID_VALUE;
  auto created = std::make_shared<MatrixLayout>();
  created->type = static_cast<cudaDataType>(type);
  created->rows = rows;
  created->columns = columns;
  created->leading = leading;
  *layout = layouts().add(std::move(created));
  return CUBLAS_STATUS_SUCCESS;
}

DICACHE_EXPORT cublasStatus cublasLtMatrixLayoutSetAttribute(void* layout, int attribute, const void* value, size_t size) {
  Call call("cublasLtMatrixLayoutSetAttribute");
  if (call.injected()) return CUBLAS_STATUS_INTERNAL_ERROR;
  auto l = layouts().find(layout, "cublasLtMatrixLayoutSetAttribute");
  if (l == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  switch (attribute) {
    case LAYOUT_TYPE: return take(l->type, value, size);
    case LAYOUT_ORDER: return take(l->order, value, size);
    case LAYOUT_ROWS: return take(l->rows, value, size);
    case LAYOUT_COLS: return take(l->columns, value, size);
    case LAYOUT_LD: return take(l->leading, value, size);
    case LAYOUT_BATCH_COUNT: return take(l->batches, value, size);
    case LAYOUT_STRIDED_BATCH_OFFSET: return take(l->batch_stride, value, size);
    default: return CUBLAS_STATUS_INVALID_VALUE;
  }
}

DICACHE_EXPORT cublasStatus cublasLtMatrixLayoutDestroy(void* layout) { return destroy(layouts(), layout, "cublasLtMatrixLayoutDestroy"); }

DICACHE_EXPORT cublasStatus cublasLtMatmulPreferenceCreate(void** preference) {
  Call call("cublasLtMatmulPreferenceCreate");
  if (call.injected()) return CUBLAS_STATUS_ALLOC_FAILED;
  *preference = preferences().add(std::make_shared<Preference>());
  return CUBLAS_STATUS_SUCCESS;
}

DICACHE_EXPORT cublasStatus cublasLtMatmulPreferenceSetAttribute(void* preference, int attribute, const void* value, size_t size) {
  Call call("cublasLtMatmulPreferenceSetAttribute");
  if (call.injected()) return CUBLAS_STATUS_INTERNAL_ERROR;
  auto p = preferences().find(preference, "cublasLtMatmulPreferenceSetAttribute");
  if (p == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  if (attribute == PREFERENCE_MAX_WORKSPACE_BYTES) return take(p->workspace_bytes, value, size);
  bool alignment = attribute >= PREFERENCE_MIN_ALIGNMENT_A && attribute <= PREFERENCE_MIN_ALIGNMENT_D;
  return (alignment || attribute == PREFERENCE_SEARCH_MODE) && size == 4 ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

DICACHE_EXPORT cublasStatus cublasLtMatmulPreferenceDestroy(void* preference) {
  return destroy(preferences(), preference, "cublasLtMatmulPreferenceDestroy");
}

DICACHE_EXPORT cublasStatus cublasLtMatmulAlgoGetHeuristic(void* handle, void* description, void* a, void* b, void* c, void* d,
                                                           void* preference, int wanted, cublasLtMatmulHeuristicResult* results,
                                                           int* found) {
  const char* name = "cublasLtMatmulAlgoGetHeuristic";
  Call call(name);
  if (call.injected()) return CUBLAS_STATUS_INTERNAL_ERROR;
  if (libraries().find(handle, name) == nullptr || preferences().find(preference, name) == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  *found = 0;
  // Version 13.3 asks the driver for something that a capture forbids.
  if (any_capture()) {
    report(Check::capture, std::string(name) + " while a stream is capturing");
    return CUBLAS_STATUS_INTERNAL_ERROR;
  }
  Problem problem;
  cublasStatus status = find_problem(description, a, b, c, d, name, problem);
  if (status != CUBLAS_STATUS_SUCCESS || wanted < 1) return status;
  const auto& [m, l] = problem;
  uint64_t rows = l.d->rows, columns = l.d->columns, depth = m->transpose_a != 0 ? l.a->rows : l.a->columns;
  // Shapes that are hardly matrices have no kernel with a bias; which way that is said differs.
  if (has_bias(m->epilogue) && rows == 1) return CUBLAS_STATUS_INVALID_VALUE;
  if (has_bias(m->epilogue) && depth == 1) return CUBLAS_STATUS_SUCCESS;
  size_t workspace = wanted_workspace(rows, columns, depth, preferences().find(preference, name)->workspace_bytes);
  auto from = static_cast<uint64_t>(l.a->type), to = static_cast<uint64_t>(l.d->type);
  uint64_t kernel = (uint64_t{m->epilogue} << 16) | (from << 8) | (to << 1) | (workspace != 0 ? 1 : 0);
  Algorithm algorithm{algorithm_mark, kernel, workspace};
  results[0] = {};
  std::memcpy(&results[0].algo, &algorithm, sizeof algorithm);
  results[0].workspaceSize = workspace;
  results[0].wavesCount = 1.0f;
  *found = 1;
  return CUBLAS_STATUS_SUCCESS;
}

DICACHE_EXPORT cublasStatus cublasLtMatmul(void* handle, void* description, const void* alpha, const void* a, void* a_layout,
                                           const void* b, void* b_layout, const void* beta, const void* c, void* c_layout, void* d,
                                           void* d_layout, const cublasLtMatmulAlgo* algorithm, void* workspace,
                                           size_t workspace_bytes, CUstream stream_handle) {
  const char* name = "cublasLtMatmul";
  Call call(name);
  if (call.injected() || call.refused(Needs::context) != CUDA_SUCCESS) return CUBLAS_STATUS_EXECUTION_FAILED;
  std::shared_ptr<Stream> stream = stream_of(stream_handle, name);
  if (libraries().find(handle, name) == nullptr || stream == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  Algorithm chosen{algorithm_mark, 0, 0};
  if (algorithm != nullptr) std::memcpy(&chosen, algorithm, sizeof chosen);
  if (chosen.mark != algorithm_mark || workspace_bytes < chosen.workspace_bytes) return CUBLAS_STATUS_INVALID_VALUE;
  if (loaded_kernels().count(chosen.kernel) == 0 && any_capture()) {
    report(Check::capture, std::string(name) + " uses a kernel for the first time, and loads it, while a stream is capturing");
    return CUBLAS_STATUS_EXECUTION_FAILED;
  }
  Problem problem;
  cublasStatus status = find_problem(description, a_layout, b_layout, c_layout, d_layout, name, problem);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  const auto& [m, l] = problem;
  auto address = [](const void* p) { return reinterpret_cast<uintptr_t>(p); };
  Matmul product{};
  product.a = {address(a), *l.a};
  product.b = {address(b), *l.b};
  product.c = {address(c), *l.c};
  product.d = {address(d), *l.d};
  product.transpose_a = m->transpose_a != 0;
  product.transpose_b = m->transpose_b != 0;
  std::memcpy(&product.alpha, alpha, 4);
  std::memcpy(&product.beta, beta, 4);
  product.epilogue = static_cast<cublasLtEpilogue>(m->epilogue);
  product.bias = has_bias(m->epilogue) ? address(m->bias) : 0;
  product.bias_type = m->bias_type < 0 ? l.d->type : static_cast<cudaDataType>(m->bias_type);
  product.workspace = address(workspace);
  product.workspace_bytes = chosen.workspace_bytes;
  if (has_bias(m->epilogue) && product.bias == 0) return CUBLAS_STATUS_INVALID_VALUE;
  if (options().refuse_fused && m->epilogue != CUBLASLT_EPILOGUE_DEFAULT) return CUBLAS_STATUS_NOT_SUPPORTED;
  loaded_kernels().insert(chosen.kernel);
  return submit(*stream, product, name) == CUDA_SUCCESS ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}
