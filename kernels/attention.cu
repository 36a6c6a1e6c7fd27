// attention: o = softmax(scale * q k^T) v per sample and head, scores kept on the chip
// shapes   q, o [B, Lq, H * Dh], k, v [B, Lk, H * Dh] bf16; rows and samples strided, so q, k and v may be slices of one qkv buffer
// math     bf16 products, f32 sums (mma.sync m16n8k16); online softmax in f32 with 2^x, so that the scale becomes one FMA; probabilities
//          are rounded to bf16 before the second product, their sum is not; one rounding at the store
// needs    Dh <= 256, padded with zeros to 32, 64, 128 or 256; scale > 0; with wide: Dh % 8 == 0, rows 16-byte aligned, which padded heads
//          over 64 require (attention_single has no such need); sm_80+
// launch   grid = (Lq / queries rounded up, H, B), block = 32 * warps, dynamic smem = (queries + 2 * keys) * padded Dh * 2, from
//          attention_tiles.cuh
// moves    q and o once, k and v once per block of queries, mostly from L2       flops 4*Lq*Lk*H*Dh
// budget   registers <= 255, smem <= 0
// limit    FLUX 1024 (L 4608, H 24, Dh 128): 0.26 TFLOP
// why      writing the scores would move 2*H*Lq*Lk*2 B: 2 GB for FLUX 1024
#include "attention_tiles.cuh"

constexpr float kLog2E = 1.4426950408889634f;

// Tiles lie in shared memory as rows of kHead elements, cut into pieces of 16 bytes. The pieces of a row are permuted by its number, so
// that the eight rows that ldmatrix reads at once lie in different banks. The permutation is an exclusive or: from the offset of piece p of
// a row, that of piece p ^ n is offset ^ (n * 8), which costs one instruction where a new offset would cost several and a register.
template <int kHead>
DEVICE int tile_offset(int row, int piece) {
  constexpr int kPieces = kHead / kVector;
  const int permuted = kPieces >= 8 ? piece ^ (row & 7) : piece ^ ((row >> 1) & 3);
  return (row * kPieces + permuted) * kVector;
}

// A thread's share of a tile: one piece of every kRowsAtOnce-th row.
template <int kHead, int kThreads>
struct TileShare {
  static constexpr int kPieces = kHead / kVector, kRowsAtOnce = kThreads / kPieces;
  int row;     // its first row
  int count;   // elements of the head from its piece on; not positive in the padding
  int offset;  // of its piece in the tile

  MEMBER explicit TileShare(int head_width) {
    const int piece = threadIdx.x % kPieces;
    row = threadIdx.x / kPieces;
    count = head_width - piece * kVector;
    offset = tile_offset<kHead>(row, piece);
  }

  // Where the share starts in a tensor.
  MEMBER const bf16* start(const bf16* head, int first, long long row_stride) const {
    return head + (first + row) * row_stride + threadIdx.x % kPieces * kVector;
  }

  // Brings a tile to shared memory, zeros from row `rows` on and beyond the head. In the background where 16 bytes can be moved at once.
  template <int kTileRows>
  MEMBER void load(bf16* tile, const bf16* from, int rows, long long row_stride, bool wide) const {
    if (wide || !AttentionTile<kHead>::kAnyAlignment) {
#pragma unroll
      for (int r = 0; r < kTileRows; r += kRowsAtOnce, from += kRowsAtOnce * row_stride) {
        bf16* to = tile + (offset ^ (r % 8 * kVector)) + r * kHead;
        if (row + r < rows && count > 0) {
          cp_async16(to, from);
        } else {
          *reinterpret_cast<Words4*>(to) = Words4{0, 0, 0, 0};
        }
      }
    } else {
#pragma unroll 1
      for (int r = 0; r < kTileRows; r += kRowsAtOnce, from += kRowsAtOnce * row_stride) {
        float v[kVector];
        load8(v, from, row + r < rows ? count : 0, false);
        store8(tile + (offset ^ (r % 8 * kVector)) + r * kHead, v, kVector, true);
      }
    }
    cp_async_commit();
  }
};

