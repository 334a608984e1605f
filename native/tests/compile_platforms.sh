#!/usr/bin/env bash
# Compiles the native code for every system that it is written for, with zig's compiler, which comes
# with the headers of all of them; a warning is an error. Nothing is linked or run.
set -euo pipefail
cd "$(dirname "$0")/../.."
zig=(python -m ziglang c++)
command -v python >/dev/null || zig=(python3 -m ziglang c++)
common=(-std=c++20 -O1 -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Werror
  -ffp-contract=off -Inative -c -o /dev/null)
compile() { # target, file, flags
  "${zig[@]}" -target "$1" "${common[@]}" "${@:3}" "$2" || {
    echo "$2 does not compile for $1" >&2
    exit 1
  }
}
targets=(x86_64-linux-gnu.2.17 aarch64-linux-gnu.2.17 x86_64-linux-musl aarch64-linux-musl
  x86_64-macos aarch64-macos x86_64-windows-gnu aarch64-windows-gnu)
for target in ${TARGETS:-"${targets[@]}"}; do
  case $target in
  *linux*) system=linux ;;
  *macos*) system=macos ;;
  *) system=windows ;;
  esac
  for file in "native/platform/$system.cpp" native/{runtime,search,seeding,sums}/*.cpp native/isa/scalar.cpp; do
    compile "$target" "$file"
  done
  case $target in
  x86_64*)
    wide=(-mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma)
    compile "$target" native/isa/avx2.cpp -mavx2 -mfma
    compile "$target" native/isa/avxvnni.cpp -mavx2 -mfma -mavxvnni
    compile "$target" native/isa/avx512.cpp "${wide[@]}"
    compile "$target" native/isa/avx512vnni.cpp "${wide[@]}" -mavx512vnni
    ;;
  *)
    compile "$target" native/isa/neon.cpp
    compile "$target" native/isa/neondot.cpp -march=armv8.2-a+dotprod
    ;;
  esac
  echo "$target: compiled without warnings"
done
