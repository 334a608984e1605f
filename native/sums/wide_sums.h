// Sums of 128 bits in two words.
#pragma once

#include "sums/exact_sums.h"

#include <bit>
#include <cstddef>
#include <cstdint>

namespace centroids {

inline Int128 joined(std::int64_t high, std::int64_t low) {
    return static_cast<Int128>(high) << 64 | static_cast<std::uint64_t>(low);
}

// value as float64, rounded once, a good deal faster than the compiler's: 64 of its bits are
// converted, of which the last says whether there is anything below.
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

} // namespace centroids
