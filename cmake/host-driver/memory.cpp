#include "memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <map>
#include <vector>

#include "findings.h"
#include "options.h"
#include "race.h"

namespace dicache_host {
namespace {

constexpr size_t page = 4096;
constexpr size_t range_bytes = size_t{1} << 40;

// What an index gone wild may reach and must not find: nothing is mapped this near to an allocation, and nothing else of the process, its
// libraries and heaps, lies nearer than what a 32-bit index of 16-byte elements spans. A wilder access may still land in another live
// allocation.
constexpr size_t allocation_gap = size_t{64} << 20;
constexpr size_t range_guard = size_t{64} << 30;

// New memory and the margins hold this: a NaN in every float format, so that reading too early or too far shows in the result.
constexpr unsigned char fill = 0xFF;
constexpr size_t filled_bytes = size_t{64} << 20;  // beyond, filling would cost more than it tells

constexpr size_t remembered_frees = 4096;

struct Range {
  uintptr_t begin, cursor, end;
};

struct Freed {
  uintptr_t begin, end;
  unsigned long number;
};

struct Memory {
  std::vector<Range> ranges;
  std::map<uintptr_t, Allocation> live;
  std::deque<Freed> freed;
  std::map<uintptr_t, size_t> pinned;
  size_t used = 0;
  unsigned long count = 0;
  Allocation* last_found = nullptr;
};

Memory& memory() {
  static Memory* instance = new Memory;
  return *instance;
}

size_t round_up(size_t value, size_t to) { return (value + to - 1) / to * to; }

// Address space only: pages get memory when an allocation is made.
bool reserve(Memory& m, size_t bytes) {
  size_t size = std::max(range_bytes, bytes + 2 * range_guard);
  void* p = mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return false;
  auto begin = reinterpret_cast<uintptr_t>(p);
  m.ranges.push_back({begin, begin + range_guard, begin + size});
  return true;
}

std::string margin_text(const Allocation& a, uintptr_t changed) {
  return changed < a.begin ? std::to_string(a.begin - changed) + " bytes before allocation " + std::to_string(a.number)
                           : std::to_string(changed - a.end()) + " bytes beyond the end of allocation " + std::to_string(a.number);
}

// The first changed byte of [begin, end), at most `device_alignment` of them, or 0.
uintptr_t changed_byte(uintptr_t begin, uintptr_t end) {
  static const auto untouched = [] {
    std::array<unsigned char, device_alignment> bytes;
    bytes.fill(fill);
    return bytes;
  }();
  if (std::memcmp(reinterpret_cast<const void*>(begin), untouched.data(), end - begin) == 0) return 0;
  for (uintptr_t p = begin; p < end; p++)
    if (*reinterpret_cast<const unsigned char*>(p) != fill) return p;
  return 0;
}

bool check_margins_of(const Allocation& a, const std::string& after) {
  // Before the data only the nearest bytes are worth the time.
  uintptr_t from = std::max(a.first_page, a.begin - std::min<uintptr_t>(a.begin, 64));
  uintptr_t changed = changed_byte(from, a.begin);
  if (changed == 0) changed = changed_byte(a.end(), a.last_page_end);
  if (changed == 0) return true;
  report(Check::out_of_bounds, "a write landed " + margin_text(a, changed) + " (" + std::to_string(a.size) + " bytes); noticed " + after);
  std::memset(reinterpret_cast<void*>(from), fill, a.begin - from);
  std::memset(reinterpret_cast<void*>(a.end()), fill, a.last_page_end - a.end());
  return false;
}

void unmap(const Allocation& a) {
  size_t bytes = a.last_page_end - a.first_page;
  void* p = reinterpret_cast<void*>(a.first_page);
  // Fresh untouchable pages in place of the old ones: the memory goes back, the address stays taken.
  mmap(p, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  release_shadow(a.shadow);
}

}  // namespace

const Allocation* allocate_device(size_t bytes) {
  Memory& m = memory();
  if (bytes > options().memory || m.used > options().memory - bytes) return nullptr;
  size_t data = round_up(bytes, device_alignment), pages = round_up(data, page);
  if (m.ranges.empty() || m.ranges.back().end - m.ranges.back().cursor < pages + range_guard)
    if (!reserve(m, pages)) return nullptr;
  Range& r = m.ranges.back();
  void* p = reinterpret_cast<void*>(r.cursor);
  if (mprotect(p, pages, PROT_READ | PROT_WRITE) != 0) return nullptr;
  Allocation a{};
  a.first_page = r.cursor;
  a.last_page_end = r.cursor + pages;
  a.begin = a.last_page_end - data;
  a.size = bytes;
  a.number = ++m.count;
  a.shadow = make_shadow(a.begin, bytes);
  r.cursor += pages + allocation_gap;
  std::memset(p, fill, a.begin - a.first_page + std::min(bytes, filled_bytes));
  std::memset(reinterpret_cast<void*>(a.end()), fill, a.last_page_end - a.end());
  m.used += bytes;
  m.last_found = nullptr;
  return &(m.live[a.begin] = a);
}

bool free_device(uintptr_t address) {
  Memory& m = memory();
  auto it = m.live.find(address);
  if (it == m.live.end()) return false;
  const Allocation& a = it->second;
  check_margins_of(a, "when it was freed");
  unmap(a);
  m.freed.push_back({a.begin, a.end(), a.number});
  if (m.freed.size() > remembered_frees) m.freed.pop_front();
  m.used -= a.size;
  m.last_found = nullptr;
  m.live.erase(it);
  return true;
}

void* allocate_pinned(size_t bytes) {
  void* p = mmap(nullptr, round_up(bytes, page) + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return nullptr;
  auto begin = reinterpret_cast<uintptr_t>(p);
  mprotect(reinterpret_cast<void*>(begin + round_up(bytes, page)), page, PROT_NONE);
  memory().pinned[begin] = bytes;
  return p;
}

bool free_pinned(void* address) {
  Memory& m = memory();
  auto it = m.pinned.find(reinterpret_cast<uintptr_t>(address));
  if (it == m.pinned.end()) return false;
  munmap(address, round_up(it->second, page) + page);
  m.pinned.erase(it);
  return true;
}

Allocation* find_allocation(uintptr_t address) {
  Memory& m = memory();
  // Only the race checker asks often, and it runs one thread: it finds its answer in what was found last.
  Allocation* last = m.last_found;
  if (last != nullptr && address - last->begin < last->size) return last;
  auto it = m.live.upper_bound(address);
  if (it == m.live.begin()) return nullptr;
  Allocation& a = std::prev(it)->second;
  if (address - a.begin >= a.size) return nullptr;
  if (race_checking()) m.last_found = &a;
  return &a;
}

bool in_device_range(uintptr_t address) {
  return std::any_of(memory().ranges.begin(), memory().ranges.end(), [=](const Range& r) { return address >= r.begin && address < r.end; });
}

bool is_pinned(uintptr_t address, size_t bytes) {
  Memory& m = memory();
  auto it = m.pinned.upper_bound(address);
  if (it == m.pinned.begin()) return false;
  --it;
  return address - it->first + bytes <= it->second;
}

bool was_freed(uintptr_t address) {
  const auto& freed = memory().freed;
  return std::any_of(freed.begin(), freed.end(), [=](const Freed& f) { return address >= f.begin && address < f.end; });
}

size_t device_bytes_used() { return memory().used; }

std::string describe_address(uintptr_t address) {
  Memory& m = memory();
  auto named = [](size_t distance, const char* where, unsigned long number, size_t size) {
    return std::to_string(distance) + where + std::to_string(number) + " (" + std::to_string(size) + " bytes)";
  };
  for (const Freed& f : m.freed)
    if (address >= f.begin && address < f.end) return named(address - f.begin, " bytes into freed allocation ", f.number, f.end - f.begin);
  if (!in_device_range(address)) return address < page ? "a null pointer" : "an address that is not device memory";
  auto it = m.live.upper_bound(address);
  if (it != m.live.begin()) {
    const Allocation& before = std::prev(it)->second;
    if (address < before.end()) return named(address - before.begin, " bytes into allocation ", before.number, before.size);
    bool nearer_next = it != m.live.end() && it->first - address < address - before.end();
    if (!nearer_next) return named(address - before.end(), " bytes beyond the end of allocation ", before.number, before.size);
  }
  if (it != m.live.end()) return named(it->first - address, " bytes before allocation ", it->second.number, it->second.size);
  return "device memory that was never allocated";
}

bool require_device(uintptr_t address, size_t bytes, const std::string& what) {
  if (bytes == 0) return true;
  const Allocation* a = find_allocation(address);
  if (a != nullptr && bytes <= a->end() - address) return true;
  Check check = Check::out_of_bounds;
  if (a == nullptr && was_freed(address)) check = Check::use_after_free;
  else if (a == nullptr && !in_device_range(address)) check = Check::host_pointer;
  std::string where = describe_address(a == nullptr ? address : a->end());
  report(check, what + " covers " + std::to_string(bytes) + " bytes " + (a == nullptr ? "at " : "and reaches ") + where);
  return false;
}

bool check_margins(const std::string& after) {
  bool clean = true;
  for (const auto& entry : memory().live) clean &= check_margins_of(entry.second, after);
  return clean;
}

void list_allocations(std::string& text, size_t& count) {
  Memory& m = memory();
  for (const auto& [begin, a] : m.live)
    text += "device allocation " + std::to_string(a.number) + " (" + std::to_string(a.size) + " bytes)\n";
  for (const auto& [begin, bytes] : m.pinned) text += "pinned host allocation (" + std::to_string(bytes) + " bytes)\n";
  count += m.live.size() + m.pinned.size();
}

void free_all_memory() {
  Memory& m = memory();
  while (!m.live.empty()) free_device(m.live.begin()->first);
  while (!m.pinned.empty()) free_pinned(reinterpret_cast<void*>(m.pinned.begin()->first));
  m.freed.clear();
  m.count = 0;
}

}  // namespace dicache_host
