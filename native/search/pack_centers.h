// Centers prepared for one call: shifted to their mean, laid out in panels, with their norms.
#pragma once

#include "runtime/aligned_vector.h"
#include "isa/block_kernels.h"
#include "api/kmeans.h"
#include "search/exact_order.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace centroids {

// Roundings that a score can suffer beyond one per dimension: of the shifted point, of the shifted
// center, of the norm, and two to spare.
constexpr double extra_roundings = 6;

// Times C^2 + 2 |x| C: a bound of the error of a score. Infinite where there are so many terms that
// nothing can be said.
template <class T>
double score_error_unit(std::size_t terms) {
    constexpr double unit = std::numeric_limits<T>::epsilon() / 2;
    // The norms of float64 centers are summed with as many roundings as the products.
    const double safety = sizeof(T) == 8 ? 2.0 : 1.01;
    const double error = safety * (static_cast<double>(terms) + extra_roundings) * unit;
    return error < 0.25 ? error / (1 - 2 * error) : std::numeric_limits<double>::infinity();
}

// The point that centers and points are moved by; exact arithmetic is not needed, only one value.
template <class T>
AlignedVector<T> mean_of_centers(const Centers<T>& centers, std::size_t dimensions) {
    std::vector<double> sums(dimensions, 0.0);
    for (std::size_t c = 0; c < centers.num_centers; ++c)
        for (std::size_t j = 0; j < dimensions; ++j)
            sums[j] += static_cast<double>(centers.values[c * dimensions + j]);
    AlignedVector<T> mean(dimensions);
    for (std::size_t j = 0; j < dimensions; ++j)
        mean[j] = static_cast<T>(sums[j] / static_cast<double>(centers.num_centers));
    return mean;
}

template <class T>
class CentersInPanels {
  public:
    // cosine: of unit vectors, whose distances are those of exact_order.h
    CentersInPanels(const Centers<T>& centers, std::size_t dimensions, std::size_t width,
                    bool with_panels, bool cosine)
        : shift_(mean_of_centers<T>(centers, dimensions)), norms_(centers.num_centers) {
        const std::size_t k = centers.num_centers;
        const std::size_t num_panels = groups_of(width, k);
        if (with_panels) {
            panels_.assign(num_panels * dimensions * width, T(0));
            panel_norms_.assign(num_panels * width, std::numeric_limits<T>::infinity());
        } else {
            weights_.resize(k * dimensions);
        }
        double largest = 0;
        for (std::size_t c = 0; c < k; ++c) {
            const T* const center = centers.values + c * dimensions;
            T* const panel =
                with_panels ? panels_.data() + c / width * dimensions * width + c % width : nullptr;
            double norm = 0;
            for (std::size_t j = 0; j < dimensions; ++j) {
                const double value =
                    static_cast<double>(center[j]) - static_cast<double>(shift_[j]);
                norm += value * value;
                const T weight = static_cast<T>(-2 * value);
                if (with_panels)
                    panel[j * width] = weight;
                else
                    weights_[c * dimensions + j] = weight;
            }
            largest = std::fmax(largest, norm);
            if (centers.penalties) norm += centers.penalties[c];
            norms_[c] = static_cast<T>(norm);
            if (with_panels) panel_norms_[c] = norms_[c];
        }
        const double penalty = centers.penalties ? 1.0 : 0.0; // largest penalty there is
        largest += penalty;
        view = {.num_centers = k,
                .dimensions = dimensions,
                .num_panels = num_panels,
                .panels = panels_.data(),
                .panel_norms = panel_norms_.data(),
                .weights = weights_.data(),
                .norms = norms_.data(),
                .shift = shift_.data(),
                .reach_fixed = 0,
                .reach_by_norm = 0,
                .reach_by_square = 0,
                .largest_square = 0};
        set_reach(largest, cosine ? cosine_margin<T>(dimensions) : 0.0);
    }

    PackedCenters<T> view;

  private:
    // square: C^2, the largest |c - shift|^2; margin: what unit vectors of T may differ by from the
    // distances that are compared, see exact_order.h
    void set_reach(double square, double margin) {
        const double norm = std::sqrt(square), error = score_error_unit<T>(view.dimensions);
        const double underflow = static_cast<double>(view.dimensions + 4) *
                                 static_cast<double>(std::numeric_limits<T>::min()) * 1.1;
        view.reach_fixed = static_cast<T>(2 * error * square + underflow + 2 * margin * norm +
                                          4 * margin * square + 2 * margin * margin);
        view.reach_by_norm = static_cast<T>(4 * error * norm + 2 * margin);
        view.reach_by_square = static_cast<T>(4 * margin);
        // Where float64 distances may overflow, they are looked at.
        constexpr double most = std::numeric_limits<double>::max() / 8;
        if constexpr (sizeof(T) == 4)
            view.largest_square = std::numeric_limits<T>::infinity();
        else
            view.largest_square = square < most ? most - square : -1.0;
    }

    AlignedVector<T> shift_, norms_, panels_, panel_norms_, weights_;
};

} // namespace centroids
