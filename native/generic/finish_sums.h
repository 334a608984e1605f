// The end of a sum in fixed point: anchors come off, two limbs become one number of 128 bits, and
// that is rounded to float64. Integers have no order, and each sum is rounded once.
//
// In instructions that every processor has for several values at once, without branches.

static void take_off_anchors(const std::int64_t* digits, const double* anchors, std::size_t count,
                             std::int32_t rows, std::int64_t* to) {
    const auto factor = static_cast<std::uint64_t>(rows);
    for (std::size_t j = 0; j < count; ++j) {
        // Only the highest 13 bits of an anchor are not 0; bits wrap around, there and back.
        const std::uint64_t top = __builtin_bit_cast(std::uint64_t, anchors[j]) >> 51;
        const std::uint64_t all = (top & 0xffffffffu) * (factor & 0xffffffffu) << 51;
        to[j] = static_cast<std::int64_t>(static_cast<std::uint64_t>(digits[j]) - all);
    }
}

static void join_limbs(const std::int64_t* first, const std::int64_t* second, std::size_t count,
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

// The upper and the lower half of an integer, each exact in float64, are added.
static void round_sums(const std::int64_t* low, const double* powers, std::size_t count,
                       double* sums) {
    for (std::size_t j = 0; j < count; ++j) {
        const auto bits = static_cast<std::uint64_t>(low[j]);
        const double below = __builtin_bit_cast(double, (bits & 0xffffffffu) | 0x4330000000000000u);
        const double above = __builtin_bit_cast(double, (bits >> 32) ^ 0x4530000080000000u);
        sums[j] = ((above - (0x1p84 + 0x1p63 + 0x1p52)) + below) * powers[j];
    }
}

// Two parts that are exact in float64 are added, where the sum is below 2^102.
static bool round_wide_sums(const std::int64_t* low, const std::int64_t* high, const double* powers,
                            std::size_t count, double* sums) {
    constexpr std::uint64_t part = (std::uint64_t(1) << 52) - 1, half = std::uint64_t(1) << 51;
    constexpr double exact = 0x1p52;
    std::uint64_t large = 0;
    for (std::size_t j = 0; j < count; ++j) {
        const auto upper = static_cast<std::uint64_t>(high[j]);
        const auto lower = static_cast<std::uint64_t>(low[j]);
        large |= upper + (std::uint64_t(1) << 38); // so many bits above 102
        const std::uint64_t first = ((upper << 12 | lower >> 52) + half) & part;
        const double above =
            __builtin_bit_cast(double, first | 0x4330000000000000u) - exact - 0x1p51;
        const double below =
            __builtin_bit_cast(double, (lower & part) | 0x4330000000000000u) - exact;
        sums[j] = (above * exact + below) * powers[j];
    }
    return large >> 39 == 0;
}
