// Compressed sparse rows against dense centers, without ever making a row dense: work and memory
// are linear in the non-zeros. Exactness works as for dense points: a rounding bound, then float64.
#include "centroids/aligned_vector.h"
#include "centroids/dispatch.h"
#include "pack_centers.h"
#include "work_plan.h"

namespace centroids {
namespace {

constexpr std::size_t most_chunks = 64;

template <class T>
struct SparseRow {
    std::vector<T> values;
    std::vector<std::int64_t> columns;
    double squared_norm = 0;
    std::size_t count() const { return values.size(); }
};

std::int64_t integer_at(const void* data, bool wide, std::size_t at) {
    return wide ? static_cast<const std::int64_t*>(data)[at]
                : static_cast<const std::int32_t*>(data)[at];
}

template <class T>
void load_row(const SparseRows& points, std::size_t index, SparseRow<T>& row) {
    const auto begin =
        static_cast<std::size_t>(integer_at(points.row_starts, points.wide_starts, index));
    const auto end =
        static_cast<std::size_t>(integer_at(points.row_starts, points.wide_starts, index + 1));
    row.values.resize(end - begin);
    row.columns.resize(end - begin);
    for (std::size_t i = begin; i < end; ++i)
        row.columns[i - begin] = integer_at(points.columns, points.wide_columns, i);
    // The values of a row are a dense row of their own: same conversion, same normalisation.
    const DenseRows values{points.values, points.type, 1, end, 0, 1, false};
    const std::size_t size = points.type == ElementType::float32 ? 4 : 8;
    const DenseRows own{static_cast<const char*>(values.data) + begin * size,
                        points.type,
                        1,
                        end - begin,
                        0,
                        1,
                        points.normalize};
    const Block<T> block = load_rows<T>(own, 0, 1, row.values.data());
    std::copy_n(block.rows, end - begin, row.values.data());
    row.squared_norm = 0;
    for (const T value : row.values)
        row.squared_norm += static_cast<double>(value) * static_cast<double>(value);
}

// Centers transposed and padded, with their norms in float64.
template <class T>
struct TransposedCenters {
    TransposedCenters(const Centers<T>& centers, std::size_t dimensions, std::size_t width)
        : padded((centers.num_centers + width - 1) / width * width),
          values(padded * dimensions, T(0)), norms(centers.num_centers) {
        double largest = 0;
        for (std::size_t c = 0; c < centers.num_centers; ++c) {
            for (std::size_t j = 0; j < dimensions; ++j) {
                const T value = centers.values[c * dimensions + j];
                values[j * padded + c] = value;
                norms[c] += static_cast<double>(value) * static_cast<double>(value);
            }
            if (centers.penalties) norms[c] += centers.penalties[c];
            largest = std::fmax(largest, norms[c]);
        }
        max_norm = std::sqrt(largest);
    }
    std::size_t padded;
    AlignedVector<T> values;
    std::vector<double> norms; // squared, penalties included
    double max_norm;
};

template <class T>
double squared_distance(const SparseRow<T>& row, const T* center, double center_norm) {
    double product = 0;
    for (std::size_t i = 0; i < row.count(); ++i)
        product += static_cast<double>(row.values[i]) *
                   static_cast<double>(center[static_cast<std::size_t>(row.columns[i])]);
    const double distance = row.squared_norm + center_norm - 2 * product;
    return distance < 0 ? 0 : distance; // NaN stays
}

template <class T>
std::size_t nearest_center(const SparseRow<T>& row, const SparseRows& points,
                           const Centers<T>& centers, const TransposedCenters<T>& transposed,
                           std::vector<T>& products) {
    if (points.normalize && row.squared_norm == 0) return 0;
    const std::size_t k = centers.num_centers;
    current_kernels<T>().sparse_products(row.values.data(), row.columns.data(), row.count(),
                                         transposed.values.data(), transposed.padded,
                                         products.data());
    const auto score = [&](std::size_t c) {
        return transposed.norms[c] - 2 * static_cast<double>(products[c]);
    };
    double lowest = std::numeric_limits<double>::infinity();
    for (std::size_t c = 0; c < k; ++c) lowest = std::min(lowest, score(c));
    const double reach =
        2 * score_error_unit<T>(row.count()) *
            (transposed.max_norm * transposed.max_norm +
             2 * std::sqrt(row.squared_norm) * transposed.max_norm) +
        static_cast<double>(row.count() + 4) * static_cast<double>(std::numeric_limits<T>::min());
    double best = std::numeric_limits<double>::infinity();
    std::size_t nearest = 0;
    for (std::size_t c = 0; c < k; ++c) {
        if (score(c) > lowest + reach) continue;
        const double distance =
            squared_distance(row, centers.values + c * points.dimensions, transposed.norms[c]);
        if (distance < best) {
            best = distance;
            nearest = c;
        }
    }
    return nearest;
}

double pass_seconds(const SparseRows& points, std::size_t num_centers) {
    const auto non_zeros = integer_at(points.row_starts, points.wide_starts, points.num_rows);
    return seconds_for(static_cast<double>(non_zeros) * static_cast<double>(num_centers + 8));
}

// Squared chord with the rules for zero vectors: twice the cosine distance.
double cosine_adjusted(double distance, double squared_norm, bool normalize) {
    return normalize && squared_norm == 0 ? 2.0 : distance;
}

} // namespace

template <class T>
std::int64_t assign_sparse(const SparseRows& points, const Centers<T>& centers,
                           std::int32_t* cluster_index, const Update& update) {
    const std::size_t dimensions = points.dimensions;
    const TransposedCenters<T> transposed(centers, dimensions, current_kernels<T>().panel_width);
    const Chunks chunks = cut_rows(points.num_rows, most_chunks);
    std::vector<double> inertia(chunks.count(), 0.0);
    FirstBadRow bad_row;
    parallel_for(chunks.count(), pass_seconds(points, centers.num_centers), [&](std::size_t chunk) {
        SparseRow<T> row;
        std::vector<T> products(transposed.padded);
        for (std::size_t i = chunks.begin(chunk); i < chunks.end(chunk); ++i) {
            load_row(points, i, row);
            if (!std::isfinite(row.squared_norm)) {
                bad_row.report(i);
                continue;
            }
            const std::size_t c = nearest_center(row, points, centers, transposed, products);
            cluster_index[i] = static_cast<std::int32_t>(c);
            if (update.inertia)
                inertia[chunk] += cosine_adjusted(
                    squared_distance(row, centers.values + c * dimensions, transposed.norms[c]),
                    row.squared_norm, points.normalize);
        }
    });
    if (bad_row.get() >= 0) return bad_row.get();
    if (update.inertia) {
        *update.inertia = 0;
        for (const double part : inertia) *update.inertia += part;
    }
    if (update.counts) count_rows(cluster_index, chunks, centers.num_centers, update.counts);
    if (update.sums) {
        std::fill_n(update.sums, centers.num_centers * dimensions, 0.0);
        add_by_cluster(cluster_index, points.num_rows, centers.num_centers, dimensions,
                       pass_seconds(points, 0), update.sums,
                       [&](std::size_t index, std::size_t, double* sums) {
                           static thread_local SparseRow<T> row;
                           load_row(points, index, row);
                           for (std::size_t i = 0; i < row.count(); ++i)
                               sums[row.columns[i]] += static_cast<double>(row.values[i]);
                       });
    }
    return -1;
}

// Products in float64 whatever T is: |x|^2 + |c|^2 - 2xc cancels where a point is near a center.
template <class T>
std::int64_t all_distances_sparse(const SparseRows& points, const Centers<T>& centers,
                                  T* distances) {
    const std::size_t k = centers.num_centers;
    const std::vector<double> wide(centers.values, centers.values + k * points.dimensions);
    const BlockKernels<double>& kernels = current_kernels<double>();
    const TransposedCenters<double> transposed({wide.data(), k, centers.penalties},
                                               points.dimensions, kernels.panel_width);
    const Chunks chunks = cut_rows(points.num_rows, most_chunks);
    FirstBadRow bad_row;
    parallel_for(chunks.count(), pass_seconds(points, k), [&](std::size_t chunk) {
        SparseRow<T> row;
        std::vector<double> values;
        AlignedVector<double> products(transposed.padded);
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
