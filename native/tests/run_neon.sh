#!/usr/bin/env bash
# Runs the native tests of the NEON kernels: cross-compiled, under an emulator, unless this machine
# has NEON itself. Needs a compiler for aarch64 and qemu-user (Debian: g++-aarch64-linux-gnu
# qemu-user); --install asks apt for what is missing.
set -euo pipefail
cd "$(dirname "$0")/../.."
compiler=(-DCENTROIDS_NATIVE_TESTS=ON)
emulator=()
if [ "$(uname -m)" != aarch64 ]; then
  missing=()
  command -v aarch64-linux-gnu-g++ >/dev/null || missing+=(g++-aarch64-linux-gnu)
  command -v qemu-aarch64 >/dev/null || missing+=(qemu-user)
  if [ ${#missing[@]} -gt 0 ]; then
    if [ "${1:-}" != --install ]; then
      echo "the tests of NEON need the packages ${missing[*]}: install them" >&2
      exit 1
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
  fi
  compiler+=(-DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64
    -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++)
  emulator=(qemu-aarch64 -L /usr/aarch64-linux-gnu)
fi
cmake -S . -B build/neon "${compiler[@]}" -DCENTROIDS_WERROR=ON -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build build/neon --parallel 2
for test in centroids_native_tests centroids_seeding_test centroids_thread_pool_test; do
  "${emulator[@]}" "build/neon/$test"
done
