#!/usr/bin/env bash
# ./build.sh setup | build | test | demo | pack | aot | format      The work is in build.proj, shared with build.ps1.
set -euo pipefail
cd "$(dirname "$0")"
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_SKIP_FIRST_TIME_EXPERIENCE=1
command -v dotnet >/dev/null || { echo "build.sh: the .NET SDK was not found: install .NET 10 and put dotnet on the PATH." >&2; exit 1; }
case "$(dotnet --version 2>/dev/null)" in
  1[0-9].*) ;;
  *) echo "build.sh: .NET SDK 10 or newer is needed; this one is '$(dotnet --version 2>/dev/null || true)'." >&2; exit 1 ;;
esac
case "${1:-}" in
  setup) target=Setup ;;
  build) target=Build ;;
  demo) target=Demo ;;
  pack) target=Pack ;;
  format) target=Format ;;
  test) target=Test ;;
  aot) target=Aot ;;
  *) echo "usage: ./build.sh setup | build | test | demo | pack | aot | format" >&2; exit 2 ;;
esac
exec dotnet msbuild build.proj -nologo -v:m -t:"$target" "${@:2}"
