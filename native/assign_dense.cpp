// Dense assignment: blocks of rows through the fast arg-min of the instruction set, then exact
// re-scoring of the few rows that rounding leaves uncertain, then the update while the block is
// hot.
#include "centroids/aligned_vector.h"
#include "centroids/dispatch.h"
#include "grid_of_centers.h"
#include "pack_centers.h"
#include "work_plan.h"

#include <memory>

namespace centroids {
namespace {

// Up to here the tile's epilogue and its reduction across lanes cost more than points in lanes.
constexpr std::size_t lanes_dimensions = 16;
// Up to here a group of points in lanes fits the first-level cache, and the kernel is within a
// sixth of the panels' speed: it wins where padding fills an eighth of the panels, or all of k
// fits one panel.
constexpr std::size_t lanes_dimensions_wasteful = 80;

constexpr std::size_t most_chunks = 64;
constexpr std::size_t second_level_cache = std::size_t(1) << 20;

bool use_lanes(Search search, std::size_t dimensions, std::size_t num_centers,
               std::size_t panel_width) {
    if (search != Search::automatic) return search != Search::panels;
    const std::size_t padded = (num_centers + panel_width - 1) / panel_width * panel_width;
    const bool wasteful = padded == panel_width || 8 * (padded - num_centers) >= num_centers;
    return dimensions <= lanes_dimensions || (wasteful && dimensions <= lanes_dimensions_wasteful);
}

// A grid of cells where it is expected to take less time than points in lanes; else null.
template <class T>
std::unique_ptr<const GridOfCenters<T>> choose_grid(Search search, const DenseRows& points,
                                                    const Centers<T>& centers) {
    if (search != Search::automatic && search != Search::grid) return nullptr;
    if (points.dimensions == 0 || points.dimensions > grid_dimensions) return nullptr;
    if (points.num_rows == 0 || points.normalize || centers.penalties) return nullptr;
    // Measured with AVX-512 in float32: nanoseconds of one thread for a point.
    const double in_lanes = 1.2 + 0.052 * static_cast<double>(centers.num_centers);
    const double cost = static_cast<double>(points.num_rows * sizeof(T) / 4) * in_lanes;
    auto grid = std::make_unique<const GridOfCenters<T>>(points, centers,
                                                         search == Search::grid ? HUGE_VAL : cost);
    return grid->empty() ? nullptr : std::move(grid);
}

template <class T>
std::size_t rows_in_block(std::size_t dimensions, std::size_t asked) {
    if (asked > 0) return asked;
    const std::size_t fitting = second_level_cache / 2 / (dimensions * sizeof(T) + 1);
    return std::clamp<std::size_t>(fitting / 8 * 8, 16, dimensions <= 4 ? 512 : 128);
}

// Partial sums per chunk where a few of them are small; else rows grouped by cluster.
std::size_t chunks_with_sums(std::size_t sum_bytes, std::size_t point_bytes) {
    if (sum_bytes > second_level_cache / 4 * 3) return 0;
    const std::size_t budget = std::max(second_level_cache, point_bytes / 16);
    return std::min(most_chunks, budget / std::max<std::size_t>(sum_bytes, 1));
}

template <class T>
struct Scratch {
    AlignedVector<T> rows, search, shifted, scores;
    std::vector<T> threshold;
    std::vector<double> distances;
    std::vector<unsigned char> uncertain;
    std::vector<std::int32_t> cells;
};

template <class T>
class Assignment {
  public:
    Assignment(const DenseRows& points, const Centers<T>& centers, std::int32_t* cluster_index,
               const Update& update, const Tuning& tuning)
        : kernels_(current_kernels<T>()), points_(points), centers_(centers),
          cluster_index_(cluster_index), update_(update),
          lanes_(use_lanes(tuning.search, points.dimensions, centers.num_centers,
                           kernels_.panel_width)),
          block_rows_(rows_in_block<T>(points.dimensions, tuning.block_rows)),
          packed_(centers, points.dimensions, kernels_.panel_width, !lanes_) {
        grid_ = choose_grid<T>(tuning.search, points, centers);
    }

