// Compressed sparse rows as the kernels read them: one at a time, and never past what is there.
#pragma once

#include "api/kmeans.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace centroids {

template <class T>
struct SparseRow {
    std::vector<T> values;
    std::vector<std::int64_t> columns;
    std::vector<double> unit; // for cosine: the values of the unit vector in float64
    double squared_norm = 0;
    std::size_t count() const { return values.size(); }
};

inline std::int64_t integer_at(const void* data, bool wide, std::size_t at) {
    return wide ? static_cast<const std::int64_t*>(data)[at]
                : static_cast<const std::int32_t*>(data)[at];
}

// Row `index` as T, normalised if asked; its norm is left as it was.
template <class T>
void load_values(const SparseRows& points, std::size_t index, SparseRow<T>& row);
// The same with its norm.
template <class T>
void load_row(const SparseRows& points, std::size_t index, SparseRow<T>& row);

template <class T>
double product(const SparseRow<T>& row, const T* center) {
    double sum = 0;
    for (std::size_t i = 0; i < row.count(); ++i)
        sum += static_cast<double>(row.values[i]) *
               static_cast<double>(center[static_cast<std::size_t>(row.columns[i])]);
    return sum;
}

} // namespace centroids
