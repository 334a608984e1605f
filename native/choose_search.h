// The choice among the kernels of a dense assignment, from the shape, the type, the instruction
// set and what was seen so far. Results never depend on it.
#pragma once

#include "centroids/block_kernels.h"
#include "centroids/kmeans.h"

#include <cstddef>

namespace centroids {

struct Choice {
    Search search;
    bool with_bounds;
};

struct Shape {
    std::size_t num_rows, dimensions, num_centers;
};

// Points in lanes: up to 16 dimensions the panels' epilogue and its reduction across lanes cost
// more. Up to 80 a group of points in lanes fits the first-level cache, and the kernel is within a
// sixth of the panels' speed: it wins where padding fills an eighth of the panels, or all centers
// fit one.
inline bool lanes_pay(const Shape& shape, std::size_t panel_width) {
    const std::size_t k = shape.num_centers;
    const std::size_t padded = (k + panel_width - 1) / panel_width * panel_width;
    const bool wasteful = padded == panel_width || 8 * (padded - k) >= k;
    return shape.dimensions <= 16 || (wasteful && shape.dimensions <= 80);
}

// Products of bytes, when their epilogue and the preparation of rows are small beside them. Sums
// of longer products could overflow an int32.
inline bool bytes_pay(const Shape& shape) {
    return shape.dimensions >= 32 && shape.dimensions <= 32768 && shape.num_centers >= 128 &&
           shape.num_rows >= 4 * shape.num_centers && shape.num_rows >= 4096;
}

// Bounds between iterations: they cost an exact distance and a fingerprint per point.
inline bool bounds_pay(const Shape& shape) {
    return shape.dimensions > 16 && shape.num_centers > 48 && shape.num_rows >= 4096;
}

template <class T>
Choice choose_search(const Shape& shape, const BlockKernels<T>& kernels, bool repeated,
                     bool bytes_disappointed, bool filter_disappointed) {
    const Search plain = lanes_pay(shape, kernels.panel_width) ? Search::lanes : Search::panels;
    if (filter_disappointed) return {plain, false};
    const bool bounds = repeated && bounds_pay(shape);
    if (kernels.byte_filter && bytes_pay(shape) && !bytes_disappointed)
        return {Search::byte_filter, bounds};
    if (bounds) return {Search::float_filter, true};
    return {plain, false};
}

// More exact comparisons than this for every panel of centers cost more than the filter saves.
constexpr double most_compared_per_panel = 1.0;

// Where bounds exclude less than this, regrouping the centers costs nothing and may mend it.
constexpr double mostly_searched = 0.7;

} // namespace centroids
