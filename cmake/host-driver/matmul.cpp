#include "matmul.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "memory.h"
#include "race.h"
#include "worker.h"

namespace dicache_host {
namespace {

// The inner kernel keeps a 16 x 6 tile in registers: one 512-bit (or two 256-bit) vectors by six, small enough for 16 registers of either.
constexpr unsigned tile_rows = 16, tile_columns = 6;
constexpr unsigned task_rows = 64;

using Lanes = float __attribute__((vector_size(tile_rows * 4)));

float widen(const unsigned char* p, cudaDataType type) {
  if (type == CUDA_R_32F) {
    float value;
    std::memcpy(&value, p, 4);
    return value;
  }
  uint16_t bits;
  std::memcpy(&bits, p, 2);
  if (type == CUDA_R_16BF) {
    uint32_t wide = static_cast<uint32_t>(bits) << 16;
    float value;
    std::memcpy(&value, &wide, 4);
    return value;
  }
  _Float16 half;
  std::memcpy(&half, &bits, 2);
  return static_cast<float>(half);
}

void narrow(unsigned char* p, cudaDataType type, float value) {
  if (type == CUDA_R_32F) {
    std::memcpy(p, &value, 4);
  } else if (type == CUDA_R_16BF) {
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    bool nan = std::isnan(value);
    auto rounded = static_cast<uint16_t>(nan ? bits >> 16 | 0x40 : (bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
    std::memcpy(p, &rounded, 2);
  } else {
    auto half = static_cast<_Float16>(value);
    std::memcpy(p, &half, 2);
  }
}

// A matrix as rows and columns with a step between each, in bytes.
struct View {
  unsigned char* data;
  cudaDataType type;
  ptrdiff_t row_step, column_step;

  View(const Operand& o, int batch, bool transpose) : type(o.layout.type) {
    auto size = static_cast<ptrdiff_t>(element_bytes(type));
    data = reinterpret_cast<unsigned char*>(o.address) + batch * o.layout.batch_stride * size;
    bool by_columns = (o.layout.order == CUBLASLT_ORDER_COL) != transpose;
    row_step = by_columns ? size : o.layout.leading * size;
    column_step = by_columns ? o.layout.leading * size : size;
  }
  unsigned char* at(size_t row, size_t column) const {
    return data + static_cast<ptrdiff_t>(row) * row_step + static_cast<ptrdiff_t>(column) * column_step;
  }
};

float gelu_tanh(float x) { return 0.5f * x * (1.0f + std::tanh(0.7978845608028654f * (x + 0.044715f * x * x * x))); }

// Panels of `width` rows (or columns) laid out step by step along k, zero beyond the edge.
void pack_rows(const View& v, size_t first, size_t rows, size_t depth, unsigned width, float* into) {
  for (size_t k = 0; k < depth; k++)
    for (unsigned r = 0; r < width; r++) into[k * width + r] = first + r < rows ? widen(v.at(first + r, k), v.type) : 0.0f;
}

void pack_columns(const View& v, size_t first, size_t columns, size_t depth, unsigned width, float* into) {
  for (size_t k = 0; k < depth; k++)
    for (unsigned c = 0; c < width; c++) into[k * width + c] = first + c < columns ? widen(v.at(k, first + c), v.type) : 0.0f;
}

__attribute__((target_clones("avx512f", "avx2", "default"))) void multiply_tile(const float* a, const float* b, size_t depth, float* tile) {
  Lanes sums[tile_columns] = {};
  for (size_t k = 0; k < depth; k++) {
    Lanes column;
    std::memcpy(&column, a + k * tile_rows, sizeof column);
#pragma GCC unroll 6
    for (unsigned j = 0; j < tile_columns; j++) sums[j] += column * b[k * tile_columns + j];
  }
  std::memcpy(tile, sums, sizeof sums);
}

struct Product {
  const Matmul& m;
  View a, b, c, d;
  size_t rows, columns, depth;
  std::vector<float> packed_b;

  Product(const Matmul& matmul, int batch)
      : m(matmul), a(m.a, batch, m.transpose_a), b(m.b, batch, m.transpose_b), c(m.c, batch, false), d(m.d, batch, false) {
    rows = m.d.layout.rows;
    columns = m.d.layout.columns;
    depth = m.transpose_a ? m.a.layout.rows : m.a.layout.columns;
    size_t panels = (columns + tile_columns - 1) / tile_columns;
    packed_b.resize(panels * tile_columns * depth);
    for (size_t p = 0; p < panels; p++)
      pack_columns(b, p * tile_columns, columns, depth, tile_columns, &packed_b[p * tile_columns * depth]);
  }

  void store(size_t row, size_t column, float sum) const {
    float value = m.alpha * sum;
    if (m.beta != 0.0f) value += m.beta * widen(c.at(row, column), c.type);
    if (m.bias != 0) value += widen(reinterpret_cast<unsigned char*>(m.bias) + row * element_bytes(m.bias_type), m.bias_type);
    if (m.epilogue == CUBLASLT_EPILOGUE_GELU || m.epilogue == CUBLASLT_EPILOGUE_GELU_BIAS) value = gelu_tanh(value);
    narrow(d.at(row, column), d.type, value);
  }

  void run_rows(size_t first, size_t last) const {
    std::vector<float> packed_a(tile_rows * depth);
    float tile[tile_rows * tile_columns];
    for (size_t i = first; i < last; i += tile_rows) {
      pack_rows(a, i, rows, depth, tile_rows, packed_a.data());
      for (size_t j = 0; j < columns; j += tile_columns) {
        multiply_tile(packed_a.data(), &packed_b[j * depth], depth, tile);
        for (size_t y = 0; y < tile_columns && j + y < columns; y++)
          for (size_t x = 0; x < tile_rows && i + x < last; x++) store(i + x, j + y, tile[y * tile_rows + x]);
      }
    }
  }
};

bool operand_valid(const Operand& o, const char* what) {
  const MatrixLayout& l = o.layout;
  uint64_t lines = l.order == CUBLASLT_ORDER_COL ? l.columns : l.rows, along = l.order == CUBLASLT_ORDER_COL ? l.rows : l.columns;
  if (lines == 0 || along == 0) return true;
  uint64_t elements = (lines - 1) * static_cast<uint64_t>(l.leading) + along;
  elements += static_cast<uint64_t>(l.batches - 1) * static_cast<uint64_t>(l.batch_stride);
  return require_device(o.address, elements * element_bytes(l.type), what);
}

// The operand of one batch as lines of memory.
Lines lines_of(const Operand& o, int batch) {
  const MatrixLayout& l = o.layout;
  bool by_columns = l.order == CUBLASLT_ORDER_COL;
  size_t size = element_bytes(l.type);
  uintptr_t begin = o.address + static_cast<uintptr_t>(batch * l.batch_stride) * size;
  return {begin, (by_columns ? l.rows : l.columns) * size, by_columns ? l.columns : l.rows, static_cast<size_t>(l.leading) * size};
}

// Partial sums go there on a GPU, before and while operands are read: whatever else is kept there is lost. Of a large one, both ends.
void spoil_workspace(const Matmul& m) {
  constexpr size_t end = size_t{1} << 16;
  auto* p = reinterpret_cast<unsigned char*>(m.workspace);
  if (m.workspace_bytes == 0) return;
  if (m.workspace_bytes <= 2 * end) {
    std::memset(p, 0xFF, m.workspace_bytes);
  } else {
    std::memset(p, 0xFF, end);
    std::memset(p + m.workspace_bytes - end, 0xFF, end);
  }
}

}  // namespace

size_t element_bytes(cudaDataType type) { return type == CUDA_R_32F ? 4 : 2; }

CUresult run_matmul(const Matmul& m) {
  bool valid = operand_valid(m.a, "matrix A of a product") && operand_valid(m.b, "matrix B of a product") &&
               operand_valid(m.d, "matrix D of a product") && (m.beta == 0.0f || operand_valid(m.c, "matrix C of a product"));
  if (valid && m.bias != 0) valid = require_device(m.bias, m.d.layout.rows * element_bytes(m.bias_type), "the bias of a product");
  if (valid && m.workspace_bytes != 0) valid = require_device(m.workspace, m.workspace_bytes, "the workspace of a product");
  if (!valid) return CUDA_ERROR_ILLEGAL_ADDRESS;
  if (m.bias != 0) require_written({m.bias, m.d.layout.rows * element_bytes(m.bias_type), 1, 0}, "the bias of a product");
  spoil_workspace(m);
  for (int batch = 0; batch < m.d.layout.batches; batch++) {
    require_written(lines_of(m.a, batch), "matrix A of a product");
    require_written(lines_of(m.b, batch), "matrix B of a product");
    if (m.beta != 0.0f) require_written(lines_of(m.c, batch), "matrix C of a product");
    note_written(lines_of(m.d, batch));
    Product product(m, batch);
    auto tasks = static_cast<unsigned>((product.rows + task_rows - 1) / task_rows);
    parallel_for(tasks, [&](unsigned t) { product.run_rows(t * task_rows, std::min<size_t>(product.rows, (t + 1) * task_rows)); });
  }
  return CUDA_SUCCESS;
}

}  // namespace dicache_host
