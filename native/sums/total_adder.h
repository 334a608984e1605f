// An exact sum of float64 values for one thread: the inertia.
#pragma once

#include "runtime/dispatch.h"
#include "sums/fixed_point.h"
#include "sums/sum_window.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace centroids {

// Eight values side by side are a row of eight columns to the kernels that add rows.
class TotalAdder {
  public:
    // Returns false where one of the values is not finite.
    bool add(const double* values, std::size_t count) {
        bool finite = true;
        constexpr std::size_t most = 8 * rows_at_once;
        for (std::size_t i = 0; i < count; i += most)
            finite &= add_some(values + i, std::min(most, count - i));
        return finite;
    }

    const ExactTotal& total() {
        hand_over();
        return total_;
    }

  private:
    static constexpr std::size_t rows_at_once = 256;

    bool add_some(const double* values, std::size_t count) {
        const std::size_t rest = count % 8;
        if (!add_rows(values, count / 8)) return false;
        if (rest == 0) return true;
        double padded[8] = {};
        std::copy_n(values + count - rest, rest, padded);
        return add_rows(padded, 1);
    }

    bool add_rows(const double* rows, std::size_t count) {
        return count == 0 || (window_ && add_fitting(rows, count)) || add_odd(rows, count);
    }

    // Returns whether all values fit the window.
    bool add_fitting(const double* rows, std::size_t count) {
        if (pending_ + static_cast<std::int64_t>(count) > most_additions) hand_over();
        if (!kernels_.add_eights(rows, count, window_->least(), window_->most(),
                                 {digits_, window_->anchors(), 8}))
            return false;
        pending_ += static_cast<std::int64_t>(count);
        return true;
    }

    // Larger values ask for another window; what is small beside its unit is added by itself.
    bool add_odd(const double* rows, std::size_t count) {
        std::vector<std::uint64_t> most(8, 0);
        constexpr std::size_t few = 8; // tell of the others, at first
        kernels_.largest_bits(rows, 8, window_ ? count : std::min(count, few), 8, most.data());
        const std::uint64_t largest = *std::max_element(most.begin(), most.end());
        if (largest >= std::bit_cast<std::uint64_t>(std::numeric_limits<double>::infinity()))
            return false;
        if (!window_ || largest > window_->most()[0]) {
            hand_over();
            const bool first = !window_;
            window_.emplace(std::vector<std::uint64_t>(8, largest), 2, Parts::mantissa_bits, 1);
            if (add_fitting(rows, count)) return true;
            if (first) return add_odd(rows, count);
        }
        for (std::size_t i = 0; i < count; ++i) {
            double fitting[8];
            for (std::size_t j = 0; j < 8; ++j) {
                const double value = rows[8 * i + j];
                const bool fits = window_->holds(value, j);
                if (!fits) total_.add(value);
                fitting[j] = fits ? value : 0.0;
            }
            add_fitting(fitting, 1);
        }
        settle_sometimes();
        return true;
    }

    void hand_over() {
        if (pending_ == 0) return;
        const auto rows = static_cast<std::uint64_t>(pending_);
        const auto without_anchors = [&](std::size_t at) {
            return static_cast<std::int64_t>(
                static_cast<std::uint64_t>(digits_[at]) -
                rows * std::bit_cast<std::uint64_t>(window_->anchors()[at]));
        };
        for (std::size_t j = 0; j < 8; ++j)
            total_.add((static_cast<Int128>(without_anchors(j)) << limb_distance) +
                           without_anchors(8 + j),
                       window_->units()[j]);
        std::fill_n(digits_, 16, 0);
        pending_ = 0;
        settle_sometimes();
    }

    // After each addition of up to some 2,000 values: those of thousands of threads may follow.
    void settle_sometimes() {
        if (++additions_ % 64 == 0) total_.settle();
    }

    const BlockKernels<double>& kernels_ = current_kernels<double>();
    std::optional<SumWindow<double>> window_;
    std::int64_t digits_[16] = {}; // [limbs][8], anchors included
    std::int64_t pending_ = 0;     // rows in `digits_`
    std::uint64_t additions_ = 0;  // to the total, of many values each
    ExactTotal total_;
};

// Finite values that come one by one, added many at a time.
class OneByOneAdder {
  public:
    void add(double value) {
        waiting_[count_++] = value;
        if (count_ == most) hand_over();
    }
    const ExactTotal& total() {
        hand_over();
        return adder_.total();
    }

  private:
    void hand_over() { adder_.add(waiting_, std::exchange(count_, 0)); }

    static constexpr std::size_t most = 64;
    double waiting_[most];
    std::size_t count_ = 0;
    TotalAdder adder_;
};

} // namespace centroids
