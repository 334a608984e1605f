// Nearest centers with the help of lower bounds: of the iteration before, of the filter, or both.
//
// Centers are taken in groups of neighbours. For every point and group a lower bound of the
// distance to the nearest center of the group (but for the point's own) is kept from the last time
// that it was looked at; how far a group's centers have moved since is taken off. Each iteration
// computes every point's exact distance to its own center; a group that is further away is proven
// not to hold a nearer one. Where all groups are, the point has cost one row of float64 arithmetic
// instead of k: reading the points is then the limit. The groups that are left go through the
// filter, and its few candidates are compared exactly. Labels and distances are those of a plain
// search, to the bit.
//
// Bounds hold for the rows that they were made from: a fingerprint of each block of rows tells
// whether it is the same as before. A block that is not starts afresh.
//
// Source: Yinyang k-means (Ding, Zhao, Shen, Musuvathi and Mytkowicz, ICML 2015); bounds that need
// no update while a point is skipped are from Newling and Fleuret, Fast k-means with accurate
// bounds, ICML 2016.
#pragma once

#include "runtime/aligned_vector.h"
#include "isa/block_kernels.h"
#include "api/kmeans.h"
#include "search/exact_order.h"
#include "search/filter_centers.h"
#include "search/lower_bounds.h"
#include "search/pack_centers.h"
#include "search/work_plan.h"

#include <atomic>
#include <optional>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

namespace centroids {

// What is remembered of a batch of points between its assignments.
template <class T>
struct PointBounds {
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

    bool fits(const DenseRows& points, const Centers<T>& given) const {
        return num_groups > 0 && num_rows == points.num_rows && dimensions == points.dimensions &&
               num_centers == given.num_centers;
    }
    // For the first assignment, with an order of the centers alone where `remember` is not set.
    void start(const DenseRows& points, const Centers<T>& given, std::size_t panel_width,
               bool remember);
    void follow(const Centers<T>& given); // adds what the centers have moved to the drift
    void regroup();                       // centers that move much together; voids all bounds
    // A bit for every group that may hold a center as near as that.
    // root: of a squared distance, and how much further a center may be
    std::uint64_t groups_within(const BlockKernels<T>& kernels, std::size_t row, double root) const;

  private:
    void order_groups();
};

// The share of all pairs of a row and a group that the bounds leave in question, from a sample.
template <class T>
double share_in_question(const DenseRows& points, const Centers<T>& centers,
                         const PointBounds<T>& bounds);

struct SearchCounts {
    std::size_t rows = 0;       // that were searched
    std::size_t questioned = 0; // of these, not settled by bounds alone
    std::size_t panels = 0;     // of centers that a row was run against
    std::size_t compared = 0;   // candidates that were compared exactly
};

template <class T>
class BoundedSearch {
  public:
    struct Scratch {
        AlignedVector<unsigned char> values;
        AlignedVector<T> shifted;
        std::vector<T> thresholds, rest, bounds, offsets;
        std::vector<T> lowest, group_rest; // of rows that nothing is known of
        std::vector<std::int32_t> lowest_group;
        std::vector<std::size_t> group_starts;
        std::vector<RowFacts<T>> facts;
        std::vector<std::uint64_t> groups;
        std::vector<std::uint16_t> listed, in_group;
        std::vector<std::int32_t> candidates, num_candidates;
        typename ExactOrder<T>::Scratch exact;
    };

    // Rows in a block: a fingerprint is of so many, whatever else the call is about.
    static std::size_t block_rows(std::size_t dimensions);

    BoundedSearch(const DenseRows& points, const Centers<T>& centers, const ExactOrder<T>& order,
                  bool in_bytes, PointBounds<T>& bounds);

    // cluster_index: OUT [count], the nearest centers
    // distances: OUT [count], the squared distances to them, penalties included; NaN or infinite
    // where a row has none
    // ahead: rows that will be asked for next, as many and with the same stride, or null
    void search(const Block<T>& block, std::size_t first, std::size_t count,
                std::int32_t* cluster_index, double* distances, Scratch& scratch, const T* ahead);

    SearchCounts counts() const {
        return {rows_.load(), questioned_.load(), panels_.load(), compared_.load()};
    }

  private:
    struct Blocked; // a block and what the filter writes for it
    void guess(const Blocked& at, std::size_t first, std::int32_t* cluster_index, double* distances,
               Scratch& scratch);
    void sort_by_lowest_group(Scratch& scratch) const;
    void store_bounds(std::size_t group, std::size_t first, std::span<const std::uint16_t> rows,
                      const Scratch& scratch);
    bool prepare(const T* row, std::size_t at, Scratch& scratch) const;
    std::size_t run_group(std::size_t group, std::span<const std::uint16_t> rows,
                          const Blocked& at) const;
    void set_threshold(std::size_t at, double distance, Scratch& scratch) const;
    std::size_t resolve(const T* row, std::size_t at, std::size_t index, std::size_t group,
                        std::int32_t& nearest, double& distance, Scratch& scratch);
    void search_plainly(const T* row, std::size_t index, std::int32_t& nearest, double& distance,
                        Scratch& scratch);
    void lower_bound(std::size_t row, std::size_t group, double squared);
    double exact_distance(const T* row, std::int32_t center) const;

    const BlockKernels<T>& kernels_;
    const FilterKernels<T>& filter_;
    const DenseRows& points_;
    const Centers<T>& centers_;
    const ExactOrder<T>& order_;
    PointBounds<T>& bounds_;
    const bool remember_;
    const std::size_t num_panels_, panels_per_group_;
    const CentersInFilter<T> packed_;
    const double score_error_, square_error_; // relative rounding bounds of scores and of |t|^2
    std::atomic<std::size_t> rows_{0}, questioned_{0}, panels_{0}, compared_{0};
};

} // namespace centroids
