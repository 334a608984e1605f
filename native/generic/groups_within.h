// The test that most points of a settled clustering end with: which groups of centers may hold one
// that is nearer than the own center? A dozen instructions for four groups.

// Codes are those of lower_bounds.h; a bit for each group, at most 64 of them.
static std::uint64_t groups_within(const std::uint16_t* lower, const float* drift,
                                   std::size_t groups, std::uint32_t offset, float reach) {
    typedef float Floats __attribute__((vector_size(16)));
    typedef std::uint32_t Words __attribute__((vector_size(16)));
    typedef std::uint16_t Halves __attribute__((vector_size(8)));
    typedef std::uint64_t Bits __attribute__((vector_size(32)));
    typedef std::int64_t Answers __attribute__((vector_size(32)));
    Bits within = {0, 0, 0, 0};
    Bits bits = {1, 2, 4, 8};
    for (std::size_t g = 0; g < groups; g += 4, bits <<= 4) {
        Halves codes;
        Floats moved;
        __builtin_memcpy(&codes, lower + g, sizeof codes);
        __builtin_memcpy(&moved, drift + g, sizeof moved);
        const Words words = (__builtin_convertvector(codes, Words) << 12) + offset;
        Floats bound;
        __builtin_memcpy(&bound, &words, sizeof bound);
        const auto beyond = __builtin_convertvector(bound - moved > reach, Answers);
        within |= bits & ~reinterpret_cast<const Bits&>(beyond);
    }
    return within[0] | within[1] | within[2] | within[3];
}

// The code of a bound, not above it.
static inline std::uint16_t bound_code(float bound, float drift, std::uint32_t offset) {
    const float coded = ((bound < 1e37f ? bound : 1e37f) + drift) * (1 - 3e-7f);
    std::uint32_t bits;
    __builtin_memcpy(&bits, &coded, sizeof bits);
    const std::uint32_t code = bits > offset ? (bits - offset) >> 12 : 0;
    return static_cast<std::uint16_t>(code < 0xffffu ? code : 0xffffu);
}
