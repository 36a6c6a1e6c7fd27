// Device memory: ordinary pages, laid out so that mistakes are noticed.
//
// Every allocation has pages of its own inside a reserved range of addresses, ends (up to its alignment) at pages that cannot be touched,
// and starts after others, 64 MB of them. Addresses are not used a second time, so a freed allocation stays untouchable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace dicache_host {

struct Shadow;

struct Allocation {
  uintptr_t begin;
  size_t size;
  uintptr_t first_page, last_page_end;
  unsigned long number;
  Shadow* shadow;  // the race checker's records

  uintptr_t end() const { return begin + size; }
};

inline constexpr size_t device_alignment = 256;

// Null when the device has not that much memory left.
const Allocation* allocate_device(size_t bytes);
// False when the address is not the start of a live allocation.
bool free_device(uintptr_t address);
void* allocate_pinned(size_t bytes);
bool free_pinned(void* address);

// The live allocation that holds the address, or null.
Allocation* find_allocation(uintptr_t address);
bool in_device_range(uintptr_t address);
bool is_pinned(uintptr_t address, size_t bytes);
bool was_freed(uintptr_t address);

size_t device_bytes_used();

// "16 bytes beyond the end of allocation 3 (4096 bytes)"
std::string describe_address(uintptr_t address);

// True when [address, address + bytes) lies in one live allocation; otherwise a finding says what is wrong with it, for whom.
bool require_device(uintptr_t address, size_t bytes, const std::string& what);

// Looks at the bytes around every allocation that no one may have written; reports changes as out of bounds.
bool check_margins(const std::string& after);

void list_allocations(std::string& text, size_t& count);
void free_all_memory();

}  // namespace dicache_host