template <int kHead>
DEVICE void attention(const AttentionArgs& a) {
  using Tile = AttentionTile<kHead>;
  constexpr int kQueries = Tile::kQueries, kKeys = Tile::kKeys, kWarps = Tile::kWarps, kThreads = kWarps * kWarp;
  constexpr int kFragments = kQueries / kWarps / 16;  // 16-row fragments per warp
  constexpr int kKeyTiles = kKeys / 8, kHeadTiles = kHead / 8;

  DYN_SMEM(bf16, shared);
  bf16* q_tile = shared;
  bf16* k_tile = q_tile + kQueries * kHead;
  bf16* v_tile = k_tile + kKeys * kHead;

  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int first_query = blockIdx.x * kQueries, warp_row = warp * kFragments * 16;
  bf16* own_queries = q_tile + warp_row * kHead;
  const int width = a.head_width;
  const bool wide = a.wide;
  const long long head = static_cast<long long>(blockIdx.y) * width;
  const TileShare<kHead, kThreads> share(width);
  const bf16* next_keys = share.start(row_of<bf16>(a.k, blockIdx.z, 0) + head, 0, a.k.row_stride);
  const bf16* next_values = share.start(row_of<bf16>(a.v, blockIdx.z, 0) + head, 0, a.v.row_stride);
  const bf16* queries_from = share.start(row_of<bf16>(a.q, blockIdx.z, 0) + head, first_query, a.q.row_stride);
  share.template load<kQueries>(q_tile, queries_from, a.q_rows - first_query, a.q.row_stride, wide);
  share.template load<kKeys>(k_tile, next_keys, a.k_rows, a.k.row_stride, wide);

  float out[kFragments][kHeadTiles][4] = {};
  float largest[kFragments][2], sum[kFragments][2];  // of rows lane / 4 and lane / 4 + 8 of a fragment; sums over this lane's columns only
#pragma unroll
  for (int f = 0; f < kFragments; f++) {
    largest[f][0] = largest[f][1] = minus_infinity();
    sum[f][0] = sum[f][1] = 0.f;
  }
  const float scale = a.scale * kLog2E;

  // Where this lane reads fragments: pieces 0 and 1 of its rows.
  const int qv_offset = tile_offset<kHead>(lane % 16, lane / 16);
  const int k_offset = tile_offset<kHead>(lane % 8 + lane / 16 * 8, lane / 8 % 2);

  for (int left = a.k_rows; left > 0; left -= kKeys) {
    cp_async_wait<0>();
    __syncthreads();  // keys are here; all warps have finished with the last tile of values
    share.template load<kKeys>(v_tile, next_values, left, a.v.row_stride, wide);
    next_values += kKeys * a.v.row_stride;

    const int q_now = not_hoisted(qv_offset), k_now = not_hoisted(k_offset);
    float scores[kFragments][kKeyTiles][4] = {};
    // Not unrolled: the compiler would fetch fragments of several steps ahead and spill. The other warps hide the latency as well.
#pragma unroll 1
    for (int d = 0; d < kHead / 16; d++) {
      unsigned queries[kFragments][4];
#pragma unroll
      for (int f = 0; f < kFragments; f++) {
        ldmatrix_x4(queries[f], own_queries + (q_now ^ (16 * d)) + f * 16 * kHead);
      }
#pragma unroll
      for (int t = 0; t < kKeyTiles; t += 2) {
        unsigned keys[4];
        ldmatrix_x4(keys, k_tile + (k_now ^ (16 * d)) + t * 8 * kHead);
        const unsigned even[2] = {keys[0], keys[1]}, odd[2] = {keys[2], keys[3]};
#pragma unroll
        for (int f = 0; f < kFragments; f++) {
          mma_m16n8k16_bf16(scores[f][t], queries[f], even);
          mma_m16n8k16_bf16(scores[f][t + 1], queries[f], odd);
        }
      }
    }
    if (left < kKeys) {
#pragma unroll
      for (int t = 0; t < kKeyTiles; t++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
          const bool beyond = t * 8 + lane % 4 * 2 + i % 2 >= left;
#pragma unroll
          for (int f = 0; f < kFragments; f++) scores[f][t][i] = beyond ? minus_infinity() : scores[f][t][i];
        }
      }
    }

    cp_async_wait<0>();
    __syncthreads();  // values are here; all warps have finished with the keys
    if (left > kKeys) {
      next_keys += kKeys * a.k.row_stride;
      share.template load<kKeys>(k_tile, next_keys, left - kKeys, a.k.row_stride, wide);
    }

    // Packed as soon as they are known: the probabilities of a fragment take half the registers of its scores.
    unsigned probabilities[kFragments][kKeys / 16][4];
#pragma unroll
    for (int f = 0; f < kFragments; f++) {
#pragma unroll
      for (int h = 0; h < 2; h++) {
        float top = largest[f][h];
#pragma unroll
        for (int t = 0; t < kKeyTiles; t++) top = fmaxf(top, fmaxf(scores[f][t][2 * h], scores[f][t][2 * h + 1]));
        top = fmaxf(top, shfl_xor(top, 1));
        top = fmaxf(top, shfl_xor(top, 2));
        // Scores of -inf alone would make -inf - -inf.
        const float base = top == minus_infinity() ? 0.f : top;
        const float keep = exp2_fast((largest[f][h] - base) * scale), offset = base * scale;
        largest[f][h] = top;
        float row_sum = sum[f][h] * keep;
#pragma unroll
        for (int t = 0; t < kKeyTiles; t++) {
          const float even = exp2_fast(scores[f][t][2 * h] * scale - offset), odd = exp2_fast(scores[f][t][2 * h + 1] * scale - offset);
          row_sum += even + odd;
          probabilities[f][t / 2][t % 2 * 2 + h] = pack_bf16(even, odd);
        }
        sum[f][h] = row_sum;
#pragma unroll
        for (int t = 0; t < kHeadTiles; t++) {
          out[f][t][2 * h] *= keep;
          out[f][t][2 * h + 1] *= keep;
        }
      }
    }

    const int v_now = not_hoisted(qv_offset);
#pragma unroll
    for (int s = 0; s < kKeys / 16; s++) {
#pragma unroll
      for (int t = 0; t < kHeadTiles; t += 2) {
        unsigned values[4];
        ldmatrix_x4_trans(values, v_tile + (v_now ^ (8 * t)) + s * 16 * kHead);
        const unsigned even[2] = {values[0], values[1]}, odd[2] = {values[2], values[3]};
#pragma unroll
        for (int f = 0; f < kFragments; f++) {
          mma_m16n8k16_bf16(out[f][t], probabilities[f][s], even);
          mma_m16n8k16_bf16(out[f][t + 1], probabilities[f][s], odd);
        }
      }
    }
  }

  // Through the warp's own rows of the query tile, so that whole rows are stored 16 bytes at a time.
