#include "race.h"

#include <link.h>
#include <sys/mman.h>

#include <algorithm>
#include <vector>

#include "findings.h"
#include "memory.h"
#include "memory_checks.h"
#include "worker.h"

namespace dicache_host {

// What happened last to two bytes. Two, because that is the smallest element kernels share out among threads.
struct Cell {
  uint32_t generation;
  uint32_t write_block, read_block;
  uint16_t write_thread, write_epoch, write_warp_epoch;
  uint16_t read_thread, read_epoch, read_warp_epoch;
  bool written, read, atomic, copying;
  bool many_lanes, many_warps, many_blocks;  // of the readers since the last write
};

// Both in pages that cost nothing until they are used.
struct Shadow {
  uintptr_t base;
  size_t granules;
  Cell* cells;
  uint8_t* written;  // since the allocation was made: one bit each
};

namespace {

constexpr unsigned granule = 2;
constexpr unsigned sites_per_launch = 8;  // one line per instruction is enough; a loop would give thousands

struct Checker {
  bool instrumented = false;
  uint32_t launch = 0, block = 0;
  Shadow* static_shared = nullptr;
  Shadow* dynamic_shared = nullptr;
  std::vector<const void*> reported;
  uintptr_t image_begin = 0, image_end = 0;
};

// Constant-initialised: instrumented constructors run before anything else here.
constinit Checker checker{};

void* map_zeros(size_t bytes) {
  void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return p == MAP_FAILED ? nullptr : p;
}

Shadow* shadow_of_range(Shadow*& shadow, uintptr_t begin, uintptr_t end) {
  if (shadow == nullptr) shadow = make_shadow(begin, end - begin);
  return shadow;
}

bool is_written(const Shadow& s, size_t granule_index) { return (s.written[granule_index / 8] >> granule_index % 8 & 1) != 0; }
void set_written(Shadow& s, size_t granule_index) { s.written[granule_index / 8] |= static_cast<uint8_t>(1u << granule_index % 8); }

// This library's own constants and variables, which kernels may read.
int find_own_image(dl_phdr_info* info, size_t, void*) {
  auto probe = reinterpret_cast<uintptr_t>(&find_own_image);
  uintptr_t begin = ~uintptr_t{0}, end = 0;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    if (info->dlpi_phdr[i].p_type != PT_LOAD) continue;
    uintptr_t at = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
    begin = std::min(begin, at);
    end = std::max(end, at + info->dlpi_phdr[i].p_memsz);
  }
  if (probe < begin || probe >= end) return 0;
  checker.image_begin = begin;
  checker.image_end = end;
  return 1;
}

struct Access {
  Block& block;
  const Thread& thread;
  uintptr_t address;
  unsigned bytes;
  AccessKind kind;
  const void* site;
};

bool same_warp(unsigned a, unsigned b) { return a / warp_lanes == b / warp_lanes; }

uint32_t block_number(const Block& b) {
  const Geometry& g = b.geometry;
  return (g.block_index.z * g.grid_dimensions.y + g.block_index.y) * g.grid_dimensions.x + g.block_index.x;
}

std::string site_text(const void* site) {
  char text[32];
  std::snprintf(text, sizeof text, " [+0x%lx]", static_cast<unsigned long>(reinterpret_cast<uintptr_t>(site) - checker.image_begin));
  return text;
}

void report_once(Check check, const Access& a, const std::string& what) {
  auto& seen = checker.reported;
  if (seen.size() >= sites_per_launch || std::find(seen.begin(), seen.end(), a.site) != seen.end()) return;
  seen.push_back(a.site);
  std::string where = in_device_range(a.address) ? describe_address(a.address) : "shared memory";
  report(check, describe_place(a.block, &a.thread) + site_text(a.site) + ": " + what + ", " + where);
}

// Whether a barrier of the block or of the warp lies between what a thread did then and what the present thread does now.
bool ordered(const Access& a, uint32_t block, unsigned thread, unsigned epoch, unsigned warp_epoch) {
  unsigned me = a.thread.view.linear;
  if (block != block_number(a.block)) return false;
  if (thread == me || epoch != static_cast<uint16_t>(a.block.epoch)) return true;
  return same_warp(thread, me) && warp_epoch != static_cast<uint16_t>(a.block.warp[me / warp_lanes].epoch);
}

bool after_write(const Access& a, const Cell& c) { return ordered(a, c.write_block, c.write_thread, c.write_epoch, c.write_warp_epoch); }

bool after_reads(const Access& a, const Cell& c) {
  unsigned me = a.thread.view.linear;
  if (c.many_blocks || c.read_block != block_number(a.block)) return false;
  if (c.read_epoch != static_cast<uint16_t>(a.block.epoch)) return true;
  if (c.many_warps || !same_warp(c.read_thread, me)) return false;
  if (c.read_warp_epoch != static_cast<uint16_t>(a.block.warp[me / warp_lanes].epoch)) return true;
  return !c.many_lanes && c.read_thread == me;
}

std::string other_thread(const char* what, uint32_t block, const Access& a, unsigned thread) {
  std::string text = std::string(what) + " by thread " + std::to_string(thread);
  if (block != block_number(a.block)) text += " of block " + std::to_string(block);
  return text + " with no barrier between";
}

void record_write(const Access& a, Cell& c) {
  c.write_block = block_number(a.block);
  c.write_thread = static_cast<uint16_t>(a.thread.view.linear);
  c.write_epoch = static_cast<uint16_t>(a.block.epoch);
  c.write_warp_epoch = static_cast<uint16_t>(a.block.warp[a.thread.view.linear / warp_lanes].epoch);
  c.written = true;
  c.atomic = a.kind == AccessKind::atomic;
  c.copying = a.kind == AccessKind::copy_issued;
  c.read = c.many_lanes = c.many_warps = c.many_blocks = false;
}

void record_read(const Access& a, Cell& c) {
  unsigned me = a.thread.view.linear;
  uint32_t block = block_number(a.block);
  auto epoch = static_cast<uint16_t>(a.block.epoch), warp_epoch = static_cast<uint16_t>(a.block.warp[me / warp_lanes].epoch);
  if (c.read && c.read_block != block) c.many_blocks = true;
  bool same_interval = c.read && c.read_block == block && c.read_epoch == epoch;
  if (!same_interval) c.many_lanes = c.many_warps = false;
  else if (!same_warp(c.read_thread, me)) c.many_warps = true;
  else if (c.read_warp_epoch != warp_epoch) c.many_lanes = false;
  else c.many_lanes |= c.read_thread != me;
  c.read = true;
  c.read_block = block;
  c.read_thread = static_cast<uint16_t>(me);
  c.read_epoch = epoch;
  c.read_warp_epoch = warp_epoch;
}

void check_cell(const Access& a, Cell& c, uint32_t generation, bool shared) {
  if (c.generation != generation) {
    c = Cell{};
    c.generation = generation;
  }
  bool writes = a.kind != AccessKind::read;
  bool both_atomic = c.atomic && a.kind == AccessKind::atomic;
  if (c.written && !both_atomic && !after_write(a, c))
    report_once(Check::race, a, other_thread(writes ? "a write after a write" : "a read after a write", c.write_block, a, c.write_thread));
  if (writes && c.read && !after_reads(a, c))
    report_once(Check::race, a, other_thread("a write after a read", c.read_block, a, c.read_thread));
  bool reads_shared = shared && !writes;
  if (reads_shared && !c.written) report_once(Check::uninitialised_shared, a, "a read of bytes that no thread of the block has written");
  if (reads_shared && c.copying) report_once(Check::uninitialised_shared, a, "a read of bytes whose cp.async has not been waited for");
  if (writes) record_write(a, c);
  else record_read(a, c);
}

void check_cells(const Access& a, Shadow& shadow, uint32_t generation, bool shared) {
  size_t first = (a.address - shadow.base) / granule, last = (a.address + a.bytes - 1 - shadow.base) / granule;
  for (size_t i = first; i <= last; i++) {
    check_cell(a, shadow.cells[i], generation, shared);
    if (shared) continue;
    if (a.kind != AccessKind::read) set_written(shadow, i);
    else if (!is_written(shadow, i)) report_once(Check::uninitialised_device, a, "a read of bytes that were never written");
  }
}

// Local variables, and what threadIdx and the like read.
bool is_own(const Access& a) {
  bool on_stack = (a.address & ~(stack_bytes - 1)) == (reinterpret_cast<uintptr_t>(&a.thread) & ~(stack_bytes - 1));
  return on_stack || a.address - reinterpret_cast<uintptr_t>(&a.block.geometry) < sizeof(Geometry);
}

void check_access(const Access& a) {
  Block& b = a.block;
  if (is_own(a)) return;
  if (in_static_shared(b, a.address)) {
    Shadow* s = shadow_of_range(checker.static_shared, b.static_begin, b.static_end);
    if (s != nullptr) check_cells(a, *s, checker.block, true);
    return;
  }
  if (in_dynamic_shared(b, a.address)) {
    Shadow* s = shadow_of_range(checker.dynamic_shared, b.dynamic_limit - dynamic_shared_limit, b.dynamic_limit);
    if (s != nullptr) check_cells(a, *s, checker.block, true);
    return;
  }
  if (Allocation* allocation = find_allocation(a.address)) {
    if (a.bytes > allocation->end() - a.address) illegal_access(b, a.thread, allocation->end(), "access reaches");
    if (allocation->shadow != nullptr) check_cells(a, *allocation->shadow, checker.launch, false);
    return;
  }
  bool constant = a.address >= checker.image_begin && a.address < checker.image_end;
  if (!constant && !is_pinned(a.address, a.bytes)) illegal_access(b, a.thread, a.address, "access to");
}

// Calls the function with the shadow and the granules of each line, where the line is device memory.
template <class Function>
void for_each_line(const Lines& lines, Function function) {
  if (!checker.instrumented || lines.bytes == 0) return;
  for (size_t i = 0; i < lines.count; i++) {
    uintptr_t begin = lines.address + i * lines.step;
    Allocation* a = find_allocation(begin);
    if (a == nullptr || a->shadow == nullptr) continue;
    function(*a->shadow, (begin - a->begin) / granule, (begin - a->begin + lines.bytes - 1) / granule, i);
  }
}

Block* active_block() {
  if (!checker.instrumented) return nullptr;
  Worker* w = this_worker();
  return w != nullptr && w->in_kernel ? &w->block : nullptr;
}

}  // namespace

