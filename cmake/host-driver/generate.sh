#!/bin/sh
# Writes the translation unit for one kernel file: its text compiled for the host, its kernels, and its source to compare with at run time.
#   generate.sh <compiler> <include folder of the host driver> <kernel file> <unit to write>
set -eu
compiler=$1 include=$2 kernel=$3 unit=$4
folder=$(cd "$(dirname "$kernel")" && pwd)
file=$(basename "$kernel")

# After preprocessing there are no comments, and kernels that macros define are there like any other.
text=$("$compiler" -x c++ -std=c++20 -E -P -DDICACHE_HOST_SCAN -I"$include" "$kernel" | tr '\n' ' ')
# Name and launch bounds of each: "name" or "name bounds".
kernels=$(printf '%s' "$text" |
  grep -oE '__global__[[:space:]]+(void[[:space:]]+)?(__launch_bounds__[[:space:]]*\([^)]*\)[[:space:]]*)?(void[[:space:]]+)?[A-Za-z_][A-Za-z0-9_]*[[:space:]]*\(' |
  sed -E 's/__global__//; s/(^|[[:space:]])void[[:space:]]/ /g; s/[[:space:]]*\($//; s/__launch_bounds__[[:space:]]*\(([^)]*)\)[[:space:]]*([A-Za-z0-9_]+)/\2 \1/; s/^[[:space:]]+//' || true)

# The file itself and everything it includes, each once.
includes=$("$compiler" -x c++ -std=c++20 -MM -DDICACHE_HOST_SCAN -I"$include" "$kernel" | sed -E 's/^[^:]*://; s/\\$//' | tr -s ' \n' '\n\n' |
  grep '\.cuh$' | sort -u || true)

{
  echo "// Made by generate.sh from $file."
  echo '#include "cuda_host.h"'
  # A namespace of its own: two kernel files may use one name for different things.
  echo 'namespace {'
  echo "#include \"$folder/$file\""
  echo '}  // namespace'
  n=0
  for source in "$folder/$file" $includes; do
    cat <<END
asm(R"(
  .pushsection .rodata
  text_$n: .incbin "$source"
  text_end_$n: .popsection)");
extern const char text_begin_$n[] asm("text_$n"), text_end_$n[] asm("text_end_$n");
END
    n=$((n + 1))
  done
  echo 'namespace {'
  echo 'const dicache_host::SourceText texts[] = {'
  n=0
  for source in "$file" $includes; do
    echo "  {\"$(basename "$source")\", text_begin_$n, text_end_$n},"
    n=$((n + 1))
  done
  echo '};'
  echo 'constexpr dicache_host::Kernel kernels[] = {'
  printf '%s\n' "$kernels" | while read -r name bounds; do
    [ -n "$name" ] && echo "  dicache_host::describe<&$name>(\"$name\", dicache_host::first_bound($bounds)),"
  done
  echo '  {}};'
  echo "const dicache_host::Registration registration{{texts, $n, kernels, sizeof kernels / sizeof *kernels - 1}};"
  echo '}  // namespace'
} > "$unit.new"
mv "$unit.new" "$unit"
