// Compressed sparse rows against dense centers, without ever making a row dense: work and memory
// are linear in the non-zeros. Labels are those of the same points as dense rows: a rounding bound,
// then float64, then the order of exact_order.h.
#include "runtime/aligned_vector.h"
#include "runtime/dispatch.h"
#include "search/pack_centers.h"
#include "search/sparse_order.h"
#include "search/sparse_sums.h"
#include "search/transposed_centers.h"
#include "search/work_plan.h"

#include <cmath>

namespace centroids {
namespace {

template <class T>
double squared_distance(const SparseRow<T>& row, const T* center, double center_norm) {
    const double distance = row.squared_norm + center_norm - 2 * product(row, center);
    return distance < 0 ? 0 : distance; // NaN stays
}

// Of one thread.
template <class T>
struct SparseScratch {
    SparseRow<T> row;
    std::vector<T> products;
    std::vector<std::size_t> candidates;
    std::vector<double> dense;
};

// Centers whose scores in T leave open that they are nearest.
template <class T>
void find_candidates(const SparseRows& points, std::size_t num_centers,
                     const TransposedCenters<T>& transposed, SparseScratch<T>& scratch) {
    const SparseRow<T>& row = scratch.row;
    const std::vector<T>& products = scratch.products;
    const auto score = [&](std::size_t c) {
        return transposed.norms[c] - 2 * static_cast<double>(products[c]);
    };
    double lowest = std::numeric_limits<double>::infinity();
    for (std::size_t c = 0; c < num_centers; ++c) {
        const double own = score(c);
        if (own > -std::numeric_limits<double>::infinity()) lowest = std::min(lowest, own);
    }
    const double norm = std::sqrt(row.squared_norm), largest = transposed.max_norm;
    const double margin = points.normalize ? cosine_margin<T>(points.dimensions) : 0.0;
    const double reach =
        2 * score_error_unit<T>(row.count()) * (largest * largest + 2 * norm * largest) +
        2 * margin * (1 + norm + largest) * (1 + norm + largest) +
        static_cast<double>(row.count() + 4) * static_cast<double>(std::numeric_limits<T>::min());
    scratch.candidates.clear();
    for (std::size_t c = 0; c < num_centers; ++c) {
        const double own = score(c);
        // What has overflowed says nothing.
        if (!(own > lowest + reach) || !std::isfinite(own)) scratch.candidates.push_back(c);
    }
}

template <class T>
std::size_t nearest_center(const SparseRows& points, const Centers<T>& centers,
                           const TransposedCenters<T>& transposed, const SparseOrder<T>& order,
                           const BlockKernels<T>& kernels, SparseScratch<T>& scratch) {
    const SparseRow<T>& row = scratch.row;
    if (points.normalize && row.squared_norm == 0) return 0;
    scratch.products.resize(transposed.padded);
    kernels.sparse_products(row.values.data(), row.columns.data(), row.count(),
                            transposed.values.data(), transposed.padded, scratch.products.data());
    find_candidates(points, centers.num_centers, transposed, scratch);
    return order.first_of(row, scratch.candidates, scratch.dense);
}

double pass_seconds(const SparseRows& points, std::size_t num_centers) {
    const auto non_zeros = integer_at(points.row_starts, points.wide_starts, points.num_rows);
    return seconds_for(static_cast<double>(non_zeros) * static_cast<double>(num_centers + 8));
}

// Squared chord with the rules for zero vectors: twice the cosine distance.
double cosine_adjusted(double distance, double squared_norm, bool normalize) {
    return normalize && squared_norm == 0 ? 2.0 : distance;
}

// The sums of an update. counts: IN [num_clusters], rows of each
template <class T>
void add_up(const SparseRows& points, const Update& update, std::size_t num_clusters,
            const std::int32_t* cluster_index, const std::int64_t* counts) {
    const double seconds = pass_seconds(points, 0);
    if (update.weights)
        *update.sums =
            sparse_sums<T>(points, update.weights, seconds, num_clusters, cluster_index, counts);
    else
        *update.sums = sparse_sums<T>(points, seconds, num_clusters, cluster_index, counts);
    if (update.weight_sums)
        *update.weight_sums =
            add_weights(update.weights, points.num_rows, cluster_index, num_clusters);
}

// Adds a row's distance times its weight; returns whether that and the weighed values are finite.
template <class T>
bool add_weighed(const SparseRow<T>& row, double distance, double weight, InertiaAdder& inertia) {
    bool finite = true;
    inertia.add(&distance, &weight, 1, [&](std::size_t) { finite = false; });
    for (const T value : row.values) finite &= std::isfinite(weight * static_cast<double>(value));
    return finite;
}

} // namespace

template <class T>
std::int64_t assign_sparse(const SparseRows& points, const Centers<T>& centers,
                           std::int32_t* cluster_index, const Update& update) {
    const std::size_t dimensions = points.dimensions;
    const BlockKernels<T>& kernels = current_kernels<T>();
    const TransposedCenters<T> transposed(centers, dimensions, kernels.panel_width);
    const SparseOrder<T> order(points, centers, transposed.norms, transposed.max_norm);
    const ShrinkingChunks chunks = cut_rows(points.num_rows);
    struct Worker {
        explicit Worker(std::size_t num_centers) : counts(num_centers, 0) {}
        SparseScratch<T> scratch;
        std::vector<std::int64_t> counts;
        OneByOneAdder inertia;
        InertiaAdder weighted;
    };
    PerThread<Worker> workers;
    FirstBadRow bad_row;
    parallel_for(chunks.count(), pass_seconds(points, centers.num_centers), [&](std::size_t chunk) {
        Worker& worker =
            workers.mine([&] { return std::make_unique<Worker>(centers.num_centers); });
        SparseScratch<T>& scratch = worker.scratch;
        SparseRow<T>& row = scratch.row;
        for (std::size_t i = chunks.begin(chunk); i < chunks.end(chunk); ++i) {
            load_row(points, i, row);
            if (!std::isfinite(row.squared_norm)) {
                bad_row.report(i);
                continue;
            }
            const std::size_t c =
                nearest_center(points, centers, transposed, order, kernels, scratch);
            cluster_index[i] = static_cast<std::int32_t>(c);
            const double distance = cosine_adjusted(
                squared_distance(row, centers.values + c * dimensions, transposed.norms[c]),
                row.squared_norm, points.normalize);
            ++worker.counts[c];
            if (!std::isfinite(distance)) {
                bad_row.report(i);
            } else if (update.weights) {
                if (!add_weighed(row, distance, update.weights[i], worker.weighted))
                    bad_row.report(i);
            } else {
                worker.inertia.add(distance);
            }
        }
    });
    if (bad_row.get() >= 0) return bad_row.get();
    std::vector<std::int64_t> counts(centers.num_centers, 0);
    if (update.inertia) *update.inertia = {};
    for (const auto& [owner, worker] : workers.all()) {
        if (update.inertia) {
            update.inertia->add(worker->inertia.total());
            worker->weighted.add_to(*update.inertia);
        }
        for (std::size_t c = 0; c < centers.num_centers; ++c) counts[c] += worker->counts[c];
    }
    if (update.counts) std::copy(counts.begin(), counts.end(), update.counts);
    if (update.sums) add_up<T>(points, update, centers.num_centers, cluster_index, counts.data());
    return -1;
}

// Products in float64 whatever T is: |x|^2 + |c|^2 - 2xc cancels where a point is near a center.
template <class T>
std::int64_t all_distances_sparse(const SparseRows& points, const Centers<T>& centers,
                                  T* distances) {
    const std::size_t k = centers.num_centers;
    const std::vector<double> wide(centers.values, centers.values + k * points.dimensions);
    const BlockKernels<double>& kernels = current_kernels<double>();
    const TransposedCenters<double> transposed({wide.data(), k, centers.penalties, nullptr},
                                               points.dimensions, kernels.panel_width);
    const SparseOrder<T> order(points, centers, transposed.norms, transposed.max_norm);
    const ShrinkingChunks chunks = cut_rows(points.num_rows);
    FirstBadRow bad_row;
    parallel_for(chunks.count(), pass_seconds(points, k), [&](std::size_t chunk) {
        SparseRow<T> row;
        std::vector<double> values;
        AlignedVector<double> products(transposed.padded);
        std::vector<double> dense;
        for (std::size_t i = chunks.begin(chunk); i < chunks.end(chunk); ++i) {
            load_row(points, i, row);
            values.assign(row.values.begin(), row.values.end());
            kernels.sparse_products(values.data(), row.columns.data(), row.count(),
                                    transposed.values.data(), transposed.padded, products.data());
            for (std::size_t c = 0; c < k; ++c) {
                const double distance = row.squared_norm + transposed.norms[c] - 2 * products[c];
                distances[i * k + c] = static_cast<T>(cosine_adjusted(
                    distance < 0 ? 0 : distance, row.squared_norm, points.normalize));
                if (!std::isfinite(distances[i * k + c])) bad_row.report(i);
            }
            if (!points.normalize || row.squared_norm == 0) continue;
            // |x|^2 + |c|^2 - 2xc of vectors of about length 1.
            const double absolute = static_cast<double>(row.count() + 16) * 8 * float64_unit;
            settle_least(points.dimensions, k, distances + i * k, absolute,
                         [&](std::size_t c) { return order.cosine(row, c, dense); });
        }
    });
    return bad_row.get();
}

#define CENTROIDS_INSTANTIATE(T)                                                                   \
    template std::int64_t assign_sparse(const SparseRows&, const Centers<T>&, std::int32_t*,       \
                                        const Update&);                                            \
    template std::int64_t all_distances_sparse(const SparseRows&, const Centers<T>&, T*);
CENTROIDS_INSTANTIATE(float)
CENTROIDS_INSTANTIATE(double)

} // namespace centroids
