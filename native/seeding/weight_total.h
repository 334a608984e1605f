// The exact sum of weights: squared distances, of rows that may count several times. Whatever the
// order, the sum is the same, and what was added can be taken off again.
#pragma once

#include "sums/fixed_point.h"

namespace centroids {

// 2,098 bits hold the largest float64; the rest is for up to 2^63 of them.
class WeightTotal : public FixedPoint<1074, 68> {
  public:
    // So many additions are safe before settle().
    static constexpr std::size_t most_additions = std::size_t(1) << 29;

    using FixedPoint::add;

    // Adds weight * value, or takes it off. value: finite, not negative; weight: not negative
    void add(double value, std::int64_t weight, bool subtract = false) {
        const Parts parts(value);
        FixedPoint::add(static_cast<UInt128>(parts.mantissa) * static_cast<std::uint64_t>(weight),
                        parts.exponent, subtract);
    }
    void take_off(double value) {
        const Parts parts(value);
        FixedPoint::add(parts.mantissa, parts.exponent, true);
    }

    // Of two settled totals.
    bool operator<(const WeightTotal& other) const {
        for (std::size_t i = size; i-- > 0;)
            if (digits()[i] != other.digits()[i]) return digits()[i] < other.digits()[i];
        return false;
    }

    // words: [size], the least digit first, each below 2^32
    static WeightTotal from(const std::uint32_t* words) {
        WeightTotal total;
        for (std::size_t i = 0; i < size; ++i) total.add_digit(i, words[i]);
        return total;
    }
    void store(std::uint32_t* words) const { // of a settled total
        for (std::size_t i = 0; i < size; ++i) words[i] = static_cast<std::uint32_t>(digits()[i]);
    }
};

} // namespace centroids
