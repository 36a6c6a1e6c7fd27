#!/usr/bin/env bash
# Builds the host driver (cmake/): the library that lets the CUDA backend run on the processor, for tests and --backend cuda-host.
#   tools/build-host-driver.sh [--plain] [folder]      default .native/host-driver
# Uses CMake when it is there, g++ alone otherwise or with --plain. Builds only what changed.
set -euo pipefail
cd "$(dirname "$0")/.."

plain=; [ "${1:-}" = --plain ] && { plain=1; shift; }
out=${1:-.native/host-driver}
jobs=$(nproc 2>/dev/null || echo 2)
compiler=${CXX:-g++}
command -v "$compiler" >/dev/null || { echo "The host driver is not built: there is no C++ compiler (g++ 11 or newer); the tests that need it are skipped."; exit 77; }
mkdir -p "$out"
out=$(cd "$out" && pwd)

if [ -z "$plain" ] && command -v cmake >/dev/null && { command -v ninja || command -v make; } >/dev/null; then
  # CMake refuses a cache that was made for another place: a copied or moved tree starts anew.
  places='s/^CMAKE_HOME_DIRECTORY:INTERNAL=//p; s/^CMAKE_CACHEFILE_DIR:INTERNAL=//p'
  cached=$(sed -n "$places" "$out/build/CMakeCache.txt" 2>/dev/null || true)
  [ -z "$cached" ] || [ "$(sort <<<"$cached")" = "$(printf '%s\n' "$PWD/cmake" "$out/build" | sort)" ] || rm -rf "$out/build"
  generator=(); command -v ninja >/dev/null && generator=(-G Ninja)
  cmake -S cmake -B "$out/build" "${generator[@]}" -DCMAKE_CXX_COMPILER="$compiler" -DOUTPUT="$out" --log-level=WARNING >"$out/configure.log" ||
    { cat "$out/configure.log" >&2; exit 1; }
  cmake --build "$out/build" -j "$jobs" >"$out/build.log" 2>&1 || { cat "$out/build.log" >&2; exit 1; }
  grep -E 'warning:' "$out/build.log" || true
  exit 0
fi

source=$PWD/cmake/host-driver
common=(-std=gnu++20 -O2 -g1 -ffp-contract=off -fPIC -fvisibility=hidden -Wall -Wextra -I"$source/include")
kernel_flags=(-Wno-unknown-pragmas -Wno-unused-function -fstack-clash-protection)
race_flags=(-fsanitize=thread,bounds,alignment)
work=$out/plain
mkdir -p "$work"

# compile <source> <object> <flags...>: unless the object is newer than all it was made of and was made by the same command.
compile() {
  local from=$1 object=$2; shift 2
  local command="$compiler $* -MMD -MF $object.d -c $from -o $object"
  if [ -e "$object" ] && [ "$(cat "$object.command" 2>/dev/null)" = "$command" ]; then
    local fresh=1 file
    for file in $(sed -E 's/^[^:]*: *//; s/\\$//' "$object.d" 2>/dev/null); do
      [ -e "$file" ] && [ ! "$file" -nt "$object" ] || { fresh=; break; }
    done
    [ -n "$fresh" ] && return 0
  fi
  $command || return 1
  printf '%s' "$command" >"$object.command"
}

failed=$work/failed; rm -f "$failed"
# Runs a compilation in the background, never more than there are processors.
start() {
  while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n || true; done
  { compile "$@" || touch "$failed"; } &
}

runtime=()
mkdir -p "$work/runtime"
cmp -s "$source/standard.h" "$work/runtime/standard.h" || cp "$source/standard.h" "$work/runtime/standard.h"
compile "$work/runtime/standard.h" "$work/runtime/standard.h.gch" "${common[@]}" -x c++-header
for file in "$source"/*.cpp; do
  object=$work/runtime/$(basename "$file" .cpp).o
  start "$file" "$object" "${common[@]}" -I"$work/runtime" -include standard.h
  runtime+=("$object")
done

# kernels <library> <folder>
kernels() {
  local name=$1 folder=$2 kernel unit
  mkdir -p "$work/$name"
  : >"$work/$name/objects"
  for kernel in "$folder"/*.cu; do
    [ -e "$kernel" ] || continue
    unit=$work/$name/$(basename "$kernel" .cu)
    sh "$source/generate.sh" "$compiler" "$source/include" "$kernel" "$unit.made"
    # Left alone when it has not changed, so that it is not compiled again.
    cmp -s "$unit.made" "$unit.cpp" || cp "$unit.made" "$unit.cpp"
    start "$unit.cpp" "$unit.o" "${common[@]}" "${kernel_flags[@]}"
    start "$unit.cpp" "$unit.race.o" "${common[@]}" "${kernel_flags[@]}" "${race_flags[@]}"
    echo "$unit" >>"$work/$name/objects"
  done
}
kernels dicache_cuda_host "$PWD/kernels"
kernels dicache_cuda_host_test "$PWD/tests/host-driver"
wait
[ ! -e "$failed" ] || exit 1

# Written beside and moved into place, so that a running program keeps the old one.
link() {
  local library=$1; shift
  "$compiler" -shared -Wl,-z,nodelete -Wl,--no-undefined -o "$out/$library.new" "${runtime[@]}" "$@" -pthread -ldl
  mv "$out/$library.new" "$out/$library"
}
for name in dicache_cuda_host dicache_cuda_host_test; do
  mapfile -t units <"$work/$name/objects"
  [ "${#units[@]}" -gt 0 ] || continue
  link "lib$name.so" "${units[@]/%/.o}"
  link "lib${name}_race.so" "${units[@]/%/.race.o}"
done
