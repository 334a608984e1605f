#!/usr/bin/env bash
# Compiles the native code for every system that it is written for, with zig's compiler, which comes
# with the headers of all of them; a warning is an error. Nothing is linked or run. What has been
# compiled once zig takes from its cache. The binding to Python is compiled with this Python's
# headers where they fit: those of Windows are others.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-python}
command -v "$python" >/dev/null || python=python3
nanobind=$("$python" -m nanobind --include_dir | tr -d '\r')
on_windows=false
! "$python" -c 'import os, sys; sys.exit(os.name != "nt")' || on_windows=true
export python nanobind
mkdir -p build/platforms
# Debian's pyconfig.h looks for the one of the system that it is compiled for.
"$python" - <<'COPY'
import shutil, sys, sysconfig
from pathlib import Path
include = Path(sysconfig.get_path("include"))
shutil.copytree(include, "build/platforms/python", dirs_exist_ok=True)
real = include.parent / getattr(sys.implementation, "_multiarch", "") / include.name / "pyconfig.h"
if real.exists():
    shutil.copy(real, "build/platforms/python/pyconfig.h")
COPY
compile() { # target, file, flags
  "$python" -m ziglang c++ -target "$1" -std=c++20 -O1 -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion \
    -Werror -ffp-contract=off -Inative -isystem "$nanobind" -isystem build/platforms/python \
    -c -o "build/platforms/$1-${2//\//-}.o" "${@:3}" "$2" || {
    echo "$2 does not compile for $1" >&2
    return 255 # xargs stops
  }
}
export -f compile
objects_for() { # target: each line is what `compile` takes
  case $1 in
  *linux*) system=linux ;;
  *macos*) system=macos ;;
  *) system=windows ;;
  esac
  for file in "native/platform/$system.cpp" native/{runtime,search,seeding,sums}/*.cpp native/isa/scalar.cpp; do
    echo "$1 $file"
  done
  case $1 in
  x86_64*)
    wide="-mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma"
    echo "$1 native/isa/avx2.cpp -mavx2 -mfma"
    echo "$1 native/isa/avxvnni.cpp -mavx2 -mfma -mavxvnni"
    echo "$1 native/isa/avx512.cpp $wide"
    echo "$1 native/isa/avx512vnni.cpp $wide -mavx512vnni"
    ;;
  *)
    echo "$1 native/isa/neon.cpp"
    echo "$1 native/isa/neondot.cpp -mcpu=generic+dotprod"
    ;;
  esac
  local for_windows=false
  [ "$system" != windows ] || for_windows=true
  if [ $for_windows = $on_windows ]; then
    echo "$1 native/api/bindings.cpp -include cstdio"
  fi
}
targets=(x86_64-linux-gnu.2.17 aarch64-linux-gnu.2.17 x86_64-linux-musl aarch64-linux-musl
  x86_64-macos aarch64-macos x86_64-windows-gnu aarch64-windows-gnu)
for target in ${TARGETS:-"${targets[@]}"}; do
  objects_for "$target" | xargs -P "$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)" -L 1 bash -c 'compile "$@"' compile
  echo "$target: compiled without warnings"
done
