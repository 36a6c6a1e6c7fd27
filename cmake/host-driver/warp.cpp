#include "warp.h"

#include <cstring>

#include "cuda_host_warp.h"
#include "findings.h"
#include "memory_checks.h"

namespace dicache_host {
namespace {

constexpr unsigned all_lanes = ~0u;

// What a lane gets from a lane that takes no part: undefined on a GPU, a NaN here.
constexpr uint64_t poison = ~0ull;

unsigned lowest(unsigned mask) { return static_cast<unsigned>(__builtin_ctz(mask)); }

float low_bf16(uint32_t pair) { return __uint_as_float(pair << 16); }
float high_bf16(uint32_t pair) { return __uint_as_float(pair & 0xFFFF0000u); }

float half_to_float(uint32_t half) {
  _Float16 h;
  auto bits = static_cast<uint16_t>(half);
  std::memcpy(&h, &bits, 2);
  return static_cast<float>(h);
}

// d [16, 8] = a [16, depth] b [depth, 8]; the inner loop is one vector.
template <unsigned depth>
__attribute__((target_clones("avx512f", "avx2", "default"))) void multiply(const float (*a)[depth], const float (*b)[8], float (*d)[8]) {
  for (unsigned i = 0; i < 16; i++) {
    float sums[8] = {};
    for (unsigned k = 0; k < depth; k++)
      for (unsigned j = 0; j < 8; j++) sums[j] += a[i][k] * b[k][j];
    for (unsigned j = 0; j < 8; j++) d[i][j] = sums[j];
  }
}

struct Fragments {
  uint32_t a[4], b[2];
};

Fragments fragments_of(const Warp& w, unsigned lane) {
  Fragments f;
  std::memcpy(&f, w.operands[lane], sizeof f);
  return f;
}

void store_products(Warp& w, const float (*d)[8]) {
  for (unsigned lane = 0; lane < warp_lanes; lane++) {
    unsigned g = lane / 4, t = lane % 4;
    float r[4] = {d[g][2 * t], d[g][2 * t + 1], d[g + 8][2 * t], d[g + 8][2 * t + 1]};
    std::memcpy(w.results[lane], r, sizeof r);
  }
}

// mma.m16n8k16: lane 4g + t holds rows g and g + 8, columns 2t.. and 2t + 8.. of a, and column g of b.
template <class Low, class High>
void multiply_16bit(Warp& w, Low low, High high) {
  float a[16][16], b[16][8], d[16][8];
  for (unsigned lane = 0; lane < warp_lanes; lane++) {
    Fragments f = fragments_of(w, lane);
    unsigned g = lane / 4, t = lane % 4;
    for (unsigned r = 0; r < 4; r++) {
      unsigned row = g + (r & 1) * 8, column = 2 * t + (r >> 1) * 8;
      a[row][column] = low(f.a[r]);
      a[row][column + 1] = high(f.a[r]);
    }
    for (unsigned r = 0; r < 2; r++) {
      b[2 * t + r * 8][g] = low(f.b[r]);
      b[2 * t + r * 8 + 1][g] = high(f.b[r]);
    }
  }
  multiply<16>(a, b, d);
  store_products(w, d);
}

// mma.m16n8k8 with tf32 operands: the hardware drops the low 13 bits.
void multiply_8_tf32(Warp& w) {
  auto tf32 = [](uint32_t bits) { return __uint_as_float(bits & 0xFFFFE000u); };
  float a[16][8], b[8][8], d[16][8];
  for (unsigned lane = 0; lane < warp_lanes; lane++) {
    Fragments f = fragments_of(w, lane);
    unsigned g = lane / 4, t = lane % 4;
    for (unsigned r = 0; r < 4; r++) a[g + (r & 1) * 8][t + (r >> 1) * 4] = tf32(f.a[r]);
    for (unsigned r = 0; r < 2; r++) b[t + r * 4][g] = tf32(f.b[r]);
  }
  multiply<8>(a, b, d);
  store_products(w, d);
}

unsigned shuffle_source(unsigned lane, Shuffle kind, int operand, unsigned width) {
  unsigned base = lane & ~(width - 1), last = base + width - 1;
  int source = static_cast<int>(lane);
  switch (kind) {
    case Shuffle::index: return base + (static_cast<unsigned>(operand) & (width - 1));
    case Shuffle::up: source -= operand; break;
    case Shuffle::down: source += operand; break;
    case Shuffle::exclusive_or: source ^= operand; break;
  }
  bool inside = source >= static_cast<int>(base) && source <= static_cast<int>(last);
  return inside || (kind == Shuffle::exclusive_or && source >= 0 && source < static_cast<int>(base)) ? static_cast<unsigned>(source) : lane;
}

void complete_shuffle(Warp& w, unsigned group) {
  for (unsigned rest = group; rest != 0; rest &= rest - 1) {
    unsigned lane = lowest(rest);
    auto operand = static_cast<int>(static_cast<uint32_t>(w.operands[lane][1]));
    auto width = static_cast<unsigned>(w.operands[lane][1] >> 32);
    unsigned source = shuffle_source(lane, static_cast<Shuffle>(w.options[lane]), operand, width);
    w.results[lane][0] = group >> source & 1 ? w.operands[source][0] : poison;
  }
}

void complete_ballot(Warp& w, unsigned group) {
  uint64_t votes = 0;
  for (unsigned rest = group; rest != 0; rest &= rest - 1) votes |= w.operands[lowest(rest)][0] << lowest(rest);
  for (unsigned rest = group; rest != 0; rest &= rest - 1) w.results[lowest(rest)][0] = votes;
}

// ldmatrix: lane 8i + r names row r of matrix i; lane l gets word l % 4 of row l / 4, or the transposed pair.
void complete_load_matrix(Block& b, unsigned w_index) {
  Warp& w = b.warp[w_index];
  unsigned matrices = w.options[0] & 7;
  bool transpose = (w.options[0] & 8) != 0;
  for (unsigned i = 0; i < matrices; i++) {
    uint16_t m[8][8];
    for (unsigned r = 0; r < 8; r++) {
      unsigned lane = 8 * i + r;
      auto* row = reinterpret_cast<const void*>(w.operands[lane][0]);
      const Thread& owner = *b.thread[w_index * warp_lanes + lane];
      require_shared(b, owner, row, 16, 16, "ldmatrix");
      note_access(b, owner, row, 16, AccessKind::read);
      std::memcpy(m[r], row, 16);
    }
    for (unsigned lane = 0; lane < warp_lanes; lane++) {
      unsigned g = lane / 4, t = lane % 4;
      uint32_t low = transpose ? m[2 * t][g] : m[g][2 * t];
      uint32_t high = transpose ? m[2 * t + 1][g] : m[g][2 * t + 1];
      uint32_t word = low | high << 16;
      std::memcpy(reinterpret_cast<char*>(w.results[lane]) + 4 * i, &word, 4);
    }
  }
}

[[noreturn]] void give_up(Block& b, const Thread& t, const std::string& what) {
  report(Check::divergence, describe_place(b, &t) + ": " + what);
  fail_block(b, CUDA_ERROR_LAUNCH_FAILED);
}

void complete(Block& b, unsigned w_index, unsigned group) {
  Warp& w = b.warp[w_index];
  unsigned first = lowest(group);
  Collective kind = w.kinds[first];
  for (unsigned rest = group; rest != 0; rest &= rest - 1) {
    unsigned lane = lowest(rest);
    const Thread& t = *b.thread[w_index * warp_lanes + lane];
    if (w.kinds[lane] != kind) give_up(b, t, "lanes of one warp meet in different warp operations");
    if ((w.masks[lane] & w.alive) != group) give_up(b, t, "lanes of one warp meet with different lane masks");
  }
  bool matrix = kind >= Collective::load_matrix;
  if (matrix && group != all_lanes)
    give_up(b, *b.thread[w_index * warp_lanes + first], "a matrix operation needs all 32 lanes of the warp");
  switch (kind) {
    case Collective::sync: break;
    case Collective::shuffle: complete_shuffle(w, group); break;
    case Collective::ballot: complete_ballot(w, group); break;
    case Collective::load_matrix: complete_load_matrix(b, w_index); break;
    case Collective::multiply_bf16: multiply_16bit(w, low_bf16, high_bf16); break;
    case Collective::multiply_f16:
      multiply_16bit(w, [](uint32_t p) { return half_to_float(p & 0xFFFF); }, [](uint32_t p) { return half_to_float(p >> 16); });
      break;
    case Collective::multiply_tf32: multiply_8_tf32(w); break;
  }
}

// Enters the operation and returns when every running lane of the mask has.
Warp& meet(Thread& t, Collective kind, unsigned mask, unsigned option) {
  Block& b = *t.block;
  unsigned w_index = warp_of(t), lane = lane_of(t);
  Warp& w = b.warp[w_index];
  if ((mask >> lane & 1) == 0) give_up(b, t, "the lane mask of a warp operation does not name the calling lane");
  w.kinds[lane] = kind;
  w.masks[lane] = mask;
  w.options[lane] = option;
  w.arrived |= 1u << lane;
  stop_running(b, t.view.linear);
  unsigned group = mask & w.alive;
  if ((w.arrived & group) == group) complete_collectives(b, w_index);
  bool released = (w.arrived >> lane & 1) == 0;
  // The last to arrive goes on at once, unless the order is to be shuffled.
  if (!released || b.shuffled) leave_until_runnable(b, t);
  return w;
}

void multiply_fragments(Collective kind, float* d, const unsigned* a, const unsigned* b) {
  Thread& t = current_thread();
  unsigned lane = lane_of(t);
  Warp& w = t.block->warp[warp_of(t)];
  std::memcpy(w.operands[lane], a, 16);
  std::memcpy(&w.operands[lane][2], b, 8);
  meet(t, kind, all_lanes, 0);
  float products[4];
  std::memcpy(products, w.results[lane], sizeof products);
  for (int i = 0; i < 4; i++) d[i] += products[i];
}

}  // namespace

void complete_collectives(Block& b, unsigned w_index) {
  Warp& w = b.warp[w_index];
  for (unsigned rest = w.arrived; rest != 0;) {
    unsigned lane = lowest(rest), group = w.masks[lane] & w.alive;
    rest &= rest - 1;
    if ((w.arrived & group) != group) continue;
    complete(b, w_index, group);
    w.arrived &= ~group;
    // Of all warp operations only __syncwarp orders memory.
    w.epoch += w.kinds[lane] == Collective::sync;
    rest &= ~group;
    make_runnable(b, w_index, group);
  }
}

void sync_warp(unsigned mask) { meet(current_thread(), Collective::sync, mask, 0); }

uint64_t shuffle(unsigned mask, uint64_t bits, Shuffle kind, int operand, int width) {
  Thread& t = current_thread();
  unsigned lane = lane_of(t);
  uint64_t* mine = t.block->warp[warp_of(t)].operands[lane];
  mine[0] = bits;
  mine[1] = static_cast<uint64_t>(static_cast<unsigned>(width)) << 32 | static_cast<uint32_t>(operand);
  return meet(t, Collective::shuffle, mask, static_cast<unsigned>(kind)).results[lane][0];
}

unsigned ballot(unsigned mask, bool predicate) {
  Thread& t = current_thread();
  unsigned lane = lane_of(t);
  t.block->warp[warp_of(t)].operands[lane][0] = predicate;
  return static_cast<unsigned>(meet(t, Collective::ballot, mask, 0).results[lane][0]);
}

unsigned active_mask() {
  const Thread& t = current_thread();
  return t.block->warp[warp_of(t)].alive;
}

void load_matrix(unsigned* fragment, const void* row, unsigned matrices, bool transpose) {
  Thread& t = current_thread();
  unsigned lane = lane_of(t);
  t.block->warp[warp_of(t)].operands[lane][0] = reinterpret_cast<uintptr_t>(row);
  Warp& w = meet(t, Collective::load_matrix, all_lanes, matrices | (transpose ? 8u : 0u));
  std::memcpy(fragment, w.results[lane], matrices * 4);
}

void multiply_bf16(float* d, const unsigned* a, const unsigned* b) { multiply_fragments(Collective::multiply_bf16, d, a, b); }
void multiply_f16(float* d, const unsigned* a, const unsigned* b) { multiply_fragments(Collective::multiply_f16, d, a, b); }
void multiply_tf32(float* d, const unsigned* a, const unsigned* b) { multiply_fragments(Collective::multiply_tf32, d, a, b); }

}  // namespace dicache_host
