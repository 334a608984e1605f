// Sums of float64 numbers from 0 up without any rounding: whatever the order, the sum is the same,
// and what was added can be taken off again.
//
// A fixed-point number in units of 2^-1074, the least float64: digits of 32 bits in words of 64,
// whose upper halves take up carries. An addition costs about two nanoseconds.
//
// Source: Kulisch and Miranker, The arithmetic of the digital computer: a new approach, SIAM Review
// 28, 1986.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace centroids {

class WeightTotal {
  public:
    // 2,098 bits hold the largest float64; the rest is for up to 2^63 of them.
    static constexpr std::size_t num_digits = 68;
    // So many additions are safe before carry().
    static constexpr std::size_t most_additions = std::size_t(1) << 29;

    // value: finite, not negative
    void add(double value) { put(value, 1); }
    void take_off(double value) { put(value, -1); }

    // Adds weight * value, or takes it off. weight: not negative
    void add(double value, std::int64_t weight) { put_product(value, weight, 1); }
    void take_off(double value, std::int64_t weight) { put_product(value, weight, -1); }

    // other: carried
    void add(const WeightTotal& other) {
        for (std::size_t i = 0; i < num_digits; ++i) digits_[i] += other.digits_[i];
    }
    void take_off(const WeightTotal& other) {
        for (std::size_t i = 0; i < num_digits; ++i) digits_[i] -= other.digits_[i];
    }

    // Brings every digit to [0, 2^32); the total must not be negative.
    void carry() {
        std::int64_t carried = 0;
        for (std::int64_t& digit : digits_) {
            const std::int64_t value = digit + carried;
            digit = value & 0xffffffff;
            carried = value >> 32;
        }
    }

    // Of two carried totals.
    bool operator<(const WeightTotal& other) const {
        for (std::size_t i = num_digits; i-- > 0;)
            if (digits_[i] != other.digits_[i]) return digits_[i] < other.digits_[i];
        return false;
    }

    // digits: [num_digits], the least first, each below 2^32
    static WeightTotal from(const std::uint32_t* digits) {
        WeightTotal total;
        for (std::size_t i = 0; i < num_digits; ++i) total.digits_[i] = digits[i];
        return total;
    }
    void store(std::uint32_t* digits) const { // of a carried total
        for (std::size_t i = 0; i < num_digits; ++i)
            digits[i] = static_cast<std::uint32_t>(digits_[i]);
    }

    // Of a carried total, rounded down or up, or infinity.
    double nearly() const {
        double sum = 0;
        for (std::size_t i = num_digits; i-- > 0;) {
            if (digits_[i] == 0 && sum == 0) continue;
            sum = sum * 0x1p32 + static_cast<double>(digits_[i]);
            if (sum > 0x1p96) return scale(sum, 32 * static_cast<int>(i) - 1074);
        }
        return scale(sum, -1074);
    }

  private:
    using Wide = unsigned __int128;

    static double scale(double value, int exponent) {
        for (; exponent > 1000; exponent -= 1000) value *= 0x1p1000;
        for (; exponent < -1000; exponent += 1000) value *= 0x1p-1000;
        return value * std::bit_cast<double>(static_cast<std::uint64_t>(exponent + 1023) << 52);
    }

    static std::int64_t digit(Wide value) {
        return static_cast<std::int64_t>(static_cast<std::uint32_t>(value));
    }

    // value = mantissa * 2^place units
    static std::uint64_t mantissa_of(double value, unsigned& place) {
        const auto bits = std::bit_cast<std::uint64_t>(value);
        const auto biased = static_cast<unsigned>(bits >> 52 & 0x7ff);
        place = biased == 0 ? 0 : biased - 1;
        return (bits & 0xfffffffffffffu) | (biased == 0 ? 0 : std::uint64_t(1) << 52);
    }

    void put(double value, std::int64_t sign) {
        unsigned place;
        const Wide wide = static_cast<Wide>(mantissa_of(value, place)) << place % 32;
        std::int64_t* const digits = digits_.data() + place / 32;
        digits[0] += sign * digit(wide);
        digits[1] += sign * digit(wide >> 32);
        digits[2] += sign * digit(wide >> 64);
    }

    void put_product(double value, std::int64_t weight, std::int64_t sign) {
        unsigned place;
        const Wide wide =
            static_cast<Wide>(mantissa_of(value, place)) * static_cast<std::uint64_t>(weight);
        std::int64_t* const digits = digits_.data() + place / 32;
        const Wide low = static_cast<Wide>(static_cast<std::uint64_t>(wide)) << place % 32;
        const Wide high = wide >> 64 << place % 32;
        digits[0] += sign * digit(low);
        digits[1] += sign * digit(low >> 32);
        digits[2] += sign * (digit(low >> 64) + digit(high));
        digits[3] += sign * digit(high >> 32);
        digits[4] += sign * digit(high >> 64);
    }

    std::array<std::int64_t, num_digits> digits_{};
};

} // namespace centroids
