// Centers transposed and padded, for sparse rows, with their norms in float64.
#pragma once

#include "api/kmeans.h"
#include "runtime/aligned_vector.h"
#include "runtime/round_up.h"
#include "search/work_plan.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace centroids {

template <class T>
struct TransposedCenters {
    TransposedCenters(const Centers<T>& centers, std::size_t dimensions, std::size_t width)
        : padded(round_up(centers.num_centers, width)), values(padded * dimensions, T(0)),
          norms(centers.num_centers) {
        constexpr std::size_t together = 64 / sizeof(T); // a cache line of each row
        const std::size_t k = centers.num_centers;
        for_each_part(groups_of(together, k), k * dimensions, 1e-9, [&](std::size_t part) {
            const std::size_t begin = part * together, end = std::min(begin + together, k);
            for (std::size_t j = 0; j < dimensions; ++j)
                for (std::size_t c = begin; c < end; ++c)
                    values[j * padded + c] = centers.values[c * dimensions + j];
            for (std::size_t c = begin; c < end; ++c) {
                norms[c] = norm(centers.values + c * dimensions, dimensions);
                if (centers.penalties) norms[c] += centers.penalties[c];
            }
        });
        double largest = 0;
        for (const double norm_of_one : norms) largest = std::fmax(largest, norm_of_one);
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

} // namespace centroids
