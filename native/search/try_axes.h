// Whether a first look along leading axes pays, found by trying it on some rows.
#pragma once

#include "api/kmeans.h"
#include "search/choose_search.h"
#include "search/leading_axes.h"

#include <cstddef>
#include <memory>
#include <vector>

namespace centroids {

template <class T>
struct TriedRow {
    const T* values;
    double distance; // squared, to its nearest center
};

// Where there is enough to gain from for what finding the axes takes, which is as long as a search
// of some thousand rows: for points that do not come again, there must be many more.
inline bool axes_may_pay(const Shape& shape, bool repeated) {
    return shape.dimensions >= 64 && shape.num_centers >= 1024 &&
           shape.num_rows >= 4 * shape.dimensions &&
           (repeated || shape.num_rows * shape.num_centers >= std::size_t(1) << 27);
}

// Null where they do not pay.
// flat: OUT, whether that showed at once and will not change: the data have no leading axes
template <class T>
std::unique_ptr<LeadingAxes<T>> axes_that_pay(const FilterKernels<T>& filter,
                                              const Centers<T>& centers, std::size_t dimensions,
                                              const std::vector<TriedRow<T>>& rows, bool* flat);

// Two levels, without a trial; null where there are too few dimensions.
template <class T>
std::unique_ptr<LeadingAxes<T>> some_axes(const FilterKernels<T>& filter, const Centers<T>& centers,
                                          std::size_t dimensions);

} // namespace centroids
