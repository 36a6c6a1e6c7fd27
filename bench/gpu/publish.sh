#!/usr/bin/env bash
# Packs what a GPU machine without .NET and without network needs: the command line and the operation tests, self-contained, and the
# golden data. The archive is out/gpu/dicache-gpu.tar.xz; bench/gpu/run.sh unpacks and runs it there.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=out/gpu
rm -rf "$out" && mkdir -p "$out/tree"
publish() { # project, folder
  dotnet publish "$1" -c Release -r linux-x64 --self-contained -p:Carry=true -p:PublishTrimmed=true -p:TrimMode=partial \
    -p:RestoreLockedMode=false -p:RestorePackagesWithLockFile=false -p:TreatWarningsAsErrors=false -p:BaseIntermediateOutputPath="$PWD/$out/obj/" \
    -o "$out/tree/$2" --nologo -v q
}
publish src/DiCacheNative.Cli cli
publish tests/DiCacheNative.OpTests op-tests
cp -r tests/golden models "$out/tree/"
git rev-parse HEAD > "$out/tree/commit"
tar cJf "$out/dicache-gpu.tar.xz" -C "$out/tree" .
du -h "$out/dicache-gpu.tar.xz"
