// Vectors of zeros, which have no direction: the cosine metric treats them apart.
#pragma once

#include <algorithm>
#include <cstddef>

namespace centroids {

template <class T>
bool is_zero(const T* row, std::size_t dimensions) {
    return std::all_of(row, row + dimensions, [](T value) { return value == T(0); });
}

} // namespace centroids