bool race_checking() { return checker.instrumented; }

void race_new_launch() {
  if (!checker.instrumented) return;
  if (checker.image_end == 0) dl_iterate_phdr(&find_own_image, nullptr);
  checker.launch++;
  checker.reported.clear();
}

void race_new_block() { checker.block++; }

void race_set_instrumented() { checker.instrumented = true; }

Shadow* make_shadow(uintptr_t begin, size_t bytes) {
  if (!checker.instrumented) return nullptr;
  size_t granules = bytes / granule + 2;
  auto* cells = static_cast<Cell*>(map_zeros(granules * sizeof(Cell)));
  auto* written = static_cast<uint8_t*>(map_zeros(granules / 8 + 1));
  return cells == nullptr || written == nullptr ? nullptr : new Shadow{begin, granules, cells, written};
}

void release_shadow(Shadow* shadow) {
  if (shadow == nullptr) return;
  munmap(shadow->cells, shadow->granules * sizeof(Cell));
  munmap(shadow->written, shadow->granules / 8 + 1);
  delete shadow;
}

void note_written(const Lines& lines) {
  for_each_line(lines, [](Shadow& s, size_t first, size_t last, size_t) {
    for (size_t i = first; i <= last; i++) set_written(s, i);
  });
}

void note_copied(const Lines& to, const Lines& from) {
  for_each_line(to, [&](Shadow& target, size_t first, size_t last, size_t line) {
    for_each_line({from.address + line * from.step, from.bytes, 1, 0}, [&](Shadow& source, size_t source_first, size_t, size_t) {
      for (size_t i = first; i <= last; i++)
        if (is_written(source, source_first + i - first)) set_written(target, i);
    });
  });
}

