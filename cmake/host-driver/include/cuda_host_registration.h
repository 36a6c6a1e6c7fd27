// How a translation unit made by generate.sh hands its kernels and their source text to the driver.
#pragma once

#include <type_traits>
#include <utility>

#include "cuda_host_threads.h"

namespace dicache_host {

struct Parameter {
  unsigned short size;
  bool pointer;
};

struct Kernel {
  const char* name;
  void (*invoke)(void** arguments);
  const Parameter* parameters;
  unsigned parameter_count;
  unsigned max_threads;
};

struct SourceText {
  const char* name;
  const char* begin;
  const char* end;
};

// One kernels/*.cu file: its own text first, then the text of the files it includes.
struct Unit {
  const SourceText* texts;
  unsigned text_count;
  const Kernel* kernels;
  unsigned kernel_count;
};

void register_unit(const Unit& unit);

template <auto Function> struct Thunk;
template <class... A, void (*Function)(A...)>
struct Thunk<Function> {
  static constexpr unsigned count = sizeof...(A);
  static constexpr Parameter parameters[count + 1] = {{sizeof(A), std::is_pointer_v<A>}..., {0, false}};

  template <size_t... I>
  __attribute__((no_sanitize("thread"))) static void call(void** arguments, std::index_sequence<I...>) {
    Function(*static_cast<std::remove_reference_t<A>*>(arguments[I])...);
  }
  __attribute__((no_sanitize("thread"))) static void invoke(void** arguments) {
    call(arguments, std::index_sequence_for<A...>{});
  }
};

inline constexpr unsigned first_bound(unsigned threads = 1024, unsigned = 0) { return threads; }

template <auto Function>
constexpr Kernel describe(const char* name, unsigned max_threads) {
  using T = Thunk<Function>;
  return {name, &T::invoke, T::parameters, T::count, max_threads};
}

struct Registration {
  explicit Registration(const Unit& unit) { register_unit(unit); }
};

}  // namespace dicache_host
