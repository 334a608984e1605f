// Which of two centers is nearer to a point: the one comparison that every search ends with where
// its own numbers leave it open. The answer is a function of the point and the two centers alone.
//
// Squared Euclidean: the nearer one in exact arithmetic, the lower index where they are equally
// far. Float64 distances decide where their difference is above what rounding can do to them, and
// where one is so small that squares lose digits at the end of float64's range.
//
// Cosine: the one with the lower `cosine_distance` below, rounded to the type of the points as
// all_distances gives it; the lower index where these are equal.
#pragma once

#include "api/kmeans.h"
#include "search/exact_sum.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>
#include <vector>

namespace centroids {

constexpr double float64_unit = std::numeric_limits<double>::epsilon() / 2;

// Below this, squared distances in float64 are compared as they are.
constexpr double vanishing = 1e-300;

// The relative rounding error of squared_distance: of a difference twice, a square, the additions
// to one of eight running sums, three more and a penalty; and one to spare.
inline double squared_distance_error(std::size_t dimensions) {
    return 1.01 * (static_cast<double>(dimensions) / 8 + 8) * float64_unit;
}

// By how much the root of a squared distance of unit vectors may differ from that of the distance
// that `cosine_distance` gives, absolutely where it is below 1 and relatively above: the vectors
// are rounded to T, and so is the distance. With room.
template <class T>
double cosine_margin(std::size_t dimensions) {
    return 4 * (static_cast<double>(std::numeric_limits<T>::epsilon()) +
                (static_cast<double>(dimensions) / 8 + 16) * float64_unit);
}

// Sums in eight parts by column, added as the kernels do: leaving out zeros changes no bit.
class EightByColumn {
  public:
    void add(std::size_t column, double value) { parts_[column % 8] += value; }
    double total() const {
        return ((parts_[0] + parts_[4]) + (parts_[2] + parts_[6])) +
               ((parts_[1] + parts_[5]) + (parts_[3] + parts_[7]));
    }

    // term(column) of all columns below `dimensions`
    template <class Term>
    static double of(std::size_t dimensions, const Term& term) {
        EightByColumn sum;
        std::size_t j = 0;
        for (; j + 8 <= dimensions; j += 8)
            for (std::size_t part = 0; part < 8; ++part) sum.parts_[part] += term(j + part);
        for (; j < dimensions; ++j) sum.add(j, term(j));
        return sum.total();
    }

  private:
    double parts_[8] = {0, 0, 0, 0, 0, 0, 0, 0};
};

// Twice the cosine distance of unit vectors from their product, with what all_distances rounds to
// T: 2 - 2xc far apart, where it is exact for products of 0; |x - c|^2 near each other, where 2 -
// 2xc would cancel. squares(): |x - c|^2, asked for where it is needed
template <class T, class Squares>
T cosine_distance(double product, const Squares& squares) {
    const double twice = product < 0.5 ? 2 - 2 * product : squares();
    return 2 * static_cast<T>(twice / 2);
}

inline double squares_of_difference(const double* x, const double* c, std::size_t dimensions) {
    return EightByColumn::of(dimensions, [&](std::size_t j) {
        const double difference = x[j] - c[j];
        return difference * difference;
    });
}

// The centers as unit vectors in float64.
template <class T>
class UnitCenters {
  public:
    UnitCenters(const Centers<T>& centers, std::size_t dimensions, bool needed)
        : dimensions_(dimensions), values_(centers.units) {
        if (!needed || values_) return;
        if constexpr (sizeof(T) == 8) {
            values_ = centers.values;
        } else {
            own_.assign(centers.values, centers.values + centers.num_centers * dimensions);
            values_ = own_.data();
        }
    }
    UnitCenters(const UnitCenters&) = delete;
    UnitCenters& operator=(const UnitCenters&) = delete;

    const double* of(std::size_t center) const { return values_ + center * dimensions_; }

    // Twice the cosine distance to x, a unit vector, as T.
    T distance(const double* x, std::size_t center) const {
        const double* const c = of(center);
        const double product =
            EightByColumn::of(dimensions_, [&](std::size_t j) { return x[j] * c[j]; });
        return cosine_distance<T>(product,
                                  [&] { return squares_of_difference(x, c, dimensions_); });
    }

