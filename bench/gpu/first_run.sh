#!/usr/bin/env bash
# The first minutes on a GPU, most telling first: does it start, do golden cases and operation tests hold, the figures everything else is
# judged by, counters of the attention kernel, and what a user would pick instead (PyTorch). Inside a budget: every step has a limit, and
# one that no longer fits is skipped and said so. Gives one archive of results; its summary is printed last.
#   BUDGET=420 bench/gpu/first_run.sh [archive] [results]      default out/gpu/dicache-gpu.tar.xz, out/gpu/first-run.tar.gz
#   SMALL=1 bench/gpu/first_run.sh                             the same steps at small shapes: see bench/gpu/dry_run.sh
# Needs the NVIDIA driver, and NVRTC and cuBLASLt 12 or 13: of the system, of Python packages, or in DICACHE_CUDA_LIBRARIES. Ends with 1
# when a step failed.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
budget=${BUDGET:-420} small=${SMALL:-}
archive=${1:-$root/out/gpu/dicache-gpu.tar.xz} results=${2:-$root/out/gpu/first-run.tar.gz}
work=$(mktemp -d) r=$(mktemp -d)
failed=0
finish() {
  echo "$SECONDS of $budget s" >> "$r/summary.txt"
  mkdir -p "$(dirname "$results")" && tar czf "$results" -C "$r" . && echo "first_run.sh: results are in $results"
  cat "$r/summary.txt"
  rm -rf "$work" "$r"
  exit "$failed"
}
say() { echo "$1" >> "$r/summary.txt"; echo "$1" >&2; }
die() { say "FAIL $1"; failed=${2:-1}; finish; }
# step NAME SECONDS COMMAND...: its output becomes a file; a failure is a line of the summary with the last words of the command.
step() {
  local name=$1 most=$2 start=$SECONDS code words
  shift 2
  [ -z "$small" ] || most=$((20 * most)) # nothing is measured there, and the machine may be busy
  if [ $((SECONDS + most)) -gt "$budget" ]; then say "skip $name: its $most s no longer fit"; return 1; fi
  timeout -k 5 "$most" "$@" > "$r/$name" 2> "$r/$name.err"
  code=$?
  [ -s "$r/$name.err" ] || rm -f "$r/$name.err"
  if [ $code -eq 0 ]; then say "ok   $name ($((SECONDS - start)) s)"; return 0; fi
  failed=1
  words=$(cat "$r/$name" "$r/$name.err" 2>/dev/null | grep -v '^ *$' | tail -n 2 | tr '\n' ' ' | cut -c1-400)
  say "FAIL $name (exit $code after $((SECONDS - start)) s): $words"
  return 1
}

tar xJf "$archive" -C "$work" 2>/dev/null || die "$archive cannot be unpacked: make it with bench/gpu/publish.sh" 1
cd "$root"
export DICACHE_KERNEL_CACHE=$work/kernels
dicache=$work/app/cli/dicache tests=$work/app/tests/DiCacheNative.CudaTests
asked=name,driver_version,clocks.sm,clocks.max.sm,clocks.mem,power.limit,memory.total,mig.mode.current
nvidia-smi --query-gpu=$asked --format=csv,noheader > "$r/device.csv" 2>&1 ||
  die "no NVIDIA GPU is here: $(head -n 1 "$r/device.csv" | cut -c1-200)" 4
printf '{"device": "%s", "commit": "%s", "date": "%s"}\n' \
  "$(head -n 1 "$r/device.csv")" "$(cat "$work/app/commit")" "$(date -u +%FT%TZ)" > "$r/machine.json"
say "$(cat "$r/machine.json")"

# Libraries that came with Python packages (PyTorch brings both), each folder once.
if [ -z "${DICACHE_CUDA_LIBRARIES:-}" ]; then
  for site in $(python3 -c 'import site; print(*site.getsitepackages())' 2>/dev/null); do
    for folder in "$site"/nvidia/*/lib "$site"/nvidia/*/*/lib; do
      compgen -G "$folder/libnvrtc.so.1?" > /dev/null || compgen -G "$folder/libcublasLt.so.1?" > /dev/null || continue
      DICACHE_CUDA_LIBRARIES=${DICACHE_CUDA_LIBRARIES:+$DICACHE_CUDA_LIBRARIES:}$folder
    done
  done
fi
export DICACHE_CUDA_LIBRARIES=${DICACHE_CUDA_LIBRARIES:-}
echo "$DICACHE_CUDA_LIBRARIES" > "$r/libraries.txt"
if [ -n "$small" ]; then
  model=flux-small kernels=small probes=small rounds=1
else
  model=flux-1024 kernels=flux-1024 probes="flux-1024 wan-1.3b-480p" rounds=9
fi

# 1. Does it start, and do its parts agree with the specification?
step devices.json 40 "$dicache" devices --json
verify() { step "$1" "$2" "$dicache" verify "tests/golden/$3" --backend cuda --json; }
verify verify-flux-tiny.json 60 flux-tiny ||
  CUBLASLT_LOG_LEVEL=2 CUBLASLT_LOG_FILE=$r/cublaslt.log DICACHE_SYNC=1 verify verify-flux-tiny-sync.json 60 flux-tiny
if [ -n "$small" ]; then
  export DICACHE_TEST_FLOPS=2e6
else
  step compile.txt 60 "$tests" -noColor -class DiCacheNative.Cuda.Tests.KernelCompileTests
fi
DICACHE_SYNC=1 step op-tests.txt 120 "$tests" -noColor -class DiCacheNative.Cuda.Tests.CudaOpTests
if grep -q 'Skipped: [1-9]' "$r/op-tests.txt" 2>/dev/null; then
  failed=1
  say "FAIL op-tests.txt: tests were skipped: $(grep -A1 SKIP "$r/op-tests.txt" | tail -n 1 | cut -c1-200)"
fi
# 2. The figures.
step model.json 120 "$dicache" bench model --preset "$model" --backend cuda --rounds "$rounds" --json
step kernels.json 60 "$dicache" bench kernels --preset "$kernels" --backend cuda --rounds "$rounds" --json
for p in $probes; do step "probe-$p.json" 60 "$dicache" bench probe --preset "$p" --backend cuda --rounds "$rounds" --json; done
# 3. Why: counters of the attention kernel, where the machine lets ncu read them.
if [ -z "$small" ] && command -v ncu > /dev/null; then
  step ncu-attention.txt 60 ncu --clock-control none -k regex:attention_bf16_128 -c 1 --set full --import-source no \
    "$dicache" bench kernels --preset flux-1024 --backend cuda --rounds 1
fi
# 4. The other golden cases, a memory checker on one of them, and PyTorch.
for family in dicache-math wan-tiny hunyuan-tiny; do verify "verify-$family.json" 40 "$family"; done
if [ -z "$small" ] && command -v compute-sanitizer > /dev/null; then
  step memcheck.txt 60 compute-sanitizer --tool memcheck --error-exitcode 9 "$dicache" verify tests/golden/dicache-math --backend cuda
fi
if [ -n "$small" ] || ! python3 -c 'import torch; assert torch.cuda.is_available()' 2> /dev/null; then
  say "skip torch.json: PyTorch with CUDA is not here"
else
  step torch.json 120 python3 "$here/torch_compare.py"
fi
finish
