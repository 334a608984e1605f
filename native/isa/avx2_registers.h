// Registers and operations of AVX2, shared by the levels that have it.
//
// No include guard: each instruction set includes it once, in a namespace of its own.

struct Float32 {
    using T = float;
    using Index = std::int32_t;
    using Register = __m256;
    using IndexRegister = __m256;
    using Mask = __m256;
    static constexpr std::size_t lanes = 8;
    static Register load(const T* p) { return _mm256_loadu_ps(p); }
    static void store(T* p, Register a) { _mm256_storeu_ps(p, a); }
    static Register broadcast(T a) { return _mm256_set1_ps(a); }
    static Register subtract(Register a, Register b) { return _mm256_sub_ps(a, b); }
    static Register multiply_add(Register a, Register b, Register c) {
        return _mm256_fmadd_ps(a, b, c);
    }
    static Register minimum(Register a, Register b) { return _mm256_min_ps(a, b); }
    static Register maximum(Register a, Register b) { return _mm256_max_ps(a, b); }
    static Mask less(Register a, Register b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
    static unsigned bits(Mask m) { return static_cast<unsigned>(_mm256_movemask_ps(m)); }
    static Register select(Mask m, Register yes, Register no) {
        return _mm256_blendv_ps(no, yes, m);
    }
    static T reduce_minimum(Register a) {
        const __m128 half = _mm_min_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
        const __m128 quarter = _mm_min_ps(half, _mm_movehl_ps(half, half));
        return _mm_cvtss_f32(_mm_min_ss(quarter, _mm_movehdup_ps(quarter)));
    }
    static IndexRegister broadcast_index(int a) {
        return _mm256_castsi256_ps(_mm256_set1_epi32(a));
    }
    static IndexRegister select_index(Mask m, IndexRegister yes, IndexRegister no) {
        return _mm256_blendv_ps(no, yes, m);
    }
    // Indices rest in scratch of T between panels: same size, copied as bits.
    static IndexRegister load_index(const T* p) { return _mm256_loadu_ps(p); }
    static void store_index(T* p, IndexRegister a) { _mm256_storeu_ps(p, a); }
    static void store_index_values(Index* p, IndexRegister a) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_castps_si256(a));
    }
};

struct Float64 {
    using T = double;
    using Index = std::int64_t;
    using Register = __m256d;
    using IndexRegister = __m256d;
    using Mask = __m256d;
    static constexpr std::size_t lanes = 4;
    static Register load(const T* p) { return _mm256_loadu_pd(p); }
    static void store(T* p, Register a) { _mm256_storeu_pd(p, a); }
    static Register broadcast(T a) { return _mm256_set1_pd(a); }
    static Register subtract(Register a, Register b) { return _mm256_sub_pd(a, b); }
    static Register multiply_add(Register a, Register b, Register c) {
        return _mm256_fmadd_pd(a, b, c);
    }
    static Register minimum(Register a, Register b) { return _mm256_min_pd(a, b); }
    static Register maximum(Register a, Register b) { return _mm256_max_pd(a, b); }
    static Mask less(Register a, Register b) { return _mm256_cmp_pd(a, b, _CMP_LT_OQ); }
    static unsigned bits(Mask m) { return static_cast<unsigned>(_mm256_movemask_pd(m)); }
    static Register select(Mask m, Register yes, Register no) {
        return _mm256_blendv_pd(no, yes, m);
    }
    static T reduce_minimum(Register a) {
        const __m128d half = _mm_min_pd(_mm256_castpd256_pd128(a), _mm256_extractf128_pd(a, 1));
        return _mm_cvtsd_f64(_mm_min_sd(half, _mm_unpackhi_pd(half, half)));
    }
    static IndexRegister broadcast_index(int a) {
        return _mm256_castsi256_pd(_mm256_set1_epi64x(a));
    }
    static IndexRegister select_index(Mask m, IndexRegister yes, IndexRegister no) {
        return _mm256_blendv_pd(no, yes, m);
    }
    static IndexRegister load_index(const T* p) { return _mm256_loadu_pd(p); }
    static void store_index(T* p, IndexRegister a) { _mm256_storeu_pd(p, a); }
    static void store_index_values(Index* p, IndexRegister a) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_castpd_si256(a));
    }
};

#include "generic/plain_steps.h"
#include "isa/avx_steps.h"

struct Steps : AvxSteps<4> {
    using AvxSteps<4>::add_products;
    static inline __attribute__((always_inline)) void
    add_products(const Doubles& a, const Doubles& b, const Doubles& c, Doubles& sums) {
        sums = _mm256_fmadd_pd(a, b, c);
    }

    // GCC 12 makes single values of this conversion.
    static inline __attribute__((always_inline)) void widen(const float* from, Doubles& to) {
        to = _mm256_cvtps_pd(_mm_loadu_ps(from));
    }

    static inline __attribute__((always_inline)) void multiply_halves(const Words& words,
                                                                      Words& products) {
        const Words upper = words >> 32;
        products = reinterpret_cast<Words>(
            _mm256_mul_epu32(reinterpret_cast<__m256i>(words), reinterpret_cast<__m256i>(upper)));
    }

