// Memory is slow, and idle while the processor computes: what is needed next may come meanwhile.
#pragma once

#include <cstddef>

namespace centroids {

// To the second-level cache. Inlined by force: compilers leave out calls of what changes nothing.
template <class T>
inline __attribute__((always_inline)) void prefetch(const T* row, std::size_t dimensions) {
    for (std::size_t j = 0; j < dimensions; j += 64 / sizeof(T)) __builtin_prefetch(row + j, 0, 2);
}

// The beginning of a row; the processor guesses the rest.
template <class T>
inline __attribute__((always_inline)) void prefetch_beginning(const T* row,
                                                              std::size_t dimensions) {
    constexpr std::size_t most = 512 / sizeof(T);
    prefetch(row, dimensions < most ? dimensions : most);
}

} // namespace centroids
