// elementwise.cuh: how threads of an element-wise kernel are laid over [B, L, C]: grid.y = B, one thread per eight elements of a row,
// threads counted over the rows of a sample. Rows may be strided, so a slice of columns is as good as a dense tensor.
#pragma once
#include "common.cuh"

constexpr int kElementwiseThreads = 256;  // full occupancy at up to 64 registers on every architecture

struct Piece {
  int sample;
  int row;
  int first;
  int count;
};

// False for the threads beyond the last row.
DEVICE bool piece_of(int rows, int cols, Piece& piece) {
  const int pieces = (cols + kVector - 1) / kVector;
  const unsigned index = blockIdx.x * static_cast<unsigned>(kElementwiseThreads) + threadIdx.x;
  piece.sample = blockIdx.y;
  piece.row = index / pieces;
  piece.first = (index % pieces) * kVector;
  piece.count = cols - piece.first;
  return piece.row < rows;
}

template <class T>
DEVICE T* piece_address(const Rows& rows, const Piece& piece) {
  return row_of<T>(rows, piece.sample, piece.row) + piece.first;
}
