// Centers prepared for the filter: shifted to their mean, in the order of their groups, in floats
// or in bytes with what the bytes lose.
#pragma once

#include "runtime/aligned_vector.h"
#include "isa/block_kernels.h"
#include "api/kmeans.h"
#include "runtime/thread_pool.h"
#include "search/pack_centers.h"
#include "search/work_plan.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

namespace centroids {

template <class T>
class CentersInFilter {
  public:
    // order: IN [num_centers], which stays; moved_by: IN [dimensions]
    CentersInFilter(const FilterLayout<T>& filter, const Centers<T>& centers,
                    std::size_t dimensions, const std::int32_t* order, AlignedVector<T> moved_by)
        : filter_(filter), width_(filter.width), dimensions_(dimensions),
          panel_stride_(filter.panel_stride(dimensions)), largest_byte_(filter.largest_byte),
          middle_byte_(filter.middle_byte), order_(order), shift(std::move(moved_by)) {
        const std::size_t num_panels = groups_of(width_, centers.num_centers);
        const std::size_t padded = num_panels * width_;
        norms_.assign(padded, std::numeric_limits<T>::infinity());
        exact_norms_.assign(padded, 0.0);
        const bool in_bytes = filter.value_bytes == 1;
        if (in_bytes) {
            bytes_.assign(num_panels * panel_stride_, 0);
            starts_.assign(padded, 0);
            scales_.assign(padded, T(0));
            losses_.assign(padded, T(0));
            sizes_.assign(padded, T(0));
        } else {
            floats_.assign(num_panels * panel_stride_, T(0));
        }
        pack(centers, nullptr);
        view = {.dimensions = dimensions,
                .panels = in_bytes ? static_cast<const void*>(bytes_.data()) : floats_.data(),
                .norms = norms_.data(),
                .starts = starts_.data(),
                .scales = scales_.data(),
                .losses = losses_.data(),
                .sizes = sizes_.data()};
    }
    CentersInFilter(const CentersInFilter&) = delete; // `view` points into it
    CentersInFilter& operator=(const CentersInFilter&) = delete;

    bool is_for(const FilterLayout<T>& filter) const { return &filter == &filter_; }

    // still: IN [num_centers], those that are packed as they are; or null
    void pack(const Centers<T>& centers, const unsigned char* still) {
        const double seconds =
            static_cast<double>(centers.num_centers) * static_cast<double>(dimensions_) * 2e-9;
        // Parts of a panel that share no line of the cache; else whole panels.
        const std::size_t together = width_ % 16 == 0 ? 16 : width_;
        parallel_for(groups_of(together, centers.num_centers), seconds, [&](std::size_t part) {
            std::vector<double> shifted(dimensions_);
            const std::size_t end = std::min((part + 1) * together, centers.num_centers);
            for (std::size_t place = part * together; place < end; ++place) {
                if (still && still[order_[place]]) continue;
                const std::size_t panel = place / width_;
                pack_norm(centers, place, shifted);
                if (!bytes_.empty())
                    pack_bytes(place, shifted, bytes_.data() + panel * panel_stride_);
                else
                    pack_floats(place, shifted, floats_.data() + panel * panel_stride_);
            }
        });
        max_norm = std::sqrt(*std::max_element(exact_norms_.begin(), exact_norms_.end()));
    }

  private:
    const FilterLayout<T>& filter_;
    const std::size_t width_, dimensions_, panel_stride_;
    const std::int32_t largest_byte_, middle_byte_;
    const std::int32_t* const order_;
    AlignedVector<std::int8_t> bytes_;
    AlignedVector<std::int32_t> starts_;
    AlignedVector<T> floats_, norms_, scales_, losses_, sizes_;
    std::vector<double> exact_norms_; // as norms_; 0 for padding

  public:
    const AlignedVector<T> shift; // [dimensions]
    FilterCenters<T> view;
    double max_norm; // the largest |c - shift|, penalties included

  private:
    void pack_norm(const Centers<T>& centers, std::size_t place, std::vector<double>& shifted) {
        const auto index = static_cast<std::size_t>(order_[place]);
        const T* const center = centers.values + index * dimensions_;
        double norm = centers.penalties ? centers.penalties[index] : 0.0;
        for (std::size_t j = 0; j < dimensions_; ++j) {
            shifted[j] = static_cast<double>(center[j]) - static_cast<double>(shift[j]);
            norm += shifted[j] * shifted[j];
        }
        norms_[place] = static_cast<T>(norm);
        exact_norms_[place] = norm;
    }

    void pack_floats(std::size_t place, const std::vector<double>& shifted, T* panel) {
        T* const lane = panel + place % width_;
        for (std::size_t j = 0; j < dimensions_; ++j)
            lane[j * width_] = static_cast<T>(-2 * shifted[j]);
    }

    void pack_bytes(std::size_t place, const std::vector<double>& shifted, std::int8_t* panel) {
        const double largest = largest_byte_;
        double most = 0;
        for (const double value : shifted) most = std::max(most, std::fabs(value));
        const double scale = static_cast<double>(static_cast<T>(most / largest));
        const double inverse = scale > 1e-30 ? 1 / scale : 0.0;
        std::int8_t* const lane = panel + 4 * (place % width_);
        double lost = 0, size = 0;
        std::int32_t sum = 0;
        constexpr double whole = 0x1.8p52; // of a small sum with it nothing else is left
        for (std::size_t j = 0; j < dimensions_; ++j) {
            const double rounded = shifted[j] * inverse + whole - whole;
            const double byte = std::clamp(rounded, -largest, largest);
            const double difference = shifted[j] - (inverse > 0 ? scale * byte : 0.0);
            lost += difference * difference;
            size += byte * byte;
            sum += static_cast<std::int32_t>(byte);
            lane[j / 4 * 4 * width_ + j % 4] = static_cast<std::int8_t>(byte);
        }
        constexpr double up = 1 + 1e-6;
        starts_[place] = -middle_byte_ * sum;
        scales_[place] = static_cast<T>(inverse > 0 ? -2 * scale : 0.0);
        losses_[place] = static_cast<T>(-2 * up * std::sqrt(lost));
        sizes_[place] = static_cast<T>(-2 * up * scale * std::sqrt(size));
    }
};

} // namespace centroids
