// The choice among the kernels of a dense assignment, from the shape, the type, the instruction
// set and what was seen so far. Results never depend on it.
#pragma once

#include "isa/block_kernels.h"
#include "api/kmeans.h"

#include <algorithm>
#include <cstddef>

namespace centroids {

struct Choice {
    Search search;
    bool with_bounds;
};

struct Shape {
    std::size_t num_rows, dimensions, num_centers;
};

// Points in lanes: in few dimensions the panels' epilogue and its reduction across lanes cost more.
// As long as a group of points in lanes fits the first-level cache, the kernel wins where padding
// fills an eighth of the panels, or all centers fit one.
template <class T>
bool lanes_pay(const Shape& shape, const BlockKernels<T>& kernels) {
    const std::size_t k = shape.num_centers;
    const std::size_t padded = round_up(k, kernels.panel_width);
    const bool wasteful = padded == kernels.panel_width || 8 * (padded - k) >= k;
    const LanesPay& most = kernels.lanes_pay;
    return shape.dimensions <= (padded >= 2 * k ? most.half : wasteful ? most.padded : most.always);
}

// In floats, whatever the values.
template <class T>
Search plain_search(const Shape& shape, const BlockKernels<T>& kernels) {
    return lanes_pay(shape, kernels) ? Search::lanes : Search::panels;
}

// Products of words take half the time of those of floats; few centers do not outweigh the
// preparation of a row.
template <class T>
bool words_pay(const Shape& shape, const BlockKernels<T>& kernels) {
    return kernels.words && kernels.words_pay.holds(shape.dimensions, shape.num_centers);
}

// What a pass of points in lanes is expected to take: a grid of cells must be built for less.
// Measured with AVX-512 in float32: nanoseconds of one thread for a point.
inline double nanoseconds_in_lanes(const Shape& shape, std::size_t value_bytes) {
    const double each = 1.2 + 0.052 * static_cast<double>(shape.num_centers);
    return static_cast<double>(shape.num_rows * value_bytes / 4) * each;
}

// Whether products of bytes may have bounds from the first call on: of many centers in fewer
// dimensions, too.
inline bool bytes_pay_at_once(const Shape& shape, const BytesPay& from) {
    return shape.dimensions >= from.at_once ||
           (shape.dimensions >= 32 && shape.dimensions * shape.num_centers >= 256 * from.at_once);
}

// Products of bytes, where their epilogue and the preparation of rows are small beside them; with
// bounds that is earlier, as most panels are excluded. Sums of longer products could overflow an
// int32.
inline bool bytes_pay(const Shape& shape, const BytesPay& from, bool with_bounds) {
    const std::size_t d = shape.dimensions, k = shape.num_centers;
    return (with_bounds ? from.with_bounds.holds(d, k) || from.with_few.holds(d, k)
                        : from.alone.holds(d, k)) &&
           d <= 32768 && 4 * shape.num_rows >= k && shape.num_rows >= 4096;
}

// Bounds between iterations: they cost an exact distance, a fingerprint and a look at the bounds
// for each point, and must have something to spare.
inline bool bounds_pay(const Shape& shape, std::size_t least_work) {
    return shape.dimensions > 16 && shape.num_rows >= 4096 &&
           shape.dimensions * shape.num_centers >= least_work;
}

// Whether words find bounds sooner than a filter does.
template <class T>
bool words_find_bounds(const Shape& shape, const BlockKernels<T>& kernels) {
    return words_pay(shape, kernels) &&
           !(kernels.byte_filter &&
             kernels.bytes_pay.alone.holds(shape.dimensions, shape.num_centers));
}

// Bounds that words find take little more than none, and pay in fewer dimensions, too; where these
// are too few, what is remembered of a row is large beside it.
template <class T>
bool bounds_of_words_pay(const Shape& shape, const BlockKernels<T>& kernels) {
    return words_find_bounds(shape, kernels) && shape.dimensions >= 12 && shape.num_rows >= 4096 &&
           shape.num_centers * (shape.dimensions + 8) >= 17000;
}

// What earlier assignments of the same points showed.
struct Experience {
    std::size_t calls = 0;
    std::size_t plain_until = 4;     // centers move far in the first iterations
    bool bytes_disappointed = false; // too many candidates: their errors are too large
    bool words_disappointed = false;
    bool filter_disappointed = false;
    std::size_t regroupings = 0; // in a row: the bounds excluded little each time
    bool axes_flat = false;      // no axes lead: they need not be tried again
    // Work of calls that looked along leading axes first, as shares of looking at all in full: of
    // the last one, and what tight bounds would have saved so far.
    double axes_share = 1, axes_loss = 0;
};

// repeated: the points come again, and `experience` is of them
template <class T>
Choice choose_search(const Shape& shape, const BlockKernels<T>& kernels, bool repeated,
                     const Experience& experience) {
    const bool in_words = words_pay(shape, kernels) && !experience.words_disappointed;
    const Choice plain{in_words ? Search::words : plain_search(shape, kernels), false};
    if (experience.filter_disappointed) return plain;
    const bool settled = experience.calls >= experience.plain_until;
    const bool by_words = in_words && bounds_of_words_pay(shape, kernels);
    if (kernels.byte_filter && !experience.bytes_disappointed) {
        const BytesPay& from = kernels.bytes_pay;
        const bool bounds = repeated && (settled || bytes_pay_at_once(shape, from));
        if (bounds && (by_words || (shape.dimensions > 16 && bytes_pay(shape, from, true))))
            return {Search::byte_filter, true};
        if (bytes_pay(shape, from, false)) return {Search::byte_filter, false};
    }
    if (repeated && (by_words || bounds_pay(shape, 16384)) && settled)
        return {Search::float_filter, true};
    return plain;
}

// An exact comparison takes as long as a dozen centers in a plain search: when more than this of
// all pairs are compared, besides one or two of each row, the filter does not pay.
constexpr double most_compared = 1.0 / 48, few_compared = 2;

inline bool comparisons_pay(std::size_t rows, std::size_t compared, std::size_t num_centers) {
    return static_cast<double>(compared) <=
           static_cast<double>(rows) *
               (few_compared + most_compared * static_cast<double>(num_centers));
}

// Where bounds would leave more than this of all pairs in question, searching all of them costs
// little more, and gives bounds for groups that centers which move much have been taken out of.
// Found by trying: a regrouping that did not help at once is repeated only where nothing is lost.
// in_words: all are searched in words, in less time than the filter takes, a fourth of that of
// floats
inline double most_in_question(const Experience& experience, Search with_bounds, bool in_words) {
    if (in_words) return with_bounds == Search::float_filter ? 0.15 : 0.3;
    return experience.regroupings > 0 ? 0.85 : 0.45;
}

// A look at a pair of a row and a panel takes as long as the products of so many dimensions more.
constexpr std::size_t work_aside = 40;

// Memory is faster in order: where more than this of the rows are looked at, all are, and promise
// or not they are recognised on the way.
constexpr double most_looked_at = 1.0 / 8;

// Unless bytes pay alone, a search by bounds that exclude little costs a quarter more than a plain
// one: after a failure so many calls are plain.
constexpr std::size_t calls_after_failure = 20;
// Words find bounds in little more than a plain search takes: soon they are tried again.
constexpr std::size_t calls_after_words = 3;

constexpr std::size_t second_level_cache = std::size_t(1) << 20;

// asked: 0 for what fits the cache
template <class T>
std::size_t rows_in_block(std::size_t dimensions, std::size_t asked) {
    if (asked > 0) return asked;
    const std::size_t fitting = second_level_cache / 2 / (dimensions * sizeof(T) + 1);
    return std::clamp<std::size_t>(fitting / 8 * 8, 16, dimensions <= short_row ? 512 : 128);
}

// Each thread has sums of its own where they stay in its cache; else rows are grouped by cluster.
inline bool sums_fit_threads(std::size_t sum_bytes) {
    return sum_bytes <= second_level_cache / 4 * 3;
}

} // namespace centroids
