// Compressed sparse rows against dense centers, without ever making a row dense: work and memory
// are linear in the non-zeros. Labels are those of the same points as dense rows: a rounding bound,
// then float64, then the order of exact_order.h.
#include "runtime/aligned_vector.h"
#include "runtime/dispatch.h"
#include "search/exact_order.h"
#include "search/pack_centers.h"
#include "search/work_plan.h"
#include "sums/total_adder.h"

#include <memory>
#include <mutex>
#include <stdexcept>

namespace centroids {
namespace {

constexpr std::size_t most_chunks = 64;

template <class T>
struct SparseRow {
    std::vector<T> values;
    std::vector<std::int64_t> columns;
    std::vector<double> unit; // for cosine: the values of the unit vector in float64
    double squared_norm = 0;
    std::size_t count() const { return values.size(); }
};

std::int64_t integer_at(const void* data, bool wide, std::size_t at) {
    return wide ? static_cast<const std::int64_t*>(data)[at]
                : static_cast<const std::int32_t*>(data)[at];
}

double value_at(const SparseRows& points, std::size_t at) {
    return points.type == ElementType::float32
               ? static_cast<double>(static_cast<const float*>(points.values)[at])
               : static_cast<const double*>(points.values)[at];
}

// The values divided by their norm, with the arithmetic of dense rows.
void normalize(std::vector<double>& values, const std::vector<std::int64_t>& columns) {
    const auto scaled_squares = [&](double factor) {
        EightByColumn sum;
        for (std::size_t i = 0; i < values.size(); ++i) {
            const double value = values[i] * factor;
            sum.add(static_cast<std::size_t>(columns[i]), value * value);
        }
        return sum.total();
    };
    double factor = 1, squares = scaled_squares(factor);
    if (!(squares > 1e-200 && squares < 1e300)) {
        double largest = 0;
        for (const double value : values) largest = std::fmax(largest, std::fabs(value));
        factor = largest == 0 || !(largest <= std::numeric_limits<double>::max())
                     ? 0.0 * largest + 1
                     : 1 / std::fmax(largest, std::numeric_limits<double>::min());
        squares = scaled_squares(factor);
        if (squares == 0) return;
    }
    const double inverse = 1 / std::sqrt(squares);
    for (double& value : values) value = value * factor * inverse;
}

template <class T>
void load_row(const SparseRows& points, std::size_t index, SparseRow<T>& row) {
    const std::int64_t begin = integer_at(points.row_starts, points.wide_starts, index);
    const std::int64_t end = integer_at(points.row_starts, points.wide_starts, index + 1);
    if (begin < 0 || end < begin || end > static_cast<std::int64_t>(points.num_values))
        throw_changed();
    const auto first = static_cast<std::size_t>(begin);
    const auto count = static_cast<std::size_t>(end - begin);
    row.values.resize(count);
    row.columns.resize(count);
    std::uint64_t highest = 0;
    for (std::size_t i = 0; i < count; ++i) {
        row.columns[i] = integer_at(points.columns, points.wide_columns, first + i);
        highest = std::max(highest, static_cast<std::uint64_t>(row.columns[i]));
    }
    if (count > 0 && highest >= points.dimensions) throw_changed();
    if (points.normalize) {
        row.unit.resize(count);
        for (std::size_t i = 0; i < count; ++i) row.unit[i] = value_at(points, first + i);
        normalize(row.unit, row.columns);
        for (std::size_t i = 0; i < count; ++i) row.values[i] = static_cast<T>(row.unit[i]);
    } else {
        for (std::size_t i = 0; i < count; ++i)
            row.values[i] = static_cast<T>(value_at(points, first + i));
    }
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
            const T* const center = centers.values + c * dimensions;
            for (std::size_t j = 0; j < dimensions; ++j) values[j * padded + c] = center[j];
            norms[c] = norm(center, dimensions);
            if (centers.penalties) norms[c] += centers.penalties[c];
            largest = std::fmax(largest, norms[c]);
        }
        max_norm = std::sqrt(largest);
    }
    std::size_t padded;
    AlignedVector<T> values;
    std::vector<double> norms; // squared, penalties included, rounded some ten times
    double max_norm;

  private:
    // In eight parts, each with what its additions have lost.
    static double norm(const T* center, std::size_t dimensions) {
        double sums[8] = {}, lost[8] = {};
        const auto add = [&](std::size_t part, T element) {
            const double value = static_cast<double>(element), square = value * value;
            const double sum = sums[part] + square, rest = sum - sums[part];
            lost[part] += (sums[part] - (sum - rest)) + (square - rest);
            sums[part] = sum;
        };
        std::size_t j = 0;
        for (; j + 8 <= dimensions; j += 8)
            for (std::size_t part = 0; part < 8; ++part) add(part, center[j + part]);
        for (; j < dimensions; ++j) add(j % 8, center[j]);
        double sum = 0, rest = 0;
        for (std::size_t part = 0; part < 8; ++part) {
            sum += sums[part];
            rest += lost[part];
        }
        return std::isfinite(rest) ? sum + rest : sum;
    }
};

