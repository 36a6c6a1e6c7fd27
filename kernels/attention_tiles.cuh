// attention_tiles.cuh: the arguments of the attention kernels and their only tuning table. AttentionKernels.cs repeats it for the launch;
// a test compares the two.
#pragma once
#include "common.cuh"

struct AttentionArgs {
  Rows q;
  Rows k;
  Rows v;
  Rows o;
  int q_rows;
  int k_rows;
  int head_width;
  float scale;
  int wide;
};

// kHead: head width, padded with zeros (a head of 20 or 28 runs as 32). kQueries: queries per block. kKeys: keys per tile. kWarps: warps.
//
// 128 queries on 4 warps give each warp two 16-row fragments: a key or value fragment read from shared memory is then used twice, without
// which shared memory, not the tensor cores, would be the limit. Heads of 256 have room in registers for one fragment only.
// 64 keys keep the scores of a tile in 64 registers beside 128 of output; one tile of keys and one of values are under way at a time, so
// that two blocks of head 128 share a multiprocessor of 164 KB and one of head 256 fits the 99 KB of sm_86 and sm_89. Rows that cannot be
// moved 16 bytes at a time (kAnyAlignment) are worth their code only where models have such heads.
template <int kHead>
struct AttentionTile;

template <>
struct AttentionTile<32> {
  static constexpr int kQueries = 128, kKeys = 64, kWarps = 4;  // 16 KB shared
  static constexpr bool kAnyAlignment = true;
};
template <>
struct AttentionTile<64> {
  static constexpr int kQueries = 128, kKeys = 64, kWarps = 4;  // 32 KB shared
  static constexpr bool kAnyAlignment = true;
};
template <>
struct AttentionTile<128> {
  static constexpr int kQueries = 128, kKeys = 64, kWarps = 4;  // 64 KB shared
  static constexpr bool kAnyAlignment = false;
};
template <>
struct AttentionTile<256> {
  static constexpr int kQueries = 64, kKeys = 64, kWarps = 4;  // 96 KB shared
  static constexpr bool kAnyAlignment = false;
};

// attention_single: a warp per query, a key per lane.
constexpr int kSingleQueries = 4;
