// AVX-VNNI: AVX2 and, in 32 bytes, the one instruction of VNNI, on client processors without
// AVX-512 (Alder Lake and later) and on Zen 5. It carries the int8 filter: four times the work of a
// float32 multiply-add at the same rate of 2 a cycle. A tile of 4 x 3 has 12 sums, 3 registers of
// centers and one of a row: all 16. All else is as on the AVX2 level.
#include "isa/block_kernels.h"
#include "isa/levels.h"

#include <immintrin.h>

namespace centroids {
namespace avxvnni {

#include "isa/avx2_registers.h"

#include "generic/kernels.h"

struct Bytes : ByteRegisters<127> {
    static constexpr int chain = 1;
    // By name: GCC 12 spills the sums of a tile that uses the intrinsic.
    static void add_products(Sums& sums, const Sums (&row)[chain], const Sums (&centers)[chain]) {
        __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sums) : "x"(row[0]), "x"(centers[0]));
    }
};

struct Words : WordRegisters {
    static inline __attribute__((always_inline)) void add_products(Integers& sums, Integers a,
                                                                   Integers b) {
        __asm__("%{vex%} vpdpwssd %2, %1, %0" : "+x"(sums) : "x"(a), "x"(b));
    }
};

static constexpr WordKernels<float> float32_words = AssignWords<Words, Float32, 2, 4>::kernels();
static constexpr WordKernels<double> float64_words = AssignWords<Words, Float64, 2, 4>::kernels();
static constexpr FilterKernels<float> byte_filter =
    Filter<Bytes, ByteProducts<Bytes, 3>, 4, 3>::kernels();
static constexpr CandidateKernels<float> byte_candidates =
    CandidateBounds<Bytes, ByteProducts<Bytes, 1>, 8>::kernels();
static constexpr BlockKernels<float> float32 =
    make_kernels<Float32, {.rows = 4, .vectors = 3, .lane_vectors = 2}>(
        &byte_filter, &byte_candidates,
        {.at_once = 128, .alone = {.dimensions = 64, .centers = 64, .fixed = 64000}},
        &float32_words, {.dimensions = 16, .centers = 32, .fixed = 1024});
static constexpr BlockKernels<double> float64 = make_kernels<
    Float64, {.rows = 6, .vectors = 2, .lane_vectors = 2, .lanes_pay = {.always = 4, .padded = 4}}>(
    nullptr, nullptr, {}, &float64_words, {.dimensions = 4, .centers = 16, .fixed = 2048});

} // namespace avxvnni

const InstructionSet avxvnni_level = {.name = "avxvnni",
                                      .supported = &cpu_has_avxvnni,
                                      .float32 = &avxvnni::float32,
                                      .float64 = &avxvnni::float64};

} // namespace centroids
