#!/usr/bin/env bash
# Puts oneDNN (Debian's libdnnl2) into a folder, without root and without touching the package state of the system. Optional: without it
# the managed matrix products are used. Ends with success and one sentence when it cannot be had.
#   tools/get-onednn.sh [folder]          default .native/onednn
set -euo pipefail

out=${1:-.native/onednn}
[ -e "$out/libdnnl.so.2" ] && exit 0
skip() { echo "oneDNN is not fetched: $1; the managed matrix products are used."; exit 0; }
ldconfig -p 2>/dev/null | grep -q 'libdnnl\.so\.2' && exit 0
command -v apt-get >/dev/null && command -v dpkg >/dev/null || skip "apt-get and dpkg are needed to unpack it"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{lists/partial,cache/archives/partial,deb,tree}
apt=(-qq -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root)
apt-get "${apt[@]}" update >/dev/null 2>&1 || skip "the package lists could not be read"
(cd "$work/deb" && apt-get "${apt[@]}" download libdnnl2 ocl-icd-libopencl1 libgomp1 >/dev/null 2>&1) || skip "this system has no package libdnnl2"
for package in "$work"/deb/*.deb; do dpkg -x "$package" "$work/tree"; done
mkdir -p "$out"
find "$work/tree" -name 'libOpenCL.so*' -exec cp -a {} "$out"/ \;
find "$work/tree" -name 'libgomp.so*' -exec cp -a {} "$out"/ \;
find "$work/tree" -name 'libdnnl.so*' -exec cp -a {} "$out"/ \;
