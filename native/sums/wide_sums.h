// Sums of 64 and 128 bits, the latter in two words: made of limbs, and rounded to float64.
#pragma once

#include "sums/exact_sums.h"

#include <bit>
#include <cstddef>
#include <cstdint>

namespace centroids {

inline Int128 joined(std::int64_t high, std::int64_t low) {
    return static_cast<Int128>(high) << 64 | static_cast<std::uint64_t>(low);
}

// first * 2^limb_distance + second in two words, without branches and in instructions that every
// processor has for several values at once.
inline void join_limbs(const std::int64_t* first, const std::int64_t* second, std::size_t count,
                       std::int64_t* low, std::int64_t* high) {
    constexpr int rest = 64 - limb_distance;
    constexpr std::uint64_t top = std::uint64_t(1) << 63;
    for (std::size_t j = 0; j < count; ++j) {
        const auto upper = static_cast<std::uint64_t>(first[j]);
        const auto lower = static_cast<std::uint64_t>(second[j]);
        const std::uint64_t shifted = upper << limb_distance, sum = shifted + lower;
        const std::uint64_t carry = ((shifted & lower) | ((shifted | lower) & ~sum)) >> 63;
        // The upper word of the shifted limb, and that of the other: 0 or -1.
        const std::uint64_t above = ((upper ^ top) >> rest) - (top >> rest);
        low[j] = static_cast<std::int64_t>(sum);
        high[j] = static_cast<std::int64_t>(above - (lower >> 63) + carry);
    }
}

// value as float64, rounded once, without the instructions of newer processors: its upper and its
// lower half, each exact, are added.
inline double rounded(std::int64_t value) {
    const auto bits = static_cast<std::uint64_t>(value);
    const double low = std::bit_cast<double>((bits & 0xffffffffu) | 0x4330000000000000u);
    const double high = std::bit_cast<double>((bits >> 32) ^ 0x4530000080000000u);
    return (high - (0x1p84 + 0x1p63 + 0x1p52)) + low;
}

// The same of 128 bits, a good deal faster than the compiler's: 64 of them are converted, of which
// the last says whether there is anything below.
inline double rounded(Int128 value) {
    const auto low = static_cast<std::int64_t>(value);
    const auto high = static_cast<std::int64_t>(value >> 64);
    if (high == low >> 63) return static_cast<double>(low);
    const int unused = std::countl_zero(static_cast<std::uint64_t>(high ^ high >> 63)) - 1;
    const UInt128 all = static_cast<UInt128>(value) << unused;
    const auto top = static_cast<std::int64_t>(all >> 64);
    const std::int64_t below = static_cast<std::uint64_t>(all) != 0;
    const auto scale = static_cast<std::uint64_t>(1023 + 64 - unused) << 52;
    return static_cast<double>(top | below) * std::bit_cast<double>(scale);
}

// Many at a time where they are below 2^102: two parts that are exact in float64 are added, with
// one rounding.
inline void round_wide(const std::int64_t* low, const std::int64_t* high, const double* powers,
                       std::size_t count, double* sums) {
    constexpr std::uint64_t part = (std::uint64_t(1) << 52) - 1, half = std::uint64_t(1) << 51;
    constexpr double exact = 0x1p52;
    std::uint64_t large = 0;
    for (std::size_t j = 0; j < count; ++j) {
        const auto upper = static_cast<std::uint64_t>(high[j]);
        const auto lower = static_cast<std::uint64_t>(low[j]);
        large |= upper + (std::uint64_t(1) << 38); // so many bits above 102
        const std::uint64_t first = ((upper << 12 | lower >> 52) + half) & part;
        const double above = std::bit_cast<double>(first | 0x4330000000000000u) - exact - 0x1p51;
        const double below = std::bit_cast<double>((lower & part) | 0x4330000000000000u) - exact;
        sums[j] = (above * exact + below) * powers[j];
    }
    if (large >> 39 == 0) return;
    for (std::size_t j = 0; j < count; ++j) sums[j] = rounded(joined(high[j], low[j])) * powers[j];
}

} // namespace centroids