template <class T>
double product(const SparseRow<T>& row, const T* center) {
    double sum = 0;
    for (std::size_t i = 0; i < row.count(); ++i)
        sum += static_cast<double>(row.values[i]) *
               static_cast<double>(center[static_cast<std::size_t>(row.columns[i])]);
    return sum;
}

template <class T>
double squared_distance(const SparseRow<T>& row, const T* center, double center_norm) {
    const double distance = row.squared_norm + center_norm - 2 * product(row, center);
    return distance < 0 ? 0 : distance; // NaN stays
}

// The order of exact_order.h for sparse rows.
template <class T>
class SparseOrder {
  public:
    SparseOrder(const SparseRows& points, const Centers<T>& centers,
                const std::vector<double>& norms, double max_norm)
        : points_(points), centers_(centers), norms_(norms), max_norm_(max_norm),
          units_(centers, points.dimensions, points.normalize) {}

    // Of one thread: a dense row of zeros, and in between the row in question.
    using Dense = std::vector<double>;

    // The first of the candidates, ascending centers.
    std::size_t first_of(const SparseRow<T>& row, const std::vector<std::size_t>& candidates,
                         Dense& dense) const {
        std::size_t nearest = candidates[0];
        if (candidates.size() < 2) return nearest;
        if (points_.normalize) {
            T least = cosine(row, nearest, dense);
            for (const std::size_t c : candidates) {
                const T distance = cosine(row, c, dense);
                if (distance < least) {
                    least = distance;
                    nearest = c;
                }
            }
            return nearest;
        }
        double score = score_of(row, nearest);
        const double margin = score_margin(row);
        for (std::size_t i = 1; i < candidates.size(); ++i) {
            const double own = score_of(row, candidates[i]);
            const bool open = !(std::fabs(own - score) > margin);
            if (open ? !exactly_before(row, candidates[i], own, nearest, score) : own > score)
                continue;
            score = own;
            nearest = candidates[i];
        }
        return nearest;
    }

    // Twice the cosine distance, as all_distances gives it.
    T cosine(const SparseRow<T>& row, std::size_t center, Dense& dense) const {
        const double* const c = units_.of(center);
        EightByColumn sum;
        for (std::size_t i = 0; i < row.count(); ++i) {
            const auto column = static_cast<std::size_t>(row.columns[i]);
            sum.add(column, row.unit[i] * c[column]);
        }
        return cosine_distance<T>(sum.total(), [&] {
            dense.resize(points_.dimensions, 0.0);
            for (std::size_t i = 0; i < row.count(); ++i)
                dense[static_cast<std::size_t>(row.columns[i])] = row.unit[i];
            const double squares = squares_of_difference(dense.data(), c, points_.dimensions);
            for (const std::int64_t column : row.columns)
                dense[static_cast<std::size_t>(column)] = 0;
            return squares;
        });
    }

  private:
    double score_of(const SparseRow<T>& row, std::size_t c) const {
        return norms_[c] - 2 * product(row, centers_.values + c * points_.dimensions);
    }

    // What two scores in float64 may err by together.
    double score_margin(const SparseRow<T>& row) const {
        return 2.02 * float64_unit *
                   (2 * static_cast<double>(row.count() + 8) * std::sqrt(row.squared_norm) *
                        max_norm_ +
                    24 * max_norm_ * max_norm_) +
               static_cast<double>(row.count() + 8) * std::numeric_limits<double>::min();
    }

    // Whether center a comes before b, in exact arithmetic.
    bool exactly_before(const SparseRow<T>& row, std::size_t a, double score_a, std::size_t b,
                        double score_b) const {
        if (!std::isfinite(score_a) || !std::isfinite(score_b))
            return std::isfinite(score_a) && !std::isfinite(score_b);
        const double to_a = vanishing_distance(row, a), to_b = vanishing_distance(row, b);
        if (to_a < vanishing || to_b < vanishing) return to_a < to_b || (to_a == to_b && a < b);
        prepare();
        Lattice own;
        own.add(row.values.data(), row.count());
        if (own.exact_with(lattice_, points_.dimensions))
            return score_a < score_b || (score_a == score_b && a < b);
        const T* const left = centers_.values + a * points_.dimensions;
        const T* const right = centers_.values + b * points_.dimensions;
        ExactSum difference = exact_norm(a);
        difference.subtract(exact_norm(b));
        for (std::size_t i = 0; i < row.count(); ++i) {
            const auto column = static_cast<std::size_t>(row.columns[i]);
            const auto x = static_cast<double>(row.values[i]);
            difference.add(x, static_cast<double>(left[column]), true, 1);
            difference.add(x, static_cast<double>(right[column]), false, 1);
        }
        const int sign = difference.sign();
        return sign < 0 || (sign == 0 && a < b);
    }

