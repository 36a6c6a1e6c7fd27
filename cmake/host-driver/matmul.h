// Matrix products as cuBLASLt defines them.
#pragma once

#include <cstdint>

#include "cuda_api.h"

namespace dicache_host {

struct MatrixLayout {
  cudaDataType type;
  cublasLtOrder order = CUBLASLT_ORDER_COL;
  uint64_t rows, columns;
  int64_t leading;
  int32_t batches = 1;
  int64_t batch_stride = 0;
};

struct Operand {
  uintptr_t address;
  MatrixLayout layout;
};

// d = epilogue(alpha op(a) op(b) + beta c), f32 inside.
struct Matmul {
  Operand a, b, c, d;
  bool transpose_a, transpose_b;
  float alpha, beta;
  cublasLtEpilogue epilogue;
  uintptr_t bias;
  cudaDataType bias_type;
  uintptr_t workspace;
  size_t workspace_bytes;  // what the algorithm needs; its content is lost
};

CUresult run_matmul(const Matmul& matmul);

size_t element_bytes(cudaDataType type);

}  // namespace dicache_host
