#!/usr/bin/env bash
# Builds the kernels with AddressSanitizer and UBSan and runs the native tests at every level.
set -euo pipefail
cd "$(dirname "$0")/../.."
cmake -S . -B build/sanitize -DCENTROIDS_SANITIZE=ON -DCENTROIDS_WERROR=ON -DCMAKE_BUILD_TYPE=RelWithDebInfo >/dev/null
cmake --build build/sanitize --parallel 2
build/sanitize/centroids_native_tests
