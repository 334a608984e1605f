// The k-means kernels over whole arrays: blocks, chunks, threads and the exact re-scoring. Shapes
// are checked by the caller. Each function returns -1, or the first row that has no finite
// distance (or weighs so much that a product is not finite).
#pragma once

#include "api/rows.h"
#include "sums/exact_sums.h"

#include <cstddef>
#include <cstdint>
#include <memory>

namespace centroids {

template <class T>
struct Centers {
    const T* values; // IN [num_centers][dimensions]
    std::size_t num_centers;
    const double* penalties; // IN [num_centers] or null, added to every squared distance
    // IN [num_centers][dimensions] or null: under cosine, the centers as unit vectors in float64,
    // zeros for a zero center; null where `values` are as good
    const double* units = nullptr;
};

// What an assignment is asked for besides the indices; null: not asked.
struct Update {
    ExactSums* sums;      // OUT, of the points of each center
    std::int64_t* counts; // OUT [num_centers]
    ExactTotal* inertia;  // OUT, of the squared distances to the nearest centers
    // IN [num_rows], finite and not negative, or null: how much each row counts in `sums` and
    // `inertia`. Products are exact: what a row adds is w x to the last bit, but for bits below
    // 2^-1074, which are rounded row by row.
    const double* weights = nullptr;
    ExactSums* weight_sums = nullptr; // OUT [num_centers][1], in place of counts where rows weigh
};

// The keys of the fingerprints of this process, see generic/fingerprint.h.
struct FingerprintKeys;
const FingerprintKeys& fingerprint_keys();

enum class Search { automatic, panels, lanes, words, grid, float_filter, byte_filter, axes_filter };

struct Tuning { // results never depend on it: for tests and measurements
    Search search = Search::automatic;
    std::size_t block_rows = 0; // 0: chosen from the shape
};

// What repeated assignments of one batch of points remember: see bounded_search.h. It speeds up
// the next call with the same points and is never wrong with others, unless they are promised to be
// the same.
class AssignmentMemory {
  public:
    AssignmentMemory();
    ~AssignmentMemory();
    struct Content;
    std::unique_ptr<Content> content;
};

// What ran, for a log.
struct Report {
    Search search;
    bool with_bounds;
    // With a filter: rows, those not settled by bounds, panels of centers searched for them, and
    // candidates compared exactly.
    std::size_t rows, questioned, panels, compared;
    // Rows that the sums of the call before were followed by; -1: all rows were added.
    std::int64_t followed;
    std::size_t read; // rows that the search looked at; for sums that do not follow all are
};

// cluster_index: OUT [num_rows], the center that exact_order.h puts first; or null
// memory: IN OUT, or null; report: OUT
// same_points: a promise that the points are those of the last call with this memory: they are read
// only as far as anything can have happened to them
template <class T>
std::int64_t assign(const DenseRows& points, const Centers<T>& centers, std::int32_t* cluster_index,
                    const Update& update, const Tuning& tuning, AssignmentMemory* memory,
                    bool same_points, Report* report);

// distances: OUT [num_rows][num_centers], squared
template <class T>
std::int64_t all_distances(const DenseRows& points, const Centers<T>& centers, T* distances);

struct SparseRows { // compressed sparse rows, columns unique within a row
    const void* values;
    ElementType type; // float32 or float64
    const void* columns;
    bool wide_columns; // int64 columns, else int32
    const void* row_starts;
    bool wide_starts;
    std::size_t num_rows;
    std::size_t num_values; // and columns
    std::size_t dimensions;
    bool normalize;
};

// The arrays may change meanwhile: no memory is touched outside them, and what cannot be a matrix
// throws std::invalid_argument.
[[noreturn]] void throw_changed();

template <class T>
std::int64_t assign_sparse(const SparseRows& points, const Centers<T>& centers,
                           std::int32_t* cluster_index, const Update& update);

template <class T>
std::int64_t all_distances_sparse(const SparseRows& points, const Centers<T>& centers,
                                  T* distances);

// The sum of the weights of each cluster, [num_clusters][1].
// weights: IN [num_rows], finite, not negative; cluster_index: IN [num_rows]
ExactSums add_weights(const double* weights, std::size_t num_rows,
                      const std::int32_t* cluster_index, std::size_t num_clusters);

// The first NaN or infinity in row-major order; returns false when all values are finite.
bool find_nonfinite(const DenseRows& points, std::int64_t* row, std::int64_t* column);

} // namespace centroids
