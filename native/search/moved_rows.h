// Sums that follow their rows: where few rows have gone to another cluster since the last sums of
// the same points, only these are taken off and added. Exact sums forget what was taken off again:
// bits are those of adding all rows.
#pragma once

#include "api/rows.h"
#include "sums/exact_sums.h"
#include "sums/sum_window.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace centroids {

struct MovedRow {
    std::size_t row;
    std::int32_t from, to;
};

// Beyond this share of the rows it is faster to add all of them.
constexpr double most_moved = 1.0 / 8;

// sums: IN OUT, of the points by the clusters that they were in before
template <class T>
void follow_moved_rows(const DenseRows& points, const SumWindow<T>& window,
                       std::vector<MovedRow> moved, ExactSums& sums);

} // namespace centroids
