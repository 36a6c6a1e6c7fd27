#!/usr/bin/env bash
# One call on a machine with an NVIDIA GPU and nothing else of ours: golden cases and operation tests on the GPU, then the benchmarks, then
# what a user would pick instead (PyTorch), all in one run. Writes JSON with device, driver, clocks, commit and date.
#   bench/gpu/run.sh [archive] [results folder]      default out/gpu/dicache-gpu.tar.xz, bench/results
# Needs the NVIDIA driver, NVRTC and cuBLASLt (12 or 13). PyTorch is optional: its part is skipped with a reason. Takes under 9 minutes.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
archive=$(realpath "${1:-$here/../../out/gpu/dicache-gpu.tar.xz}")
results=${2:-$here/../results}
mkdir -p "$results" && results=$(cd "$results" && pwd)
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
tar xJf "$archive" -C "$work" || { echo "run.sh: $archive cannot be unpacked: make it with bench/gpu/publish.sh" >&2; exit 1; }
cd "$work"
# Libraries of a toolkit or of Python packages, wherever they are.
for folder in /usr/local/cuda/lib64 /usr/local/cuda/targets/x86_64-linux/lib $(python3 -c 'import site; print(" ".join(site.getsitepackages()))' 2>/dev/null | xargs -n1 -I{} find {} -path '*nvidia*' -name 'libnvrtc.so*' -o -path '*nvidia*' -name 'libcublasLt.so*' 2>/dev/null | xargs -r -n1 dirname | sort -u); do
  export DICACHE_CUDA_LIBRARIES="${DICACHE_CUDA_LIBRARIES:+$DICACHE_CUDA_LIBRARIES:}$folder"
done
export DICACHE_KERNEL_CACHE=$work/kernel-cache
dicache=$work/cli/dicache
failed=0
step() { # name, command...: output to a file, the last lines shown, a failure noted
  local name=$1; shift
  local start=$SECONDS
  if timeout 240 "$@" > "$results/$name" 2> "$results/$name.err"; then echo "ok   $name ($((SECONDS - start)) s)"; else echo "FAIL $name ($((SECONDS - start)) s)"; tail -5 "$results/$name.err"; failed=1; fi
  [ -s "$results/$name.err" ] || rm -f "$results/$name.err"
}

nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.max.sm,clocks.mem,power.limit,memory.total --format=csv,noheader > "$results/device.csv" || { echo "run.sh: no NVIDIA GPU is here" >&2; exit 4; }
printf '{"device": "%s", "commit": "%s", "date": "%s"}\n' "$(head -1 "$results/device.csv")" "$(cat commit)" "$(date -u +%FT%TZ)" > "$results/machine.json"
cat "$results/machine.json"

step devices.json "$dicache" devices --json
for family in dicache-math dicache-controller flux-tiny wan-tiny hunyuan-tiny; do
  step "verify-$family.json" "$dicache" verify "golden/$family" --backend cuda --json
done
DICACHE_SYNC=1 step op-tests.txt "$work/op-tests/DiCacheNative.OpTests" -noColor
step image.json "$dicache" generate -m models/shapes-flux -p "a red circle left of a blue square" -s 1 --cache-mode dicache --backend cuda -o "$results/image.png" --json -q
for preset in flux-1024 wan-1.3b-480p wan-14b-720p hunyuan-540p; do
  step "probe-$preset.json" "$dicache" bench probe --preset "$preset" --backend cuda --rounds 9 --json
done
for preset in flux-1024 wan-1.3b-480p; do
  step "kernels-$preset.json" "$dicache" bench kernels --preset "$preset" --backend cuda --rounds 9 --json
done
step model-flux-1024.json "$dicache" bench model --preset flux-1024 --random-weights --backend cuda --rounds 5 --json
if python3 -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null; then
  step torch.json python3 "$here/torch_compare.py"
else
  echo "skip torch.json: PyTorch with CUDA is not here"
fi
exit $failed
