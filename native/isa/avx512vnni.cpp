// AVX-512 with VNNI: one instruction multiplies 64 bytes by 64 bytes and adds them up in sixteen
// int32 sums, four times the work of a float32 multiply-add at the same rate of 2 a cycle. It
// carries the int8 filter; all else is as on the AVX-512 level.
#include "isa/block_kernels.h"
#include "isa/levels.h"

#include <immintrin.h>

namespace centroids {
namespace avx512vnni {

#include "isa/avx512_registers.h"

#include "generic/kernels.h"

struct Bytes : Float32 {
    using Sums = __m512i;

    static Sums load_sums(const std::int32_t* p) { return _mm512_loadu_si512(p); }
    static Sums load_bytes(const std::int8_t* p) { return _mm512_loadu_si512(p); }
    static Sums broadcast_four(const std::uint8_t* p) {
        std::int32_t four;
        __builtin_memcpy(&four, p, sizeof four);
        return _mm512_set1_epi32(four);
    }
    static constexpr int chain = 1;
    static constexpr std::int32_t largest_byte = 127;
    // By name: GCC 12 spills the sums of a tile that uses the intrinsic.
    static void add_products(Sums& sums, const Sums (&row)[chain], const Sums (&centers)[chain]) {
        __asm__("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(row[0]), "v"(centers[0]));
    }
    static Register as_floats(Sums sums) { return _mm512_cvtepi32_ps(sums); }

    // The first elements, fewer than there are lanes; zeros behind them.
    static Register load_part(const T* p, std::size_t count) {
        return _mm512_maskz_loadu_ps(static_cast<Mask>((1u << count) - 1u), p);
    }
    static Register absolute(Register a) { return _mm512_abs_ps(a); }
    static Register multiply(Register a, Register b) { return _mm512_mul_ps(a, b); }
    static T reduce_maximum(Register a) { return _mm512_reduce_max_ps(a); }
    static T reduce_add(Register a) { return _mm512_reduce_add_ps(a); }
    // Rounds to integers of at most 127 in size, stores them + 128, returns them as floats.
    static Register store_rounded(std::uint8_t* p, Register a) {
        const __m512i rounded = _mm512_cvtps_epi32(a);
        _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                         _mm_xor_si128(_mm512_cvtepi32_epi8(rounded), _mm_set1_epi8(-128)));
        return _mm512_cvtepi32_ps(rounded);
    }
};

static constexpr FilterKernels<float> byte_filter =
    Filter<Bytes, ByteProducts<Bytes, 3>, 8, 3>::kernels();
static constexpr CandidateKernels<float> byte_candidates =
    CandidateBounds<Bytes, ByteProducts<Bytes, 1>, 16>::kernels();
static constexpr BlockKernels<float> float32 =
    make_kernels<Float32, {.rows = 8, .vectors = 3, .lane_vectors = 4}>(
        &byte_filter, &byte_candidates, {.alone = 32, .with_bounds = 32});
static constexpr BlockKernels<double> float64 =
    make_kernels<Float64, {.rows = 8, .vectors = 3, .lane_vectors = 4}>();

} // namespace avx512vnni

const InstructionSet avx512vnni_level = {.name = "avx512vnni",
                                         .supported = &cpu_has_avx512vnni,
                                         .float32 = &avx512vnni::float32,
                                         .float64 = &avx512vnni::float64};

} // namespace centroids
