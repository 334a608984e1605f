// The exact sum of weights: squared distances, of rows that may count several times. Whatever the
// order, the sum is the same, and what was added can be taken off again.
#pragma once

#include "sums/fixed_point.h"

#include <algorithm>

namespace centroids {

// 2,098 bits hold the largest float64; the rest is for up to 2^63 of them.
class WeightTotal : public FixedPoint<1074, 68> {
  public:
    // So many additions are safe before settle().
    static constexpr std::size_t most_additions = std::size_t(1) << 29;

    using FixedPoint::add;

    // Adds weight * value without its bits below 2^-1074, or takes it off. Both are finite and not
    // negative, and all that is added together must be below 2^1102.
    void add(double value, double weight, bool subtract = false) {
        constexpr int least = last_bit, most = 971; // exponents that there is room for
        const Parts left(value), right(weight);
        UInt128 product = static_cast<UInt128>(left.mantissa) * right.mantissa;
        int exponent = left.exponent + right.exponent;
        if (exponent < least) {
            product = least - exponent < 128 ? product >> (least - exponent) : 0;
            exponent = least;
        } else if (exponent > most) {
            product <<= std::min(exponent - most, 22);
            exponent = most;
        }
        FixedPoint::add(product, exponent, subtract);
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
