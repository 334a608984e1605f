// Columns side by side as rows: what Arrow has of a table, and what kernels read.
#pragma once

#include <algorithm>
#include <cstddef>

namespace centroids {

// columns: IN num_columns pointers to num_rows elements each
// rows: OUT [num_rows, num_columns]
template <class T>
void join_columns(const T* const* columns, std::size_t num_columns, std::size_t num_rows, T* rows) {
    // A block of rows stays in the first-level cache until its last column has come; what is read
    // of a column at a time is a few lines.
    const std::size_t block =
        std::clamp<std::size_t>(16384 / (num_columns * sizeof(T)), 64 / sizeof(T), 512);
    for (std::size_t first = 0; first < num_rows; first += block) {
        const std::size_t count = std::min(block, num_rows - first);
        for (std::size_t c = 0; c < num_columns; ++c) {
            const T* column = columns[c] + first;
            T* to = rows + first * num_columns + c;
            for (std::size_t r = 0; r < count; ++r) to[r * num_columns] = column[r];
        }
    }
}

} // namespace centroids
