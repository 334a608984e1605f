// What is remembered of points between their assignments: which centers they had, and how far away
// all others were at least. bounded_search.h says how it is used.
#pragma once

#include "isa/block_kernels.h"
#include "api/kmeans.h"
#include "search/filter_centers.h"
#include "search/leading_axes.h"
#include "search/lower_bounds.h"
#include "sums/exact_sums.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
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
    bool normalized = false;
    std::size_t group_size = 0, num_groups = 0;
    std::uint64_t generation = 0;            // of the points, see AssignmentMemory::Content
    std::size_t row_groups = 0;              // num_groups and padding to a multiple of 4
    std::vector<std::int32_t> order;         // [num_centers], centers by their place in the groups
    std::vector<std::int32_t> group_of;      // [num_centers]
    std::vector<std::uint16_t> lower;        // [num_rows][row_groups], codes of bound + drift then
    std::vector<std::int32_t> cluster_index; // [num_rows]
    std::vector<double> distances;           // [num_rows], squared, penalties included
    std::vector<std::uint64_t> fingerprints; // [blocks], 0: not known
    std::vector<T> centers;                  // [num_centers][dimensions], of the last assignment
    std::vector<double> penalties;           // [num_centers], or empty
    std::vector<double> units;               // [num_centers][dimensions], or empty
    std::vector<double> drift;               // [num_groups], how far its centers have moved so far
    std::vector<double> last_move;           // [num_centers], squared, before the last assignment
    std::vector<float> drift_up;      // [row_groups], the same from code.lowest() on, not less
    std::vector<unsigned char> still; // [num_centers], whether `follow` found it where it was
    std::uint64_t moved_groups = ~std::uint64_t(0); // a bit for every group that has others
    BoundCode code;
    std::unique_ptr<CentersInFilter<T>> packed; // of the last assignment, in `order`; or null
    std::unique_ptr<LeadingAxes<T>> axes;       // null: a first look along them does not pay
    std::unique_ptr<AxesOfCenters<T>> on_axes;  // as `packed`
    ExactSums sums;                             // of the points by `cluster_index`, where has_sums
    bool has_sums = false;
    std::uint64_t weights = 0; // fingerprint of those in `sums`, 0: rows have none
    std::size_t num_moved =
        0; // rows that were in another cluster, or unknown, at the last assignment

    // Another instruction set may have other panels, of which a group has to have whole ones.
    bool fits(const DenseRows& points, const Centers<T>& given, std::size_t panel_width) const {
        return num_groups > 0 && num_rows == points.num_rows && dimensions == points.dimensions &&
               num_centers == given.num_centers && normalized == points.normalize &&
               group_size % panel_width == 0;
    }
    // For the first assignment, with an order of the centers alone where `remember` is not set.
    // leading: or null
    void start(const DenseRows& points, const Centers<T>& given, const BlockKernels<T>& kernels,
               bool remember, std::unique_ptr<LeadingAxes<T>> leading);
    void follow(const Centers<T>& given); // adds what the centers have moved to the drift
    // The centers for the filter; those that are still need not be packed again.
    const CentersInFilter<T>& pack(const FilterKernels<T>& filter, const Centers<T>& given);
    // Whether sums are small beside the points.
    bool may_have_sums() const;
    void regroup(); // centers that move much together; voids all bounds
    // The order and the panels of the axes from now on; voids all bounds.
    void take_axes(std::unique_ptr<LeadingAxes<T>> leading);
    void drop_axes();
    // Where rows are looked at along leading axes alone, bounds stay loose. A few blocks are looked
    // at in full, and show what bounds would be worth.
    bool is_control(std::size_t row) const {
        const std::size_t block = block_rows(dimensions);
        return row / block % std::max<std::size_t>(8, num_rows / block / 4) == 0;
    }
    // Whether a row's distance is that of the last assignment, if the row is.
    bool keeps_distance(std::size_t row) const {
        return still[static_cast<std::size_t>(cluster_index[row])] != 0;
    }
    // A bit for every group that may hold a center as near as that, now that centers have moved.
    // root: of a squared distance, and how much further a center may be
    std::uint64_t groups_within(const BlockKernels<T>& kernels, std::size_t row, double root) const;
    // The same of a row of the last assignment. Where neither its center has moved nor any of a
    // group, what was found of the group then holds.
    std::uint64_t open_groups(const BlockKernels<T>& kernels, std::size_t row, double root) const {
        const std::uint64_t open = keeps_distance(row) ? moved_groups : ~std::uint64_t(0);
        return open ? open & groups_within(kernels, row, root) : 0;
    }
    // One more center of a group is known to be no nearer than this to a row.
    void lower_bound(std::size_t row, std::size_t group, double squared);

  private:
    void order_groups();
    void void_bounds();
    void take_centers(const Centers<T>& given);
    bool same_unit(const Centers<T>& given, std::size_t center) const;
};

// What an assignment has to do, from a sample of its rows, or of the control blocks alone.
struct Outlook {
    double in_question; // share of all pairs of a row and a group
    double looked_at;   // share of the rows
};
template <class T>
Outlook outlook(const DenseRows& points, const Centers<T>& centers, const PointBounds<T>& bounds,
                bool controls);

} // namespace centroids
