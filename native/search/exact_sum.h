// Sums of products of floating-point numbers without any rounding, for the few comparisons that
// float64 leaves open.
//
// A fixed-point number that holds every product of two float64 values: digits of 32 bits in words
// of 64, whose upper halves take up carries until the sign is asked for. A product costs about ten
// nanoseconds.
//
// Source: Kulisch and Miranker, The arithmetic of the digital computer: a new approach, SIAM Review
// 28, 1986.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace centroids {

// A float64 as mantissa * 2^exponent.
struct Parts {
    explicit Parts(double value) {
        const auto bits = std::bit_cast<std::uint64_t>(value);
        const int biased = static_cast<int>(bits >> 52 & 0x7ff);
        mantissa = (bits & 0xfffffffffffffu) | (biased ? std::uint64_t(1) << 52 : 0);
        exponent = (biased ? biased : 1) - 1075;
        negative = bits >> 63 != 0;
    }
    std::uint64_t mantissa;
    int exponent;
    bool negative;
};

class ExactSum {
  public:
    // Adds a * b * 2^doublings, or takes it off. Up to 2^29 products.
    void add(double a, double b, bool subtract = false, int doublings = 0) {
        const Parts left(a), right(b);
        if (left.mantissa == 0 || right.mantissa == 0) return;
        const auto product = static_cast<Wide>(left.mantissa) * right.mantissa;
        const auto place =
            static_cast<unsigned>(left.exponent + right.exponent + doublings + lowest);
        const unsigned shift = place % 32;
        std::int64_t* const digits = digits_.data() + place / 32;
        const std::int64_t sign = (left.negative != right.negative) != subtract ? -1 : 1;
        const Wide low = static_cast<Wide>(static_cast<std::uint64_t>(product)) << shift;
        const Wide high = product >> 64 << shift;
        digits[0] += sign * digit(low);
        digits[1] += sign * digit(low >> 32);
        digits[2] += sign * (digit(low >> 64) + digit(high));
        digits[3] += sign * digit(high >> 32);
        digits[4] += sign * digit(high >> 64);
    }

    void subtract(const ExactSum& other) {
        for (std::size_t i = 0; i < digits_.size(); ++i) digits_[i] -= other.digits_[i];
    }

    // -1, 0 or 1
    int sign() const {
        std::int64_t carry = 0;
        bool zero = true;
        for (const std::int64_t own : digits_) {
            const std::int64_t value = own + carry;
            zero = zero && (value & 0xffffffff) == 0;
            carry = value >> 32;
        }
        if (carry != 0) return carry < 0 ? -1 : 1;
        return zero ? 0 : 1;
    }

  private:
    using Wide = unsigned __int128;
    static std::int64_t digit(Wide value) {
        return static_cast<std::int64_t>(static_cast<std::uint32_t>(value));
    }
    static constexpr int lowest = 2176; // the least product is 2^-2148, and digits have 32 bits
    std::array<std::int64_t, 136> digits_{};
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