    // Square<float, 8>::transpose. AVX shuffles cheaply only within halves of a register: the
    // halves are filled with rows 0 to 3 and 4 to 7, and each is transposed for itself.
    static inline __attribute__((always_inline)) void
    transpose_eight(const float* rows, std::ptrdiff_t stride, const float* shift, float* columns,
                    std::size_t distance) {
        CENTROIDS_UNROLL
        for (std::size_t first = 0; first < 8; first += 4) {
            __m256 row[4];
            CENTROIDS_UNROLL
            for (int i = 0; i < 4; ++i)
                row[i] = _mm256_insertf128_ps(
                    _mm256_castps128_ps256(_mm_loadu_ps(rows + i * stride + first)),
                    _mm_loadu_ps(rows + (i + 4) * stride + first), 1);
            const __m256d low01 = _mm256_castps_pd(_mm256_unpacklo_ps(row[0], row[1]));
            const __m256d low23 = _mm256_castps_pd(_mm256_unpacklo_ps(row[2], row[3]));
            const __m256d high01 = _mm256_castps_pd(_mm256_unpackhi_ps(row[0], row[1]));
            const __m256d high23 = _mm256_castps_pd(_mm256_unpackhi_ps(row[2], row[3]));
            const __m256d column[4] = {
                _mm256_unpacklo_pd(low01, low23), _mm256_unpackhi_pd(low01, low23),
                _mm256_unpacklo_pd(high01, high23), _mm256_unpackhi_pd(high01, high23)};
            CENTROIDS_UNROLL
            for (std::size_t j = 0; j < 4; ++j)
                _mm256_storeu_ps(
                    columns + (first + j) * distance,
                    _mm256_sub_ps(_mm256_castpd_ps(column[j]), _mm256_set1_ps(shift[first + j])));
        }
    }
};

// int32 beside floats.
struct IntegerRegisters : Float32 {
    using Integers = __m256i;

    static Integers load_integers(const std::int32_t* p) {
        return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    }
    static void store_integers(std::int32_t* p, Integers a) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a);
    }
    static Integers broadcast_integer(std::int32_t a) { return _mm256_set1_epi32(a); }
    static Integers rounded(Register a) { return _mm256_cvtps_epi32(a); }
    static Register as_floats(Integers a) { return _mm256_cvtepi32_ps(a); }
    static Register multiply(Register a, Register b) { return _mm256_mul_ps(a, b); }
    static T reduce_maximum(Register a) {
        return -reduce_minimum(_mm256_xor_ps(_mm256_set1_ps(-0.0f), a));
    }
};

// What products of words need besides.
struct WordRegisters : IntegerRegisters {
    static Register load_floats(const float* p) { return load(p); }
    static Register load_floats(const double* p) {
        return _mm256_set_m128(_mm256_cvtpd_ps(_mm256_loadu_pd(p + 4)),
                               _mm256_cvtpd_ps(_mm256_loadu_pd(p)));
    }
    static Integers sum(Integers a, Integers b) { return _mm256_add_epi32(a, b); }
    static Integers common(Integers a, Integers b) { return _mm256_and_si256(a, b); }
    static Integers lower(Integers a, Integers b) { return _mm256_min_epi32(a, b); }
    static Integers higher(Integers a, Integers b) { return _mm256_max_epi32(a, b); }
    // (score & keep) | place
    static Integers with_place(Integers score, Integers keep, Integers place) {
        return _mm256_or_si256(_mm256_and_si256(score, keep), place);
    }
    // The lower 16 bits of each.
    static Integers pair(Integers low, Integers high) {
        return _mm256_blend_epi16(low, _mm256_slli_epi32(high, 16), 0xaa);
    }
};

// What products of bytes need besides, for bytes of at most `largest` in size.
template <std::int32_t largest>
struct ByteRegisters : IntegerRegisters {
    using Sums = Integers;
    static constexpr std::int32_t largest_byte = largest, middle_byte = largest + 1;

    static Sums load_sums(const std::int32_t* p) { return load_integers(p); }
    static Sums load_bytes(const std::int8_t* p) {
        return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    }
    static Sums broadcast_four(const std::uint8_t* p) {
        std::int32_t four;
        __builtin_memcpy(&four, p, sizeof four);
        return _mm256_set1_epi32(four);
    }

    // The first elements, fewer than there are lanes; zeros behind them.
    static Register load_part(const T* p, std::size_t count) {
        const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        return _mm256_maskload_ps(
            p, _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), lane));
    }
    static Register absolute(Register a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
    static T reduce_add(Register a) {
        const __m128 half = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
        const __m128 quarter = _mm_add_ps(half, _mm_movehl_ps(half, half));
        return _mm_cvtss_f32(_mm_add_ss(quarter, _mm_movehdup_ps(quarter)));
    }
    // Rounds to integers of at most largest_byte, stores them
    // + largest_byte + 1, returns them as floats.
    static Register store_rounded(std::uint8_t* p, Register a) {
        const __m256i rounded = _mm256_cvtps_epi32(a);
        const __m128i words =
            _mm_packs_epi32(_mm256_castsi256_si128(rounded), _mm256_extracti128_si256(rounded, 1));
        const __m128i bytes = _mm_add_epi8(_mm_packs_epi16(words, words),
                                           _mm_set1_epi8(static_cast<char>(largest + 1)));
        _mm_storel_epi64(reinterpret_cast<__m128i*>(p), bytes);
        return _mm256_cvtepi32_ps(rounded);
    }
};