    std::int64_t run() {
        const std::size_t sum_count = centers_.num_centers * points_.dimensions;
        const std::size_t with_sums = chunks_with_sums(
            sum_count * sizeof(double), points_.num_rows * points_.dimensions * sizeof(T));
        const bool by_chunk = update_.sums && with_sums >= 8;
        const Chunks chunks = cut_rows(points_.num_rows, by_chunk ? with_sums : most_chunks);
        ChunkParts<double> sums(by_chunk ? chunks.count() : 0, sum_count);
        ChunkParts<std::int64_t> counts(update_.counts ? chunks.count() : 0, centers_.num_centers);
        std::vector<double> inertia(chunks.count(), 0.0);
        parallel_for(chunks.count(), seconds(), [&](std::size_t chunk) {
            inertia[chunk] = run_chunk(chunks.begin(chunk), chunks.end(chunk),
                                       by_chunk ? sums.of(chunk) : nullptr,
                                       update_.counts ? counts.of(chunk) : nullptr);
        });
        if (bad_row_.get() >= 0) return bad_row_.get();
        if (update_.inertia) {
            *update_.inertia = 0;
            for (const double part : inertia) *update_.inertia += part;
        }
        if (update_.counts) counts.add_up(update_.counts);
        if (!update_.sums) return -1;
        std::fill_n(update_.sums, sum_count, 0.0);
        if (by_chunk)
            sums.add_up(update_.sums);
        else
            add_rows_by_cluster();
        return -1;
    }

  private:
    double seconds() const {
        return seconds_for(static_cast<double>(points_.num_rows) *
                           static_cast<double>(points_.dimensions) *
                           static_cast<double>(centers_.num_centers + 8));
    }

    // sums, counts: of this chunk; null: not asked for.
    double run_chunk(std::size_t begin, std::size_t end, double* sums, std::int64_t* counts) {
        static thread_local Scratch<T> scratch;
        const std::size_t dimensions = points_.dimensions;
        scratch.rows.resize(reads_in_place<T>(points_) ? 0 : block_rows_ * dimensions);
        scratch.search.resize(lanes_ ? kernels_.lanes_scratch(dimensions)
                                     : kernels_.panels_scratch(block_rows_, dimensions));
        scratch.threshold.resize(block_rows_);
        scratch.uncertain.resize(block_rows_);
        scratch.cells.resize(grid_ ? 3 * block_rows_ + 32 : 0);
        scratch.distances.resize(block_rows_);
        EightSums inertia;
        for (std::size_t first = begin; first < end; first += block_rows_) {
            const std::size_t count = std::min(block_rows_, end - first);
            const Block<T> block = load_rows<T>(points_, first, count, scratch.rows.data());
            search_block(block, first, count, scratch);
            if (counts)
                for (std::size_t i = 0; i < count; ++i) ++counts[cluster_index_[first + i]];
            if (!sums && !update_.inertia) continue;
            update_block(block, first, count, sums, scratch.distances.data());
            inertia.add(first, scratch.distances.data(), count);
        }
        return inertia.total();
    }

    void search_block(const Block<T>& block, std::size_t first, std::size_t count,
                      Scratch<T>& scratch) {
        if (grid_) {
            const std::ptrdiff_t bad_row =
                kernels_.assign_grid(block.rows, block.stride, count, grid_->view,
                                     scratch.cells.data(), cluster_index_ + first);
            if (bad_row >= 0) bad_row_.report(first + static_cast<std::size_t>(bad_row));
            return;
        }
        const BlockResult<T> result{cluster_index_ + first, scratch.threshold.data(),
                                    scratch.uncertain.data()};
        (lanes_ ? kernels_.assign_lanes : kernels_.assign_panels)(
            block.rows, block.stride, count, packed_.view, scratch.search.data(), result);
        for (std::size_t i = 0; i < count; ++i)
            if (result.uncertain[i])
                rescore(block.rows + static_cast<std::ptrdiff_t>(i) * block.stride, first + i,
                        result.threshold[i], scratch);
    }

