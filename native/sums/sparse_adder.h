// Adds the stored values of compressed sparse rows to sums in fixed point, one by one.
#pragma once

#include "sums/exact_sums.h"
#include "sums/sum_window.h"

#include <cstdlib>
#include <span>

namespace centroids {

// Digit: 64 bits for the values that one limb has room for, 128 for those of two.
template <class T, class Digit>
class SparseAdder {
  public:
    // units: [dimensions], of a window of as many limbs
    explicit SparseAdder(const std::vector<std::int32_t>& units)
        : units_(units.begin(), units.end()) {}

    // index: of the cluster in the array of sums; sums: IN OUT [dimensions], those of the cluster
    template <class Column>
    void add(std::span<const T> values, const Column* columns, std::size_t index, Digit* sums,
             OddDigits& odd) const {
        for (std::size_t i = 0; i < values.size(); ++i) {
            const auto column = static_cast<std::size_t>(columns[i]);
            const FloatBits<T> value(values[i]);
            const int shift = value.exponent - units_[column];
            const auto mantissa = static_cast<Digit>(value.mantissa);
            if (static_cast<unsigned>(shift) <= most_shift)
                sums[column] += (value.negative ? -mantissa : mantissa) << shift;
            else if (value.mantissa != 0)
                odd.add(index + column, static_cast<double>(values[i]));
        }
    }

  private:
    static constexpr int limbs = sizeof(Digit) / 8;
    static constexpr unsigned most_shift =
        limb_bits + (limbs - 1) * limb_distance - FloatBits<T>::mantissa_bits - 1;
    const std::vector<std::int16_t> units_; // narrow: their places are as random as the columns
};

} // namespace centroids
