// What is remembered of points between their assignments: which centers they had, and how far away
// all others were at least. bounded_search.h says how it is used.
#pragma once

#include "isa/block_kernels.h"
#include "api/kmeans.h"
#include "search/lower_bounds.h"
#include "sums/exact_sums.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace centroids {

// What is remembered of a batch of points between its assignments.
template <class T>
struct PointBounds {
    // Rows in a block: a fingerprint is of so many, whatever else the call is about.
    static std::size_t block_rows(std::size_t dimensions) {
        return dimensions * sizeof(T) <= 2048 ? 256 : 128;
    }

    std::size_t num_rows = 0, dimensions = 0, num_centers = 0;
    std::size_t group_size = 0, num_groups = 0;
    std::size_t row_groups = 0;              // num_groups and padding to a multiple of 4
    std::vector<std::int32_t> order;         // [num_centers], centers by their place in the groups
    std::vector<std::int32_t> group_of;      // [num_centers]
    std::vector<std::uint16_t> lower;        // [num_rows][row_groups], codes of bound + drift then
    std::vector<std::int32_t> cluster_index; // [num_rows]
    std::vector<std::uint64_t> fingerprints; // [blocks], 0: not known
    std::vector<T> centers;                  // [num_centers][dimensions], of the last assignment
    std::vector<double> penalties;           // [num_centers], or empty
    std::vector<double> drift;               // [num_groups], how far its centers have moved so far
    std::vector<double> last_move;           // [num_centers], squared, before the last assignment
    std::vector<float> drift_up; // [row_groups], the same from code.lowest() on, not less
    BoundCode code;
    ExactSums sums; // of the points by `cluster_index`, where has_sums
    bool has_sums = false;
    std::uint64_t weights = 0; // fingerprint of those in `sums`, 0: rows have none
    std::size_t num_moved =
        0; // rows that were in another cluster, or unknown, at the last assignment

    bool fits(const DenseRows& points, const Centers<T>& given) const {
        return num_groups > 0 && num_rows == points.num_rows && dimensions == points.dimensions &&
               num_centers == given.num_centers;
    }
    // For the first assignment, with an order of the centers alone where `remember` is not set.
    void start(const DenseRows& points, const Centers<T>& given, std::size_t panel_width,
               bool remember);
    void follow(const Centers<T>& given); // adds what the centers have moved to the drift
    // Whether sums are small beside the points.
    bool may_have_sums() const;
    void regroup(); // centers that move much together; voids all bounds
    // A bit for every group that may hold a center as near as that.
    // root: of a squared distance, and how much further a center may be
    std::uint64_t groups_within(const BlockKernels<T>& kernels, std::size_t row, double root) const;
    // One more center of a group is known to be no nearer than this to a row.
    void lower_bound(std::size_t row, std::size_t group, double squared);

  private:
    void order_groups();
};

// The share of all pairs of a row and a group that the bounds leave in question, from a sample.
template <class T>
double share_in_question(const DenseRows& points, const Centers<T>& centers,
                         const PointBounds<T>& bounds);

} // namespace centroids
