// Centers prepared for one call: shifted to their mean, laid out in panels, with their norms.
#pragma once

#include "runtime/aligned_vector.h"
#include "isa/block_kernels.h"
#include "runtime/dispatch.h"
#include "api/kmeans.h"
#include "search/exact_order.h"
#include "search/work_plan.h"

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

// Two scores are told apart where their gap is above
// fixed + by_norm |x| + by_square |x|^2 for x = point - shift.
struct ScoreReach {
    double fixed, by_norm, by_square;
};

// error: as score_error_unit gives it; square: C^2, the largest |c - shift|^2; margin: what unit
// vectors of T may differ by from the distances that are compared, see exact_order.h
inline ScoreReach reach_of_scores(double error, double square, double margin) {
    const double norm = std::sqrt(square);
    return {.fixed =
                2 * error * square + 2 * margin * norm + 4 * margin * square + 2 * margin * margin,
            .by_norm = 4 * error * norm + 2 * margin,
            .by_square = 4 * margin};
}

// The point that centers and points are moved by; exact arithmetic is not needed, only one value.
template <class T>
AlignedVector<T> mean_of_centers(const Centers<T>& centers, std::size_t dimensions) {
    AlignedVector<T> mean(dimensions);
    constexpr std::size_t together = 32;
    for_each_part(groups_of(together, dimensions), centers.num_centers * dimensions, 1e-9,
                  [&](std::size_t part) {
                      const std::size_t first = part * together;
                      const std::size_t count = std::min(together, dimensions - first);
                      double sums[together] = {};
                      for (std::size_t c = 0; c < centers.num_centers; ++c)
                          for (std::size_t j = 0; j < count; ++j)
                              sums[j] +=
                                  static_cast<double>(centers.values[c * dimensions + first + j]);
                      for (std::size_t j = 0; j < count; ++j)
                          mean[first + j] =
                              static_cast<T>(sums[j] / static_cast<double>(centers.num_centers));
                  });
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
        std::vector<double> norms(num_panels, 0.0);
        for_each_part(num_panels, k * dimensions, 3e-9, [&](std::size_t panel) {
            const std::size_t end = std::min((panel + 1) * width, k);
            for (std::size_t c = panel * width; c < end; ++c)
                norms[panel] = std::fmax(norms[panel], pack(centers, c, dimensions, width));
        });
        double largest = *std::max_element(norms.begin(), norms.end());
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
    // Returns |c - shift|^2.
    double pack(const Centers<T>& centers, std::size_t c, std::size_t dimensions,
                std::size_t width) {
        const T* const center = centers.values + c * dimensions;
        const bool in_panels = weights_.empty();
        T* const to = in_panels ? panels_.data() + c / width * dimensions * width + c % width
                                : weights_.data() + c * dimensions;
        const double norm = current_kernels<T>().pack_center(center, shift_.data(), dimensions, to,
                                                             in_panels ? width : 1);
        norms_[c] = static_cast<T>(centers.penalties ? norm + centers.penalties[c] : norm);
        if (in_panels) panel_norms_[c] = norms_[c];
        return norm;
    }

    // square, margin: as reach_of_scores has them
    void set_reach(double square, double margin) {
        const ScoreReach reach =
            reach_of_scores(score_error_unit<T>(view.dimensions), square, margin);
        const double underflow = static_cast<double>(view.dimensions + 4) *
                                 static_cast<double>(std::numeric_limits<T>::min()) * 1.1;
        view.reach_fixed = static_cast<T>(reach.fixed + underflow);
        view.reach_by_norm = static_cast<T>(reach.by_norm);
        view.reach_by_square = static_cast<T>(reach.by_square);
        // Where scores may overflow, or float64 distances, these are looked at: C^2 + 2 |x| C is no
        // more than 2 C^2 + |x|^2.
        constexpr double most = static_cast<double>(std::numeric_limits<T>::max()) / 8;
        view.largest_square = static_cast<T>(square < most ? most - square : -1.0);
    }

    AlignedVector<T> shift_, norms_, panels_, panel_norms_, weights_;
};

} // namespace centroids
