// Sums of floating-point numbers without any rounding: fixed-point numbers that hold every float64.
//
// Digits of 32 bits in words of 64, whose upper halves take up carries until somebody asks for the
// sign or the rounded value.
//
// Source: Kulisch and Miranker, The arithmetic of the digital computer: a new approach, SIAM Review
// 28, 1986.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace centroids {

using Int128 = __int128;
using UInt128 = unsigned __int128;

// A float as mantissa * 2^exponent.
template <class T>
struct FloatBits {
    using Word = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
    static constexpr int mantissa_bits = sizeof(T) == 4 ? 23 : 52;
    static constexpr int bias = sizeof(T) == 4 ? 127 : 1023;
    static constexpr int least_exponent = 1 - bias - mantissa_bits; // of the last bit of any

    explicit FloatBits(T value) {
        const auto bits = std::bit_cast<Word>(value);
        const int biased = static_cast<int>(bits >> mantissa_bits) & (2 * bias + 1);
        constexpr Word hidden = Word(1) << mantissa_bits;
        mantissa = (bits & (hidden - 1)) | (biased ? hidden : 0);
        exponent = (biased ? biased : 1) - bias - mantissa_bits;
        negative = std::signbit(value);
    }
    Word mantissa;
    int exponent;
    bool negative;
};
using Parts = FloatBits<double>;

// magnitude * 2^exponent, rounded once: to nearest, ties to even; infinite beyond float64.
// exponent: at least -1088, so that no bit is lost below the subnormal numbers but by rounding
inline double rounded_to_double(UInt128 magnitude, int exponent, bool negative) {
    if (magnitude == 0) return 0.0;
    const auto high = static_cast<std::uint64_t>(magnitude >> 64);
    const int bits = high ? 128 - std::countl_zero(high)
                          : 64 - std::countl_zero(static_cast<std::uint64_t>(magnitude));
    const int dropped = std::max(bits - 53, -1074 - exponent);
    double value;
    if (dropped <= 0) {
        value = std::ldexp(static_cast<double>(static_cast<std::uint64_t>(magnitude)), exponent);
    } else {
        auto kept = static_cast<std::uint64_t>(magnitude >> dropped);
        const UInt128 rest = magnitude & ((UInt128(1) << dropped) - 1);
        const UInt128 half = UInt128(1) << (dropped - 1);
        kept += rest > half || (rest == half && kept % 2 == 1);
        value = std::ldexp(static_cast<double>(kept), exponent + dropped);
    }
    return negative ? -value : value;
}

// The last bit is 2^-lowest.
template <int lowest, std::size_t num_digits>
class FixedPoint {
  public:
    static constexpr int last_bit = -lowest;
    static constexpr std::size_t size = num_digits;

    // Adds magnitude * 2^exponent, or takes it off. Up to 2^29 times until `settle`.
    void add(UInt128 magnitude, int exponent, bool subtract) {
        const auto place = static_cast<unsigned>(exponent + lowest);
        const unsigned shift = place % 32;
        std::int64_t* const digits = digits_.data() + place / 32;
        const std::int64_t sign = subtract ? -1 : 1;
        const UInt128 low = static_cast<UInt128>(static_cast<std::uint64_t>(magnitude)) << shift;
        const UInt128 high = magnitude >> 64 << shift;
        digits[0] += sign * digit(low);
        digits[1] += sign * digit(low >> 32);
        digits[2] += sign * (digit(low >> 64) + digit(high));
        digits[3] += sign * digit(high >> 32);
        digits[4] += sign * digit(high >> 64);
    }

    void add(Int128 value, int exponent) {
        add(value < 0 ? -static_cast<UInt128>(value) : static_cast<UInt128>(value), exponent,
            value < 0);
    }

    void add(double value) {
        const Parts parts(value);
        add(parts.mantissa, parts.exponent, parts.negative);
    }

    void add_digit(std::size_t place, std::int64_t value) { digits_[place] += value; }

    void add(const FixedPoint& other) {
        for (std::size_t i = 0; i < num_digits; ++i) digits_[i] += other.digits_[i];
    }
    void subtract(const FixedPoint& other) {
        for (std::size_t i = 0; i < num_digits; ++i) digits_[i] -= other.digits_[i];
    }

    // Hands carries on: all digits but the last are from 0 to 2^32 - 1 then.
    void settle() {
        std::int64_t carry = 0;
        for (std::size_t i = 0; i + 1 < num_digits; ++i) {
            const std::int64_t value = digits_[i] + carry;
            digits_[i] = value & 0xffffffff;
            carry = value >> 32;
        }
        digits_[num_digits - 1] += carry;
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

    // Rounded once.
    double rounded() const {
        FixedPoint magnitude = *this;
        magnitude.settle();
        const bool negative = magnitude.digits_[num_digits - 1] < 0;
        if (negative) {
            magnitude = {};
            magnitude.subtract(*this);
            magnitude.settle();
        }
        const auto& digits = magnitude.digits_;
        std::size_t top = num_digits - 1;
        while (top > 2 && digits[top] == 0) --top;
        UInt128 head = static_cast<UInt128>(digits[top]) << 64 |
                       static_cast<UInt128>(digits[top - 1]) << 32 |
                       static_cast<UInt128>(digits[top - 2]);
        for (std::size_t i = 0; i + 2 < top; ++i) // says only that there is something
            if (digits[i] != 0) head |= 1;
        return rounded_to_double(head, static_cast<int>(top - 2) * 32 - lowest, negative);
    }

    const std::array<std::int64_t, num_digits>& digits() const { return digits_; }

  private:
    static std::int64_t digit(UInt128 value) {
        return static_cast<std::int64_t>(static_cast<std::uint32_t>(value));
    }
    std::array<std::int64_t, num_digits> digits_{};
};

// Any sum of up to 2^100 float64 values. The least bit of all is 2^-1074.
using ExactTotal = FixedPoint<1088, 72>;

} // namespace centroids
