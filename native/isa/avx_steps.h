// What AVX does better than plain C++, shared by the levels that have it.
//
// No include guard: each instruction set includes it once, in a namespace of its own.

template <int lanes>
struct AvxSteps : PlainSteps {
    static constexpr int eight_lanes = lanes;

    typedef double Doubles __attribute__((vector_size(8 * lanes)));
    typedef std::uint64_t Words __attribute__((vector_size(8 * lanes)));

    // GCC 12 converts the two apart.
    static inline __attribute__((always_inline)) void widen_two(const float* from, Two& to) {
        std::int64_t bits;
        __builtin_memcpy(&bits, from, sizeof bits);
        to = _mm_cvtps_pd(_mm_castsi128_ps(_mm_cvtsi64_si128(bits)));
    }

    static inline __attribute__((always_inline)) void add_products(const Two& a, const Two& b,
                                                                   const Two& c, Two& sums) {
        sums = _mm_fmadd_pd(a, b, c);
    }

    static inline __attribute__((always_inline)) unsigned within(const Four& distances,
                                                                 double limit) {
        return static_cast<unsigned>(_mm256_movemask_pd(_mm256_cmp_pd(
            reinterpret_cast<const __m256d&>(distances), _mm256_set1_pd(limit), _CMP_NGT_UQ)));
    }
};