void require_written(const Lines& lines, const std::string& what) {
  bool reported = false;
  for_each_line(lines, [&](Shadow& s, size_t first, size_t last, size_t) {
    for (size_t i = first; i <= last && !reported; i++) {
      if (is_written(s, i)) continue;
      report(Check::uninitialised_device, what + " reads bytes that were never written, " + describe_address(s.base + i * granule));
      reported = true;
    }
  });
}

void note_access(Block& b, const Thread& t, const void* address, unsigned bytes, AccessKind kind) {
  if (checker.instrumented) check_access({b, t, reinterpret_cast<uintptr_t>(address), bytes, kind, __builtin_return_address(0)});
}

void instrumented_access(const void* address, unsigned bytes, AccessKind kind, bool aligned, const void* site) {
  Block* b = active_block();
  if (b == nullptr) return;
  Thread& t = current_thread();
  if (aligned) require_aligned(*b, t, address, bytes, "access");
  check_access({*b, t, reinterpret_cast<uintptr_t>(address), bytes, kind, site});
}

void instrumented_failure(Check check, CUresult why, const std::string& what) {
  Block* b = active_block();
  if (b == nullptr) return;
  report(check, describe_place(*b, &current_thread()) + ": " + what);
  fail_block(*b, why);
}

}  // namespace dicache_host
