// Counts in whole groups. Internal to each file: what one instruction set compiles must not be
// merged with what others do.
#pragma once

#include <cstddef>

namespace centroids {

// How many groups of `size` hold `count`.
static inline constexpr std::size_t groups_of(std::size_t size, std::size_t count) {
    return (count + size - 1) / size;
}

// The least multiple of `size` that is not below `count`.
static inline constexpr std::size_t round_up(std::size_t count, std::size_t size) {
    return groups_of(size, count) * size;
}

} // namespace centroids
