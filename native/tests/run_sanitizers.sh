#!/usr/bin/env bash
# Runs the native tests: the kernels and k-means++ at every level under AddressSanitizer and UBSan,
# and the thread pool under ThreadSanitizer.
set -euo pipefail
cd "$(dirname "$0")/../.."
# Older ThreadSanitizers do not start where the kernel randomizes many bits of addresses.
without_randomized_addresses=(env)
if setarch "$(uname -m)" -R true 2>/dev/null; then
  without_randomized_addresses=(setarch "$(uname -m)" -R)
fi
build() { # folder, sanitizers, target
  cmake -S . -B "$1" -DCENTROIDS_SANITIZE="$2" -DCENTROIDS_WERROR=ON -DCMAKE_BUILD_TYPE=RelWithDebInfo >/dev/null
  cmake --build "$1" --parallel 2 --target "$3"
  "${without_randomized_addresses[@]}" "$1/$3"
}
build build/sanitize address,undefined centroids_native_tests
build build/sanitize address,undefined centroids_seeding_test
build build/sanitize-threads thread centroids_thread_pool_test
