#!/usr/bin/env bash
# Everything that a day with a GPU needs, without one: packs, unpacks and runs bench/gpu/first_run.sh at small shapes on the host driver,
# which stands under the names of NVIDIA's libraries, with a stand-in for nvidia-smi. Part of ./build.sh test, so that the scripts do not
# rot. Takes about two minutes.
#   bench/gpu/dry_run.sh      Skipped, with the reason, where the host driver is not built.
set -euo pipefail
cd "$(dirname "$0")/../.."
driver=$PWD/.native/host-driver/libdicache_cuda_host.so
! command -v "${CXX:-g++}" > /dev/null || tools/build-host-driver.sh # of the kernels that are packed now
[ -e "$driver" ] || { echo "dry_run.sh: skipped: $driver is not there: tools/build-host-driver.sh builds it (Linux, g++)"; exit 0; }
for tool in xz tar timeout; do command -v $tool > /dev/null || { echo "dry_run.sh: skipped: $tool is not there"; exit 0; }; done
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
mkdir "$work/nvidia" "$work/bin"
for name in libcuda.so.1 libnvrtc.so.12 libcublasLt.so.12; do ln -s "$driver" "$work/nvidia/$name"; done
printf '#!/bin/sh\necho "host driver, 0, 0 MHz, 0 MHz, 0 MHz, 0 W, 4096 MiB, Disabled"\n' > "$work/bin/nvidia-smi"
chmod +x "$work/bin/nvidia-smi"
bench/gpu/publish.sh "$work/pack" > "$work/publish.log" 2>&1 || { cat "$work/publish.log" >&2; exit 1; }
tail -n 1 "$work/publish.log"
export PATH=$work/bin:$PATH LD_LIBRARY_PATH=$work/nvidia DICACHE_CUDA_LIBRARIES=$work/nvidia DICACHE_HOST_QUIET=1
unset DICACHE_CUDA_HOST DICACHE_SYNC
export SMALL=1 BUDGET=${BUDGET:-14400}
bench/gpu/first_run.sh "$work/pack/dicache-gpu.tar.xz" "$work/first-run.tar.gz" > "$work/out" 2> "$work/err" || { cat "$work/out"; exit 1; }
cat "$work/out"
# What came back must hold what was asked for.
mkdir "$work/results" && tar xzf "$work/first-run.tar.gz" -C "$work/results"
for file in {machine,devices,model,kernels,probe-small,verify-flux-tiny,verify-wan-tiny,verify-hunyuan-tiny}.json {summary,op-tests}.txt; do
  [ -s "$work/results/$file" ] || { echo "dry_run.sh: the results lack $file" >&2; exit 1; }
done
! grep -E '^(FAIL|skip (devices|verify|op-tests|model|kernels|probe))' "$work/results/summary.txt" || exit 1
grep -q 'Total: 2, Errors: 0, Failed: 0, Skipped: 0' "$work/results/op-tests.txt" || { tail -n 5 "$work/results/op-tests.txt"; exit 1; }
