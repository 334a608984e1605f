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
// Bounds hold for the rows that they were made from: a fingerprint of each block of rows shows
// whether it is the same as before. A block that is not starts afresh.
//
// Source: Yinyang k-means (Ding, Zhao, Shen, Musuvathi and Mytkowicz, ICML 2015); bounds that need
// no update while a point is skipped are from Newling and Fleuret, Fast k-means with accurate
// bounds, ICML 2016.
#pragma once

#include "runtime/aligned_vector.h"
#include "isa/block_kernels.h"
#include "api/kmeans.h"
#include "search/centers_in_words.h"
#include "search/exact_order.h"
#include "search/filter_centers.h"
#include "search/lazy_block.h"
#include "search/moved_rows.h"
#include "search/point_bounds.h"

#include <atomic>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace centroids {

struct SearchCounts {
    std::size_t rows = 0;       // that were searched
    std::size_t questioned = 0; // of these, not settled by bounds alone
    std::size_t panels = 0;     // of centers that a row was run against
    std::size_t looked = 0;     // along leading axes: pairs of a row and a panel, times their work
    std::size_t compared = 0;   // candidates that were compared exactly
    std::size_t fresh = 0;      // rows that nothing was known of
    std::size_t read = 0;       // rows that were looked at
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
        // Along the leading axes; without them nothing. What is left of a panel: places in the list
        // of its rows, and these.
        std::vector<std::uint16_t> left, left_rows;
        std::vector<std::int32_t> left_groups;
        AlignedVector<unsigned char> axes_values;
        AlignedVector<T> coordinates;
        std::vector<AxesFacts<T>> axes_facts;                             // [levels][rows]
        std::vector<T> axes_lowest, panel_rest, own_thresholds, own_rest; // [rows]
        std::vector<T> panel_lowest; // [panels][rows], of fresh rows
        std::vector<std::int32_t> candidates, num_candidates;
        WordScratch words; // where they find the bounds
        typename ExactOrder<T>::Scratch exact;
        std::vector<MovedRow> moved; // of all blocks; without those that nothing was known of

        // rows: the last of them is spare; capacity: of candidates
        void make_room(std::size_t rows, std::size_t row_bytes, std::size_t dimensions,
                       std::size_t capacity) {
            values.resize(rows * row_bytes);
            shifted.resize(dimensions + 16);
            thresholds.resize(rows);
            thresholds[rows - 1] = -std::numeric_limits<T>::infinity();
            rest.resize(rows);
            facts.resize(rows);
            offsets.resize(rows);
            groups.resize(rows);
            num_candidates.assign(rows, 0);
            candidates.resize(rows * capacity);
            bounds.resize(rows * capacity);
            in_group.resize(rows);
            listed.clear();
        }
    };

    // words: by these all rows are searched, whatever is known of them; or null
    BoundedSearch(const DenseRows& points, const Centers<T>& centers, const ExactOrder<T>& order,
                  bool in_bytes, PointBounds<T>& bounds, bool same_points,
                  const PackedWords<T>* words);

    // block: read as far as something may have happened to its rows
    // cluster_index: OUT [count], the nearest centers
    // distances: OUT [count], the squared distances to them, penalties included; NaN or infinite
    // where a row has none
    // more: whether as many rows follow, in place, and will be asked for next
    void search(LazyBlock<T>& block, std::int32_t* cluster_index, double* distances,
                Scratch& scratch, bool more);

    SearchCounts counts() const {
        return {rows_.load(),     questioned_.load(), panels_.load(), looked_.load(),
                compared_.load(), fresh_.load(),      read_.load()};
    }

  private:
    static constexpr double infinity = std::numeric_limits<double>::infinity();
    struct Blocked; // a block, what the filter writes for it, and what is found
    // What a block's rows are recognised by, and whether nothing is known of them.
    struct Recognised {
        std::uint64_t fingerprint;
        bool fresh;
    };
    Recognised recognise(LazyBlock<T>& block);
    void recall(Blocked& at) const;
    void measure_all(Blocked& at) const;
    Blocked make_room(LazyBlock<T>& block, std::int32_t* cluster_index, double* distances,
                      Scratch& scratch) const;
    void list_rows(Blocked& at, bool fresh, bool more);
    void take_coordinates(Scratch& scratch, std::size_t last) const;
    void guess(Blocked& at);
    void guess_on_axes(Blocked& at);
    std::span<const std::uint16_t> rows_in_question(const Blocked& at, std::size_t group,
                                                    bool fresh) const;
    void search_groups(Blocked& at, bool fresh);
    void sort_by_lowest(Scratch& scratch, std::size_t num_groups) const;
    void store_bounds(std::size_t group, std::span<const std::uint16_t> rows, const T* rest,
                      const Blocked& at);
    bool prepare(const Blocked& at, const T* row, std::size_t i) const;
    std::size_t run_groups(std::size_t first, std::size_t last, std::span<const std::uint16_t> rows,
                           T* rest, const Blocked& at) const;
    std::size_t run_group_on_axes(std::size_t group, std::span<const std::uint16_t> rows,
                                  Blocked& at, bool fresh) const;
    std::size_t look_again(std::size_t level, std::size_t panel, std::size_t count,
                           Blocked& at) const;
    void look_along_axes(std::size_t level, std::size_t panel, std::span<const std::uint16_t> rows,
                         Blocked& at, T* lowest) const;
    void set_threshold(std::size_t i, double distance, Scratch& scratch) const;
    std::size_t resolve(Blocked& at, std::size_t i, std::size_t group);
    double compare(Blocked& at, std::size_t i, std::size_t group, std::int32_t center);
    void search_plainly(Blocked& at, std::size_t i);
    bool search_in_words(Blocked& at);
    void compare_listed(Blocked& at, std::size_t i, std::span<const std::int32_t> places);
    double exact_distance(const T* row, std::int32_t center) const;

    const BlockKernels<T>& kernels_;
    const FilterKernels<T>& filter_;
    const DenseRows& points_;
    const Centers<T>& centers_;
    const ExactOrder<T>& order_;
    PointBounds<T>& bounds_;
    const bool remember_, same_points_; // the latter: whatever is known of a block holds
    const std::size_t num_panels_, panels_per_group_, groups_together_;
    const PackedWords<T>* const words_;
    const CentersInFilter<T>& packed_;
    const AxesOfCenters<T>* const axes_;      // null: all is looked at in full
    const double score_error_, square_error_; // relative rounding bounds of scores and of |t|^2
    std::atomic<std::size_t> rows_{0}, questioned_{0}, panels_{0}, looked_{0}, compared_{0},
        fresh_{0}, read_{0};
};

} // namespace centroids
