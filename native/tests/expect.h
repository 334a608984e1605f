// What the native tests expect of kernels, and how many times they were disappointed.
#pragma once

#include <cstddef>
#include <cstdio>
#include <string>

namespace centroids {

inline int failures = 0;

inline void expect(bool condition, const char* what, const std::string& level, std::size_t n,
                   std::size_t d, std::size_t k) {
    if (condition) return;
    ++failures;
    std::printf("FAILED %s at level %s, n=%zu d=%zu k=%zu\n", what, level.c_str(), n, d, k);
}

} // namespace centroids
