// The test that most points of a settled clustering end with: is the nearest possible other center
// further away than the own one? A dozen instructions for four groups of centers.

static float lowest_bound(const std::uint16_t* lower, const float* drift, std::size_t groups,
                          std::uint32_t offset) {
    typedef float Floats __attribute__((vector_size(16)));
    typedef std::uint32_t Words __attribute__((vector_size(16)));
    typedef std::uint16_t Halves __attribute__((vector_size(8)));
    Floats lowest = {3e38f, 3e38f, 3e38f, 3e38f};
    for (std::size_t g = 0; g < groups; g += 4) {
        Halves codes;
        Floats moved;
        __builtin_memcpy(&codes, lower + g, sizeof codes);
        __builtin_memcpy(&moved, drift + g, sizeof moved);
        const Words bits = (__builtin_convertvector(codes, Words) << 12) + offset;
        Floats bound;
        __builtin_memcpy(&bound, &bits, sizeof bound);
        bound -= moved;
        lowest = bound < lowest ? bound : lowest;
    }
    float result = lowest[0];
    for (int lane = 1; lane < 4; ++lane) result = lowest[lane] < result ? lowest[lane] : result;
    return result;
}