    // The candidates within reach of the best score, in float64 by direct differences.
    void rescore(const T* row, std::size_t index, T threshold, Scratch<T>& scratch) {
        const std::size_t dimensions = points_.dimensions;
        const PackedCenters<T>& packed = packed_.view;
        if (!lanes_) {
            scratch.shifted.resize(dimensions);
            scratch.scores.resize(packed.num_panels * kernels_.panel_width);
            kernels_.score_row(row, packed, scratch.shifted.data(), scratch.scores.data());
        }
        double best = std::numeric_limits<double>::infinity();
        std::int32_t nearest = 0;
        for (std::size_t c = 0; c < packed.num_centers; ++c) {
            if (!lanes_ && scratch.scores[c] > threshold) continue;
            double distance =
                kernels_.squared_distance(row, packed.centers + c * dimensions, dimensions);
            if (packed.penalties) distance += packed.penalties[c];
            if (distance < best) {
                best = distance;
                nearest = static_cast<std::int32_t>(c);
            }
        }
        if (!(best < std::numeric_limits<double>::infinity())) bad_row_.report(index);
        // A zero vector has no direction: all centers are equally far, the first is nearest.
        if (points_.normalize && is_zero(row)) nearest = 0;
        cluster_index_[index] = nearest;
    }

    bool is_zero(const T* row) const {
        return std::all_of(row, row + points_.dimensions, [](T value) { return value == T(0); });
    }

    // sums may be null: then only the distances are wanted.
    void update_block(const Block<T>& block, std::size_t first, std::size_t count, double* sums,
                      double* distances) {
        kernels_.update_rows(block.rows, block.stride, count, cluster_index_ + first,
                             centers_.values, points_.dimensions, sums, distances);
        if (!points_.normalize) return;
        for (std::size_t i = 0; i < count; ++i)
            distances[i] = cosine_adjusted(
                distances[i], block.rows + static_cast<std::ptrdiff_t>(i) * block.stride,
                static_cast<std::size_t>(cluster_index_[first + i]));
    }

    // Twice the cosine distance; 1 where a zero vector is involved.
    double cosine_adjusted(double distance, const T* row, std::size_t center) const {
        if (centers_.penalties) distance += centers_.penalties[center];
        // Only a zero row is this near 1: the quick test spares the others a look.
        return std::fabs(distance - 1) < 1e-3 && is_zero(row) ? 2.0 : distance;
    }

    void add_rows_by_cluster() {
        const std::size_t dimensions = points_.dimensions;
        add_by_cluster(cluster_index_, points_.num_rows, centers_.num_centers, dimensions,
                       seconds_for(static_cast<double>(points_.num_rows * dimensions) * 4),
                       update_.sums, [&](std::size_t row, std::size_t cluster, double* sums) {
                           static thread_local std::vector<T> scratch;
                           scratch.resize(dimensions);
                           const Block<T> block = load_rows<T>(points_, row, 1, scratch.data());
                           constexpr std::int32_t own =
                               0; // both pointers start at the row's cluster
                           double distance;
                           kernels_.update_rows(block.rows, block.stride, 1, &own,
                                                centers_.values + cluster * dimensions, dimensions,
                                                sums, &distance);
                       });
    }

    const BlockKernels<T>& kernels_;
    const DenseRows& points_;
    const Centers<T>& centers_;
    std::int32_t* const cluster_index_;
    const Update& update_;
    const bool lanes_;
    const std::size_t block_rows_;
    const CentersInPanels<T> packed_;
    std::unique_ptr<const GridOfCenters<T>> grid_;
    FirstBadRow bad_row_;
};

} // namespace

template <class T>
std::int64_t assign(const DenseRows& points, const Centers<T>& centers, std::int32_t* cluster_index,
                    const Update& update, const Tuning& tuning) {
    return Assignment<T>(points, centers, cluster_index, update, tuning).run();
}

template std::int64_t assign(const DenseRows&, const Centers<float>&, std::int32_t*, const Update&,
                             const Tuning&);
template std::int64_t assign(const DenseRows&, const Centers<double>&, std::int32_t*, const Update&,
                             const Tuning&);

} // namespace centroids
