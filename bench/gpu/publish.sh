#!/usr/bin/env bash
# Packs what a machine with a GPU and without .NET and network needs: the command line and the CUDA tests, self-contained. Golden data stays
# out, since the checkout has it. The archive is out/gpu/dicache-gpu.tar.xz, under 12 MB; bench/gpu/first_run.sh unpacks and runs it there.
#   bench/gpu/publish.sh [folder]      default out/gpu
set -euo pipefail
cd "$(dirname "$0")/../.."
most=12000000
out=${1:-out/gpu}
rm -rf "$out" && mkdir -p "$out" && out=$(cd "$out" && pwd)
# Each program with a trimmed runtime of its own: one folder for both would leave the first with the second's libraries. Their build files
# lie apart from those of the checkout and from each other's, and so do the lock files, which differ for one runtime alone.
publish() { # project, folder
  dotnet publish "$1" -c Release -r linux-x64 --self-contained -p:Carry=true -p:PublishTrimmed=true -p:TrimMode=partial \
    -p:SuppressTrimAnalysisWarnings=true -p:DebugType=portable -p:TreatWarningsAsErrors=false -p:RunAnalyzers=false \
    -p:NuGetLockFilePath="$out/lock/$(basename "$1").json" --artifacts-path "$out/artifacts" -o "$out/app/$2" --nologo -v q
}
publish src/DiCacheNative.Cli cli
publish tests/DiCacheNative.CudaTests tests
# No encoder or decoder runs there, nobody debugs, and the host driver is no GPU.
for left in 'libonnxruntime*' 'libdicache_cuda_host*' 'libmscord*' 'libclrgc*' 'libcoreclrtrace*' createdump '*.pdb' '*.xml'; do
  find "$out/app" -name "$left" -delete
done
git rev-parse HEAD > "$out/app/commit" 2>/dev/null || echo unknown > "$out/app/commit"
# Sorted by file name, so that what both programs have lies side by side and is packed once.
(cd "$out" && find app -type f | sed 's|.*/|&\t|' | awk -F'\t' '{ print $2 "\t" $1 $2 }' | sort | cut -f2 | tar cf - --no-recursion -T - |
  xz --lzma2=preset=6,dict=64MiB > dicache-gpu.tar.xz)
rm -rf "$out/app" "$out/artifacts" "$out/lock"
bytes=$(stat -c %s "$out/dicache-gpu.tar.xz")
echo "publish.sh: $out/dicache-gpu.tar.xz, $bytes bytes"
[ "$bytes" -le "$most" ] || { echo "publish.sh: more than the $most bytes that may travel beside the checkout" >&2; exit 1; }
