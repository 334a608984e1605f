// Lower bounds of distances in 16 bits: what each point remembers of each group of centers.
//
// A code is a positive float of 5 bits of exponent and 11 of mantissa, rounded down, whose range
// starts far below any distance that matters: memory for bounds is a few per cent of the data, and
// a bound is at most 1/2048 too low.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

namespace centroids {

class BoundCode {
  public:
    static constexpr std::uint16_t highest = 0xffff;

    // typical: a distance that sums with drift may exceed by 2^10
    explicit BoundCode(double typical = 1.0) {
        int exponent = 0;
        std::frexp(std::clamp(typical, 1e-18, 1e18), &exponent);
        offset = static_cast<std::uint32_t>(exponent - 22 + 127) << 23;
    }

    // The lowest value there is a code for. Whoever adds it before coding never falls below.
    float lowest() const { return std::bit_cast<float>(offset); }

    std::uint16_t encode(float value) const { // rounds down, to lowest() at least
        const std::uint32_t bits = std::max(std::bit_cast<std::uint32_t>(value), offset);
        return static_cast<std::uint16_t>(
            std::min<std::uint32_t>((bits - offset) >> 12, std::uint32_t(highest)));
    }

    float decode(std::uint16_t code) const {
        return std::bit_cast<float>((static_cast<std::uint32_t>(code) << 12) + offset);
    }

    std::uint32_t offset; // the bits of the lowest value
};

} // namespace centroids
