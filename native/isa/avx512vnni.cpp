// AVX-512 with VNNI: one instruction multiplies 64 bytes by 64 bytes and adds them up in sixteen
// int32 sums, four times the work of a float32 multiply-add at the same rate. It carries the int8
// filter; all else is as on the AVX-512 level.
#include "isa/block_kernels.h"
#include "isa/levels.h"

#include <immintrin.h>

namespace centroids {
namespace avx512vnni {

#include "isa/avx512_registers.h"

#include "generic/kernels.h"

struct Bytes : ByteRegisters<127> {
    static constexpr int chain = 1;
    // By name: GCC 12 spills the sums of a tile that uses the intrinsic.
    static void add_products(Sums& sums, const Sums (&row)[chain], const Sums (&centers)[chain]) {
        __asm__("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(row[0]), "v"(centers[0]));
    }
};

struct Words : WordRegisters {
    // As above.
    static inline __attribute__((always_inline)) void add_products(Integers& sums, Integers a,
                                                                   Integers b) {
        __asm__("vpdpwssd %2, %1, %0" : "+v"(sums) : "v"(a), "v"(b));
    }
};

static constexpr WordKernels<float> float32_words = AssignWords<Words, Float32, 2, 4>::kernels();
static constexpr WordKernels<double> float64_words = AssignWords<Words, Float64, 2, 4>::kernels();
static constexpr FilterKernels<float> byte_filter =
    Filter<Bytes, ByteProducts<Bytes, 3>, 8, 3>::kernels();
static constexpr CandidateKernels<float> byte_candidates =
    CandidateBounds<Bytes, ByteProducts<Bytes, 1>, 16>::kernels();
static constexpr TileSizes sizes = {.rows = 8,
                                    .vectors = 3,
                                    .lane_vectors = 4,
                                    .lanes_pay = {.always = 64, .padded = 128, .half = 1024}};
static constexpr PaysFrom words_pay = {.dimensions = 4, .centers = 16, .fixed = 128};
static constexpr PaysFrom bytes_alone = {.dimensions = 64, .centers = 64, .fixed = 64000};
static constexpr BlockKernels<float> float32 =
    make_kernels<Float32, sizes>(&byte_filter, &byte_candidates,
                                 {.at_once = 128, .alone = bytes_alone}, &float32_words, words_pay);
static constexpr BlockKernels<float> half_float32 = make_kernels<Float32, sizes>(
    &byte_filter, &byte_candidates,
    {.at_once = 128,
     .alone = bytes_alone,
     .with_bounds = {.dimensions = 17, .centers = 48, .aside = 12, .fixed = 6500},
     .with_few = {.dimensions = 96, .centers = 4, .aside = 64, .fixed = 1500}},
    &float32_words, words_pay);
static constexpr BlockKernels<double> float64 = make_kernels<Float64, sizes>(
    nullptr, nullptr, {}, &float64_words, {.dimensions = 4, .centers = 8});

// Three cycles each, on all processors that have the level.
static void multiply_in_a_chain(int steps) {
    long long value = 3;
    for (int i = 0; i < steps; ++i) __asm__ volatile("imul %0, %0" : "+r"(value));
}

static void multiply_and_add_ten(int steps) {
    __m512 a = _mm512_setzero_ps(), b = a, c = a, d = a, e = a, f = a, g = a, h = a, i = a, j = a;
    for (int step = 0; step < steps; ++step)
        __asm__ volatile("vfmadd231ps %0, %0, %0\n\tvfmadd231ps %1, %1, %1\n\t"
                         "vfmadd231ps %2, %2, %2\n\tvfmadd231ps %3, %3, %3\n\t"
                         "vfmadd231ps %4, %4, %4\n\tvfmadd231ps %5, %5, %5\n\t"
                         "vfmadd231ps %6, %6, %6\n\tvfmadd231ps %7, %7, %7\n\t"
                         "vfmadd231ps %8, %8, %8\n\tvfmadd231ps %9, %9, %9"
                         : "+v"(a), "+v"(b), "+v"(c), "+v"(d), "+v"(e), "+v"(f), "+v"(g), "+v"(h),
                           "+v"(i), "+v"(j));
}

} // namespace avx512vnni

const InstructionSet avx512vnni_level = {.name = "avx512vnni",
                                         .supported = &cpu_has_avx512vnni,
                                         .float32 = &avx512vnni::float32,
                                         .float64 = &avx512vnni::float64};

const InstructionSet avx512vnni_half_level = {.name = "avx512vnni",
                                              .supported = &cpu_has_half_avx512vnni,
                                              .float32 = &avx512vnni::half_float32,
                                              .float64 = &avx512vnni::float64};

const RateProbe avx512vnni_probe = {.chain = &avx512vnni::multiply_in_a_chain,
                                    .ten = &avx512vnni::multiply_and_add_ten};

} // namespace centroids