    // The squared distance as of dense rows, where it is below `vanishing`; else infinity.
    double vanishing_distance(const SparseRow<T>& row, std::size_t c) const {
        const T* const center = centers_.values + c * points_.dimensions;
        EightByColumn sum;
        std::size_t at = 0;
        for (std::size_t j = 0; j < points_.dimensions; ++j) {
            const bool stored = at < row.count() && static_cast<std::size_t>(row.columns[at]) == j;
            const double x = stored ? static_cast<double>(row.values[at++]) : 0.0;
            const double difference = x - static_cast<double>(center[j]);
            const double square = difference * difference;
            if (!(square < vanishing)) return std::numeric_limits<double>::infinity();
            sum.add(j, square);
        }
        return sum.total();
    }

    void prepare() const {
        std::call_once(prepared_, [&] {
            lattice_.add(centers_.values, centers_.num_centers * points_.dimensions);
            exact_norms_ = std::make_unique<ExactNorm[]>(centers_.num_centers);
        });
    }

    struct ExactNorm {
        std::once_flag known;
        std::unique_ptr<ExactSum> sum;
    };

    const ExactSum& exact_norm(std::size_t c) const {
        ExactNorm& norm = exact_norms_[c];
        std::call_once(norm.known, [&] {
            norm.sum = std::make_unique<ExactSum>();
            for (std::size_t j = 0; j < points_.dimensions; ++j) {
                const auto value = static_cast<double>(centers_.values[c * points_.dimensions + j]);
                norm.sum->add(value, value);
            }
        });
        return *norm.sum;
    }

    const SparseRows& points_;
    const Centers<T>& centers_;
    const std::vector<double>& norms_;
    const double max_norm_;
    const UnitCenters<T> units_;
    mutable std::once_flag prepared_;
    mutable Lattice lattice_;
    mutable std::unique_ptr<ExactNorm[]> exact_norms_;
};

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
                           SparseScratch<T>& scratch) {
    const SparseRow<T>& row = scratch.row;
    if (points.normalize && row.squared_norm == 0) return 0;
    scratch.products.resize(transposed.padded);
    current_kernels<T>().sparse_products(row.values.data(), row.columns.data(), row.count(),
                                         transposed.values.data(), transposed.padded,
                                         scratch.products.data());
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

// Each thread adds the rows of some clusters, one after the other: their sums stay in its cache.
template <class T>
void add_sparse_rows(const SparseRows& points, std::size_t num_clusters,
                     const std::int32_t* cluster_index, ExactSums& sums) {
    sums = ExactSums(num_clusters, points.dimensions);
    for (std::size_t i = 0; i < points.num_rows; ++i) {
        static thread_local SparseRow<T> row;
        load_row(points, i, row);
        for (std::size_t at = 0; at < row.count(); ++at) {
            const Parts parts(static_cast<double>(row.values[at]));
            sums.odd().add(static_cast<std::size_t>(cluster_index[i]) * points.dimensions +
                               static_cast<std::size_t>(row.columns[at]),
                           parts.mantissa, parts.exponent, parts.negative);
        }
    }
}

} // namespace

void throw_changed() {
    throw std::invalid_argument("points are a damaged sparse matrix: it was changed by another "
                                "thread or process while it was read");
}

template <class T>
std::int64_t assign_sparse(const SparseRows& points, const Centers<T>& centers,
                           std::int32_t* cluster_index, const Update& update) {
    const std::size_t dimensions = points.dimensions;
    const TransposedCenters<T> transposed(centers, dimensions, current_kernels<T>().panel_width);
    const SparseOrder<T> order(points, centers, transposed.norms, transposed.max_norm);
    const Chunks chunks = cut_rows(points.num_rows, most_chunks);
    struct Worker {
        SparseScratch<T> scratch;
        std::vector<std::int64_t> counts;
        TotalAdder inertia;
    };
    PerThread<Worker> workers;
    FirstBadRow bad_row;
    parallel_for(chunks.count(), pass_seconds(points, centers.num_centers), [&](std::size_t chunk) {
        Worker& worker = workers.mine([&] {
            auto made = std::make_unique<Worker>();
            made->counts.assign(centers.num_centers, 0);
            return made;
        });
        SparseScratch<T>& scratch = worker.scratch;
        SparseRow<T>& row = scratch.row;
        for (std::size_t i = chunks.begin(chunk); i < chunks.end(chunk); ++i) {
            load_row(points, i, row);
            if (!std::isfinite(row.squared_norm)) {
                bad_row.report(i);
                continue;
            }
            const std::size_t c = nearest_center(points, centers, transposed, order, scratch);
            cluster_index[i] = static_cast<std::int32_t>(c);
            const double distance = cosine_adjusted(
                squared_distance(row, centers.values + c * dimensions, transposed.norms[c]),
                row.squared_norm, points.normalize);
            if (!worker.inertia.add(&distance, 1)) bad_row.report(i);
            ++worker.counts[c];
        }
    });
    if (bad_row.get() >= 0) return bad_row.get();
    for (const auto& [owner, worker] : workers.all()) {
        if (update.inertia) update.inertia->add(worker->inertia.total());
        for (std::size_t c = 0; update.counts && c < centers.num_centers; ++c)
            update.counts[c] += worker->counts[c];
    }
    if (update.sums) add_sparse_rows<T>(points, centers.num_centers, cluster_index, *update.sums);
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
    const Chunks chunks = cut_rows(points.num_rows, most_chunks);
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