#pragma unroll
  for (int f = 0; f < kFragments; f++) {
#pragma unroll
    for (int h = 0; h < 2; h++) {
      float total = sum[f][h];
      total += shfl_xor(total, 1);
      total += shfl_xor(total, 2);
      const float inverse = 1.f / total;
      const int row = warp_row + f * 16 + h * 8 + lane / 4;
#pragma unroll
      for (int t = 0; t < kHeadTiles; t++) {
        const unsigned pair = pack_bf16(out[f][t][2 * h] * inverse, out[f][t][2 * h + 1] * inverse);
        *reinterpret_cast<unsigned*>(q_tile + tile_offset<kHead>(row, t) + lane % 4 * 2) = pair;
      }
    }
  }
  __syncwarp();
  bf16* o = row_of<bf16>(a.o, blockIdx.z, 0) + head;
  for (int i = lane; i < kFragments * 16 * kHeadTiles; i += kWarp) {
    const int row = warp_row + i / kHeadTiles, col = i % kHeadTiles * kVector, query = first_query + row;
    float v8[kVector];
    load8(v8, q_tile + tile_offset<kHead>(row, i % kHeadTiles), kVector, true);
    if (query < a.q_rows) store8(o + query * a.o.row_stride + col, v8, width - col, wide);
  }
}

extern "C" __global__ void __launch_bounds__(128) attention_bf16_32(const __grid_constant__ AttentionArgs a) { attention<32>(a); }
extern "C" __global__ void __launch_bounds__(128) attention_bf16_64(const __grid_constant__ AttentionArgs a) { attention<64>(a); }
extern "C" __global__ void __launch_bounds__(128) attention_bf16_128(const __grid_constant__ AttentionArgs a) { attention<128>(a); }
extern "C" __global__ void __launch_bounds__(128) attention_bf16_256(const __grid_constant__ AttentionArgs a) { attention<256>(a); }
