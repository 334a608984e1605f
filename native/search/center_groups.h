// An order of the centers in which neighbours in space are neighbours in memory, so that one lower
// bound serves a whole group of them.
#pragma once

#include "api/kmeans.h"
#include "runtime/round_up.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

namespace centroids {

// The order splits the centers in two along their principal axis, each part again, and so on, at
// multiples of group_size. Returns [num_centers] indices of centers.
template <class T>
class CenterOrder {
  public:
    CenterOrder(const Centers<T>& centers, std::size_t dimensions, std::size_t group_size)
        : order(centers.num_centers), centers_(centers), dimensions_(dimensions),
          group_size_(group_size), axis_(dimensions), mean_(dimensions),
          position_(centers.num_centers) {
        std::iota(order.begin(), order.end(), 0);
        split(0, order.size());
    }

    std::vector<std::int32_t> order;

  private:
    void split(std::size_t begin, std::size_t end) {
        const std::size_t groups = groups_of(group_size_, end - begin);
        if (groups < 2) return;
        project(begin, end);
        const std::size_t middle = begin + groups / 2 * group_size_;
        const auto at = [&](std::size_t place) {
            return order.begin() + static_cast<std::ptrdiff_t>(place);
        };
        std::nth_element(at(begin), at(middle), at(end), [&](std::int32_t a, std::int32_t b) {
            const double left = position_[static_cast<std::size_t>(a)];
            const double right = position_[static_cast<std::size_t>(b)];
            return left != right ? left < right : a < b;
        });
        split(begin, middle);
        split(middle, end);
    }

    // Positions along the principal axis, by a few steps of the power method: a rough axis will do.
    void project(std::size_t begin, std::size_t end) {
        std::fill(mean_.begin(), mean_.end(), 0.0);
        for (std::size_t at = begin; at < end; ++at)
            for (std::size_t j = 0; j < dimensions_; ++j) mean_[j] += value(at, j);
        for (double& sum : mean_) sum /= static_cast<double>(end - begin);
        for (std::size_t j = 0; j < dimensions_; ++j) axis_[j] = value(begin, j) - mean_[j];
        constexpr int steps = 3;
        constexpr std::size_t sample = 128;
        const std::size_t stride = groups_of(sample, end - begin);
        std::vector<double> next(dimensions_);
        for (int step = 0; step < steps; ++step) {
            std::fill(next.begin(), next.end(), 0.0);
            for (std::size_t at = begin; at < end; at += stride) {
                const double along = position(at);
                for (std::size_t j = 0; j < dimensions_; ++j)
                    next[j] += along * (value(at, j) - mean_[j]);
            }
            double length = 0;
            for (const double part : next) length = std::max(length, std::fabs(part));
            if (!(length > 0) || !std::isfinite(length)) break;
            for (std::size_t j = 0; j < dimensions_; ++j) axis_[j] = next[j] / length;
        }
        for (std::size_t at = begin; at < end; ++at)
            position_[static_cast<std::size_t>(order[at])] = position(at);
    }

    double position(std::size_t at) const {
        double along = 0;
        for (std::size_t j = 0; j < dimensions_; ++j) along += (value(at, j) - mean_[j]) * axis_[j];
        return along;
    }

    double value(std::size_t at, std::size_t j) const {
        return static_cast<double>(
            centers_.values[static_cast<std::size_t>(order[at]) * dimensions_ + j]);
    }

    const Centers<T>& centers_;
    const std::size_t dimensions_, group_size_;
    std::vector<double> axis_, mean_, position_;
};

} // namespace centroids
