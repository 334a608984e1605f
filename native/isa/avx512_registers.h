// Registers and operations of AVX-512, shared by the levels that have it.
//
// No include guard: each instruction set includes it once, in a namespace of its own.

struct Float32 {
    using T = float;
    using Index = std::int32_t;
    using Register = __m512;
    using IndexRegister = __m512i;
    using Mask = __mmask16;
    static constexpr std::size_t lanes = 16;
    static Register load(const T* p) { return _mm512_loadu_ps(p); }
    static void store(T* p, Register a) { _mm512_storeu_ps(p, a); }
    static Register broadcast(T a) { return _mm512_set1_ps(a); }
    static Register subtract(Register a, Register b) { return _mm512_sub_ps(a, b); }
    static Register multiply_add(Register a, Register b, Register c) {
        return _mm512_fmadd_ps(a, b, c);
    }
    static Register minimum(Register a, Register b) { return _mm512_min_ps(a, b); }
    static Register maximum(Register a, Register b) { return _mm512_max_ps(a, b); }
    static Mask less(Register a, Register b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
    static unsigned bits(Mask m) { return m; }
    static Register select(Mask m, Register yes, Register no) {
        return _mm512_mask_mov_ps(no, m, yes);
    }
    static T reduce_minimum(Register a) { return _mm512_reduce_min_ps(a); }
    // The chosen lanes side by side; what is behind them is written too.
    static void store_chosen(T* p, Register a, unsigned chosen) {
        _mm512_storeu_ps(p, _mm512_maskz_compress_ps(static_cast<Mask>(chosen), a));
    }
    static void store_chosen_lanes(std::int32_t* p, std::int32_t first, unsigned chosen) {
        const __m512i lane =
            _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        const __m512i places = _mm512_add_epi32(lane, _mm512_set1_epi32(first));
        _mm512_storeu_si512(p, _mm512_maskz_compress_epi32(static_cast<Mask>(chosen), places));
    }
    static IndexRegister broadcast_index(int a) { return _mm512_set1_epi32(a); }
    static IndexRegister select_index(Mask m, IndexRegister yes, IndexRegister no) {
        return _mm512_mask_mov_epi32(no, m, yes);
    }
    // Indices rest in scratch of T between panels: same size, copied as bits.
    static IndexRegister load_index(const T* p) { return _mm512_loadu_si512(p); }
    static void store_index(T* p, IndexRegister a) { _mm512_storeu_si512(p, a); }
    static void store_index_values(Index* p, IndexRegister a) { _mm512_storeu_si512(p, a); }
};

struct Float64 {
    using T = double;
    using Index = std::int64_t;
    using Register = __m512d;
    using IndexRegister = __m512i;
    using Mask = __mmask8;
    static constexpr std::size_t lanes = 8;
    static Register load(const T* p) { return _mm512_loadu_pd(p); }
    static void store(T* p, Register a) { _mm512_storeu_pd(p, a); }
    static Register broadcast(T a) { return _mm512_set1_pd(a); }
    static Register subtract(Register a, Register b) { return _mm512_sub_pd(a, b); }
    static Register multiply_add(Register a, Register b, Register c) {
        return _mm512_fmadd_pd(a, b, c);
    }
    static Register minimum(Register a, Register b) { return _mm512_min_pd(a, b); }
    static Register maximum(Register a, Register b) { return _mm512_max_pd(a, b); }
    static Mask less(Register a, Register b) { return _mm512_cmp_pd_mask(a, b, _CMP_LT_OQ); }
    static unsigned bits(Mask m) { return m; }
    static Register select(Mask m, Register yes, Register no) {
        return _mm512_mask_mov_pd(no, m, yes);
    }
    static T reduce_minimum(Register a) { return _mm512_reduce_min_pd(a); }
    static IndexRegister broadcast_index(int a) { return _mm512_set1_epi64(a); }
    static IndexRegister select_index(Mask m, IndexRegister yes, IndexRegister no) {
        return _mm512_mask_mov_epi64(no, m, yes);
    }
    static IndexRegister load_index(const T* p) { return _mm512_loadu_si512(p); }
    static void store_index(T* p, IndexRegister a) { _mm512_storeu_si512(p, a); }
    static void store_index_values(Index* p, IndexRegister a) { _mm512_storeu_si512(p, a); }
};

#include "generic/plain_steps.h"
#include "isa/avx_steps.h"

struct Steps : AvxSteps<8> {
    using AvxSteps<8>::add_products;
    static inline __attribute__((always_inline)) void
    add_products(const Doubles& a, const Doubles& b, const Doubles& c, Doubles& sums) {
        sums = _mm512_fmadd_pd(a, b, c);
    }

    // GCC 12 makes halves of this conversion.
    static inline __attribute__((always_inline)) void widen(const float* from, Doubles& to) {
        to = _mm512_cvtps_pd(_mm256_loadu_ps(from));
    }

