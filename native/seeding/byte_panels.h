// Vectors in bytes, side by side in panels, each with a distance that others must be within of it.
#pragma once

#include "isa/block_kernels.h"
#include "runtime/aligned_vector.h"
#include "seeding/candidates.h"

#include <cmath>
#include <limits>

namespace centroids {

class BytePanels {
  public:
    // All places are empty: nothing is near them.
    BytePanels(const CandidateKernels<float>& layout, std::size_t dimensions, std::size_t places,
               const Rounding& rounding)
        : layout_(layout), dimensions_(dimensions), width_(layout.width),
          stride_(layout.panel_stride(dimensions)), rounding_(rounding),
          values_(groups_of(width_, places) * stride_, 0), starts_(round_up(places, width_), 0),
          norms_(starts_.size(), std::numeric_limits<float>::infinity()), limits_(norms_),
          scales_(starts_.size(), 0.0f), losses_(scales_), sizes_(scales_) {}

    // bytes, facts: IN, of a row as the layout prepares it
    void put(std::size_t place, const std::uint8_t* bytes, const RowFacts<float>& facts) {
        const std::int32_t middle = layout_.middle_byte;
        std::int8_t* const lane = values_.data() + place / width_ * stride_ + 4 * (place % width_);
        std::int32_t sum = 0, squares = 0;
        for (std::size_t j = 0; j < dimensions_; ++j) {
            const auto value = static_cast<std::int8_t>(bytes[j] - middle);
            lane[j / 4 * 4 * width_ + j % 4] = value;
            sum += value;
            squares += value * value;
        }
        constexpr double up = 1 + 1e-6;
        const double scale = static_cast<double>(facts.scale);
        const double norm = static_cast<double>(facts.norm);
        starts_[place] = -middle * sum;
        scales_[place] = -2 * facts.scale;
        losses_[place] = static_cast<float>(-2 * up * static_cast<double>(facts.error) -
                                            3 * up * rounding_.by_center * norm);
        sizes_[place] = static_cast<float>(-2 * up * scale * std::sqrt(double(squares)));
        norms_[place] =
            static_cast<float>(static_cast<double>(facts.squares) -
                               (2 * rounding_.by_center + rounding_.by_square) * norm * norm);
        if (norm < Rounding::longest) return;
        // So long that all candidates are compared.
        norms_[place] = -std::numeric_limits<float>::infinity();
        scales_[place] = losses_[place] = sizes_[place] = 0.0f;
    }

    // Only what may be at a smaller squared distance matters; 0: nothing does.
    void set_limit(std::size_t place, double squared) {
        limits_[place] = std::numeric_limits<float>::infinity();
        if (!(squared > 0)) return;
        const double exact =
            static_cast<double>(norms_[place]) - squared * (1 + 1e-6) - 2 * rounding_.underflow;
        limits_[place] = static_cast<float>(std::max(exact - std::fabs(exact) * 1.2e-7, -1e38));
    }

    // What the bound of a candidate must be above to prove that it is too far.
    float threshold(const RowFacts<float>& candidate) const {
        const auto norm = static_cast<double>(candidate.norm);
        if (!(norm < Rounding::longest)) return std::numeric_limits<float>::infinity();
        const double exact =
            rounding_.by_square * norm * norm - static_cast<double>(candidate.squares);
        return static_cast<float>(exact + std::fabs(exact) * 1.2e-7);
    }

    FilterCenters<float> view() const {
        return {.dimensions = dimensions_,
                .panels = values_.data(),
                .norms = limits_.data(),
                .starts = starts_.data(),
                .scales = scales_.data(),
                .losses = losses_.data(),
                .sizes = sizes_.data()};
    }

  private:
    const CandidateKernels<float>& layout_;
    const std::size_t dimensions_, width_, stride_;
    const Rounding rounding_;
    AlignedVector<std::int8_t> values_;
    AlignedVector<std::int32_t> starts_;
    AlignedVector<float> norms_, limits_, scales_, losses_, sizes_;
};

} // namespace centroids
