#!/usr/bin/env bash
# Puts NVIDIA's run-time compiler (NVRTC 12.4) into a folder, without root and without touching the package state of the system.
# Needs Debian's apt-get and dpkg; the mirror is the one this machine already uses. With NVRTC there, the kernels can be compiled and
# their register and shared-memory budgets checked on a machine that has no GPU.
#   tools/get-nvrtc.sh [folder]          default .native/nvrtc
set -euo pipefail

# Package, version and SHA-256 of the file.
packages=(
  "libnvrtc12 12.4.127~12.4.1-2 db76acbd9ad53eae57291114b615ed21551592dee0b1160990a33066d86c251c"
  "libnvrtc-builtins12.4 12.4.127~12.4.1-2 c4f9ea43c3e176a9f46b50718d546adb0dc7344432cd7d8b1483692e0416d24c"
)

out=${1:-.native/nvrtc}
[ -e "$out/libnvrtc.so.12" ] && exit 0

say() { echo "get-nvrtc: $1" >&2; exit 1; }
command -v apt-get >/dev/null && command -v dpkg >/dev/null || say "apt-get and dpkg are needed; install CUDA's NVRTC 12 or 13 by hand instead"
[ "$(dpkg --print-architecture)" = amd64 ] || say "only the amd64 package is known to this script"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{lists/partial,cache/archives/partial,sources,deb,tree}

# The first source of this machine with the suite and component that carry NVRTC 12 in place of its own.
sources=/etc/apt/sources.list.d/debian.sources
if [ -r "$sources" ]; then
  awk 'BEGIN { RS = "" } NR == 1' "$sources" |
    sed -E 's/^Suites:.*/Suites: trixie/; s/^Components:.*/Components: non-free/' > "$work/sources/nvrtc.sources"
elif [ -r /etc/apt/sources.list ] && grep -q '^deb ' /etc/apt/sources.list; then
  grep -m 1 '^deb ' /etc/apt/sources.list |
    sed -E 's/^(deb +(\[[^]]*\] +)?[^ ]+) .*/\1 trixie non-free/' > "$work/sources/nvrtc.list"
else
  say "no Debian package source was found on this machine"
fi

apt=(-qq -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$work/sources"
     -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root)
apt-get "${apt[@]}" update || say "the package lists could not be read"
for line in "${packages[@]}"; do
  read -r package version sum <<<"$line"
  (cd "$work/deb" && apt-get "${apt[@]}" download "$package=$version" >/dev/null 2>&1) || say "this system offers no $package $version"
  file=$(echo "$work/deb/${package}_"*.deb)
  echo "$sum  $file" | sha256sum --check --status || say "$package $version is not the file that was expected"
  dpkg -x "$file" "$work/tree"
done

# Moved into place last, so that an interrupted run leaves nothing that looks complete.
mkdir -p "$out"
cp -a "$work"/tree/usr/lib/x86_64-linux-gnu/libnvrtc-builtins* "$out"/
cp -a "$work"/tree/usr/lib/x86_64-linux-gnu/libnvrtc.so* "$out"/
echo "get-nvrtc: NVRTC is in $out"
