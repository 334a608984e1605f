// The order of exact_order.h for sparse rows.
#pragma once

#include "search/exact_order.h"
#include "search/sparse_rows.h"

#include <cmath>
#include <limits>
#include <memory>
#include <mutex>
#include <vector>

namespace centroids {

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

} // namespace centroids
