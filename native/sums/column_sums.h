// Sums of the values of each column, and of their squares, as exact numbers.
#pragma once

#include "api/rows.h"
#include "sums/fixed_point.h"

#include <cstdint>
#include <vector>

namespace centroids {

// Over the rows whose value in a column is not NaN: such a value is missing.
struct ColumnSums {
    explicit ColumnSums(std::size_t dimensions)
        : weights(dimensions), values(dimensions), squares(dimensions) {}

    std::vector<ExactTotal> weights; // w, 1 for each row where there are none
    std::vector<ExactTotal> values;  // w x
    std::vector<ExactTotal> squares; // w x^2
};

// Adds rows. Exact to the last bit, but for bits below 2^-1088; the order does not matter.
// weights: IN [num_rows], finite and not negative, or null; sums: IN OUT
// Returns -1, or the first row with a value that is infinite or whose w x^2 is.
std::int64_t add_columns(const DenseRows& points, const double* weights, ColumnSums& sums);

} // namespace centroids