    static inline __attribute__((always_inline)) void multiply_halves(const Words& words,
                                                                      Words& products) {
        const Words upper = words >> 32;
        products = reinterpret_cast<Words>(
            _mm512_mul_epu32(reinterpret_cast<__m512i>(words), reinterpret_cast<__m512i>(upper)));
    }

    static std::size_t look_up(const std::int32_t* table, const std::int32_t* cells,
                               std::size_t count, std::int32_t* entries, std::int32_t* few,
                               std::size_t& num_few, std::int32_t* many, std::size_t& num_many) {
        std::size_t i = 0;
        const __m512i one = _mm512_set1_epi32(1);
        __m512i place = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        for (; i + 16 <= count; i += 16) {
            const __m512i entry =
                _mm512_i32gather_epi32(_mm512_loadu_si512(cells + i), table, sizeof *table);
            _mm512_storeu_si512(entries + i, entry);
            const __mmask16 open = _mm512_movepi32_mask(entry);
            const __mmask16 is_few = _mm512_mask_test_epi32_mask(open, entry, one);
            const auto is_many = static_cast<__mmask16>(open & ~is_few);
            _mm512_storeu_si512(few + num_few, _mm512_maskz_compress_epi32(is_few, place));
            _mm512_storeu_si512(many + num_many, _mm512_maskz_compress_epi32(is_many, place));
            num_few += static_cast<std::size_t>(__builtin_popcount(is_few));
            num_many += static_cast<std::size_t>(__builtin_popcount(is_many));
            place = _mm512_add_epi32(place, _mm512_set1_epi32(16));
        }
        return i;
    }
};

// int32 beside floats.
struct IntegerRegisters : Float32 {
    using Integers = __m512i;

    static Integers load_integers(const std::int32_t* p) { return _mm512_loadu_si512(p); }
    static void store_integers(std::int32_t* p, Integers a) { _mm512_storeu_si512(p, a); }
    static Integers broadcast_integer(std::int32_t a) { return _mm512_set1_epi32(a); }
    static Integers rounded(Register a) { return _mm512_cvtps_epi32(a); }
    static Register as_floats(Integers a) { return _mm512_cvtepi32_ps(a); }
    static Register multiply(Register a, Register b) { return _mm512_mul_ps(a, b); }
    static T reduce_maximum(Register a) { return _mm512_reduce_max_ps(a); }
};

// What products of words need besides.
struct WordRegisters : IntegerRegisters {
    static Register load_floats(const float* p) { return load(p); }
    static Register load_floats(const double* p) {
        const __m512 first = _mm512_castps256_ps512(_mm512_cvtpd_ps(_mm512_loadu_pd(p)));
        return _mm512_insertf32x8(first, _mm512_cvtpd_ps(_mm512_loadu_pd(p + 8)), 1);
    }
    static Integers sum(Integers a, Integers b) { return _mm512_add_epi32(a, b); }
    static Integers common(Integers a, Integers b) { return _mm512_and_si512(a, b); }
    static Integers lower(Integers a, Integers b) { return _mm512_min_epi32(a, b); }
    static Integers higher(Integers a, Integers b) { return _mm512_max_epi32(a, b); }
    // (score & keep) | place
    static Integers with_place(Integers score, Integers keep, Integers place) {
        return _mm512_ternarylogic_epi32(score, keep, place, 0xea);
    }
    // The lower 16 bits of each.
    static Integers pair(Integers low, Integers high) {
        return _mm512_mask_mov_epi16(low, 0xaaaaaaaau, _mm512_slli_epi32(high, 16));
    }
};

// What products of bytes need besides, for bytes of at most `largest` in size.
template <std::int32_t largest>
struct ByteRegisters : IntegerRegisters {
    using Sums = Integers;
    static constexpr std::int32_t largest_byte = largest, middle_byte = largest + 1;

    static Sums load_sums(const std::int32_t* p) { return load_integers(p); }
    static Sums load_bytes(const std::int8_t* p) { return _mm512_loadu_si512(p); }
    static Sums broadcast_four(const std::uint8_t* p) {
        std::int32_t four;
        __builtin_memcpy(&four, p, sizeof four);
        return _mm512_set1_epi32(four);
    }

    // The first elements, fewer than there are lanes; zeros behind them.
    static Register load_part(const T* p, std::size_t count) {
        return _mm512_maskz_loadu_ps(static_cast<Mask>((1u << count) - 1u), p);
    }
    static Register absolute(Register a) { return _mm512_abs_ps(a); }
    static T reduce_add(Register a) { return _mm512_reduce_add_ps(a); }
    // Rounds to integers of at most largest_byte in size, stores them + largest_byte + 1, returns
    // them as floats.
    static Register store_rounded(std::uint8_t* p, Register a) {
        const __m512i rounded = _mm512_cvtps_epi32(a);
        const __m128i offset = _mm_set1_epi8(static_cast<char>(largest + 1));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                         _mm_add_epi8(_mm512_cvtepi32_epi8(rounded), offset));
        return _mm512_cvtepi32_ps(rounded);
    }
};
