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

// With more it is faster to add all rows. A row that moves is fetched and added twice, which takes
// as long as it takes to add some 1200 / d + 2 in passing; measured.
inline bool few_moved(std::size_t moved, const DenseRows& points) {
    return moved * (1200 + 2 * points.dimensions) <= points.num_rows * points.dimensions;
}

// moved: OUT, those of `count` rows from `first` on are appended that are not where they were
inline void list_moved(const std::int32_t* before, const std::int32_t* after, std::size_t first,
                       std::size_t count, std::vector<MovedRow>& moved) {
    for (std::size_t i = 0; i < count; ++i)
        if (after[i] != before[i]) moved.push_back({first + i, before[i], after[i]});
}

// sums: IN OUT, of the points by the clusters that they were in before
template <class T>
void follow_moved_rows(const DenseRows& points, const SumWindow<T>& window,
                       std::vector<MovedRow> moved, ExactSums& sums);
// weights: IN [num_rows], as they were then
template <class T>
void follow_moved_rows(const DenseRows& points, const double* weights, std::vector<MovedRow> moved,
                       ExactSums& sums);

} // namespace centroids
