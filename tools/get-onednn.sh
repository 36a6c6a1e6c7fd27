#!/usr/bin/env bash
# Puts oneDNN 2.6.3 (Debian's libdnnl2) and what it stands on into a folder, without root and without touching the package state of the
# system; the build copies it from .native/onednn beside each program. Optional: without it the managed matrix products are used. Ends with
# success and one sentence when it cannot be had.
#   tools/get-onednn.sh [folder]          default .native/onednn
set -euo pipefail

# Package, version and SHA-256 of the file, and the library wanted of it. Nothing else is unpacked.
packages=(
  "libdnnl2 2.6.3-1 9a8c4d2a880ac44175e531f55b9618b6539584c9fc5fd9eaf2070b6099a819bd libdnnl.so.2"
  "ocl-icd-libopencl1 2.3.1-1 ddd8509c0430545173752bed272c7f44f8b5f7d125265b20456207aaefbb52c8 libOpenCL.so.1"
  "libgomp1 12.2.0-14+deb12u1 48fec46bda7f5b1638b9e959889bfbc20491247d402d120bb152687eb48143d7 libgomp.so.1"
)

out=${1:-.native/onednn}
skip() { echo "oneDNN is not fetched: $1; the managed matrix products are used."; exit 0; }
[ -f "$out/libdnnl.so.2" ] && [ ! -L "$out/libdnnl.so.2" ] && exit 0
ldconfig -p 2>/dev/null | grep -q 'libdnnl\.so\.2' && exit 0
for tool in apt-get dpkg sha256sum; do command -v "$tool" >/dev/null || skip "$tool is needed to fetch it"; done
[ "$(dpkg --print-architecture)" = amd64 ] || skip "it is pinned for amd64 only"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{lists/partial,cache/archives/partial,deb,tree,libraries}
apt=(-qq -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root)
apt-get "${apt[@]}" update >/dev/null 2>&1 || skip "the package lists could not be read"
for line in "${packages[@]}"; do
  read -r package version sum library <<<"$line"
  (cd "$work/deb" && apt-get "${apt[@]}" download "$package=$version" >/dev/null 2>&1) || skip "this system offers no $package $version"
  file=$(echo "$work/deb/${package}_"*.deb)
  echo "$sum  $file" | sha256sum --check --status || skip "$package $version is not the file that was expected"
  dpkg -x "$file" "$work/tree"
  # The file behind the name that the loader asks for: no links, no manual pages.
  cp -L "$(find "$work/tree/usr/lib" -name "$library" | head -n 1)" "$work/libraries/$library"
done
rm -rf "$out"
mkdir -p "$out"
cp "$work"/libraries/* "$out"/