  private:
    const std::size_t dimensions_;
    const double* values_;
    std::vector<double> own_;
};

// In lanes, as compilers do by themselves only where no value may be NaN.
template <class T>
T least_of(const T* values, std::size_t count) {
    constexpr std::size_t lanes = 8;
    T least[lanes];
    std::fill_n(least, lanes, values[0]);
    std::size_t i = 0;
    for (; i + lanes <= count; i += lanes)
        for (std::size_t lane = 0; lane < lanes; ++lane)
            least[lane] = values[i + lane] < least[lane] ? values[i + lane] : least[lane];
    for (; i < count; ++i) least[0] = values[i] < least[0] ? values[i] : least[0];
    return *std::min_element(least, least + lanes);
}

// Makes the least of a row's distances what `cosine_distance` says, where more than one may be the
// least: the arg-min of a row is then its label.
// distances: IN OUT [num_centers], squared distances of unit vectors, relatively exact but for
// `absolute`; exact(c): what c has
template <class T, class Exact>
void settle_least(std::size_t dimensions, std::size_t num_centers, T* distances, double absolute,
                  const Exact& exact) {
    const double least = static_cast<double>(least_of(distances, num_centers)) + absolute;
    const double rounding = static_cast<double>(dimensions + 8) *
                            static_cast<double>(std::numeric_limits<T>::epsilon());
    const double margin = cosine_margin<T>(dimensions) + rounding;
    const double root = (std::sqrt(least) + 4 * margin) * (1 + 2 * margin);
    const T limit = static_cast<T>((root * root + absolute) * (1 + 4 * rounding));
    int open = 0;
    for (std::size_t c = 0; c < num_centers; ++c) open += distances[c] <= limit ? 1 : 0;
    for (std::size_t c = 0; open > 1 && c < num_centers; ++c)
        if (distances[c] <= limit) distances[c] = exact(c);
}

// For dense points.
template <class T>
class ExactOrder {
  public:
    // Of one thread: the row that was last looked at, as a unit vector in float64.
    struct Scratch {
        std::vector<double> unit;
        std::size_t row = none;
        void forget() { row = none; }
        static constexpr std::size_t none = std::numeric_limits<std::size_t>::max();
    };

    ExactOrder(const DenseRows& points, const Centers<T>& centers)
        : points_(points), centers_(centers), units_(centers, points.dimensions, points.normalize),
          relative_(points.normalize ? cosine_margin<T>(points.dimensions)
                                     : squared_distance_error(points.dimensions)),
          absolute_(points.normalize ? relative_ * relative_
                                     : static_cast<double>(points.dimensions + 8) *
                                           std::numeric_limits<double>::denorm_min()) {}

    // Whether center a, at the squared distance `to_a` in float64, comes before b.
    // index: of the row; row: its values, normalised for cosine
    bool before(std::size_t index, const T* row, std::size_t a, double to_a, std::size_t b,
                double to_b, Scratch& scratch) const {
        double margin = relative_ * (to_a + to_b) + absolute_;
        if (points_.normalize) margin += relative_ * (std::sqrt(to_a) + std::sqrt(to_b));
        if (to_a - to_b < -margin) return true;
        if (to_a - to_b > margin) return false;
        constexpr double infinity = std::numeric_limits<double>::infinity();
        if (!(to_a < infinity)) return false;
        if (!(to_b < infinity)) return true;
        return points_.normalize ? before_by_cosine(index, a, b, scratch)
                                 : before_exactly(row, a, to_a, b, to_b);
    }

    // Up to which squared distance a center may come before one at `distance`.
    double limit(double distance) const {
        constexpr double room = 1e-9; // above squared_distance_error below 3e7 dimensions
        if (!points_.normalize) return distance * (1 + room);
        const double root = limit_of_root(std::sqrt(distance));
        return root * root * (1 + room);
    }
    // The same of roots of distances, without room for rounding.
    double limit_of_root(double root) const {
        return points_.normalize ? (root + 3 * relative_) * (1 + 2 * relative_) : root;
    }

    // Twice the cosine distance as all_distances gives it.
    T cosine(std::size_t index, std::size_t center, Scratch& scratch) const {
        load(index, scratch);
        return units_.distance(scratch.unit.data(), center);
    }

  private:
    void load(std::size_t index, Scratch& scratch) const {
        if (scratch.row == index) return;
        scratch.unit.resize(points_.dimensions);
        load_rows<double>(points_, index, 1, scratch.unit.data());
        scratch.row = index;
    }

    bool before_by_cosine(std::size_t index, std::size_t a, std::size_t b, Scratch& scratch) const {
        const T to_a = cosine(index, a, scratch), to_b = cosine(index, b, scratch);
        return to_a < to_b || (to_a == to_b && a < b);
    }

    bool before_exactly(const T* row, std::size_t a, double to_a, std::size_t b,
                        double to_b) const {
        if (to_a < vanishing || to_b < vanishing) return to_a < to_b || (to_a == to_b && a < b);
        const std::size_t dimensions = points_.dimensions;
        Lattice own;
        own.add(row, dimensions);
        if (own.exact_with(lattice_of_centers(), dimensions))
            return to_a < to_b || (to_a == to_b && a < b);
        const T* const left = centers_.values + a * dimensions;
        const T* const right = centers_.values + b * dimensions;
        ExactSum difference; // |x - a|^2 - |x - b|^2
        for (std::size_t j = 0; j < dimensions; ++j) {
            const auto x = static_cast<double>(row[j]), at_a = static_cast<double>(left[j]),
                       at_b = static_cast<double>(right[j]);
            if (at_a == at_b) continue;
            difference.add(at_a, at_a);
            difference.add(at_b, at_b, true);
            difference.add(x, at_a, true, 1);
            difference.add(x, at_b, false, 1);
        }
        const int sign = difference.sign();
        return sign < 0 || (sign == 0 && a < b);
    }

    const Lattice& lattice_of_centers() const {
        std::call_once(lattice_once_, [&] {
            lattice_.add(centers_.values, centers_.num_centers * points_.dimensions);
        });
        return lattice_;
    }

    const DenseRows& points_;
    const Centers<T>& centers_;
    const UnitCenters<T> units_;
    const double relative_, absolute_;
    mutable std::once_flag lattice_once_;
    mutable Lattice lattice_;
};

} // namespace centroids
