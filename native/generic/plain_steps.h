// Steps of the kernels that some levels have better instructions for, in plain C++.
//
// An isa/*.cpp file derives its own `Steps` from these and hides those that it does better, always
// with the same bits.
//
// No include guard: each instruction set includes it once, in a namespace of its own.

struct PlainSteps {
    static constexpr int eight_lanes = 2; // in each part of an Eight

    typedef float TwoFloats __attribute__((vector_size(8)));
    typedef double Two __attribute__((vector_size(16)));
    typedef std::uint64_t TwoWords __attribute__((vector_size(16)));
    typedef double Four __attribute__((vector_size(32)));

    static inline __attribute__((always_inline)) void widen_two(const float* from, Two& to) {
        TwoFloats loaded;
        __builtin_memcpy(&loaded, from, sizeof loaded);
        to = __builtin_convertvector(loaded, Two);
    }
    static inline __attribute__((always_inline)) void widen(const float* from, Two& to) {
        widen_two(from, to);
    }

    // sums = a * b + c, with one rounding
    template <class Values>
    static inline __attribute__((always_inline)) void add_products(const Values& a, const Values& b,
                                                                   const Values& c, Values& sums) {
        Values added = c;
        for (std::size_t i = 0; i < sizeof(Values) / sizeof(double); ++i)
            added[i] = __builtin_fma(a[i], b[i], c[i]);
        sums = added;
    }

    // The products of the lower and the upper halves of each 64 bits.
    static inline __attribute__((always_inline)) void multiply_halves(const TwoWords& words,
                                                                      TwoWords& products) {
        products = (words & 0xffffffffu) * (words >> 32);
    }

    // A bit for each distance that is not above the limit.
    static inline __attribute__((always_inline)) unsigned within(const Four& distances,
                                                                 double limit) {
        unsigned bits = 0;
        for (int c = 0; c < 4; ++c) bits |= static_cast<unsigned>(!(distances[c] > limit)) << c;
        return bits;
    }

    // The beginning of AssignGrid::look_up. Returns how many cells that are.
    static std::size_t look_up(const std::int32_t*, const std::int32_t*, std::size_t, std::int32_t*,
                               std::int32_t*, std::size_t&, std::int32_t*, std::size_t&) {
        return 0;
    }
};
