// Sums of products of floating-point numbers without any rounding, for the few comparisons that
// float64 leaves open. A product costs about ten nanoseconds.
#pragma once

#include "sums/fixed_point.h"

namespace centroids {

// The least product is 2^-2148.
class ExactSum : public FixedPoint<2176, 136> {
  public:
    // Adds a * b * 2^doublings, or takes it off. Up to 2^29 products.
    void add(double a, double b, bool subtract = false, int doublings = 0) {
        const Parts left(a), right(b);
        if (left.mantissa == 0 || right.mantissa == 0) return;
        FixedPoint::add(static_cast<UInt128>(left.mantissa) * right.mantissa,
                        left.exponent + right.exponent + doublings,
                        (left.negative != right.negative) != subtract);
    }
};

// What says that sums of squared differences are exact in float64: all values are multiples of a
// power of two, and small ones.
struct Lattice {
    int lowest_bit = 1 << 20; // the values are multiples of 2^lowest_bit
    double largest = 0;

    template <class T>
    void add(const T* values, std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            const Parts parts(static_cast<double>(values[i]));
            if (parts.mantissa == 0) continue;
            const int bit = parts.exponent + std::countr_zero(parts.mantissa);
            lowest_bit = bit < lowest_bit ? bit : lowest_bit;
            largest = std::fmax(largest, std::fabs(static_cast<double>(values[i])));
        }
    }

    bool exact_with(const Lattice& other, std::size_t dimensions) const {
        const int bit = lowest_bit < other.lowest_bit ? lowest_bit : other.lowest_bit;
        const double most = std::ldexp(largest + other.largest, -bit);
        constexpr int least_bit = -500; // squares of smaller values lose digits
        return bit > least_bit && static_cast<double>(dimensions) * most * most <= 0x1p53;
    }
};

} // namespace centroids
