// AVX-512 (F, BW, DQ, VL): 32 registers of 64 bytes. Fused multiply-add: 2 a cycle, latency 4, so
// at least 8 independent sums are needed; the 8 x 3 tile keeps 24, plus 3 registers of centers and
// one broadcast that folds into the multiply-add as a memory operand.
#include "isa/block_kernels.h"
#include "isa/levels.h"

#include <immintrin.h>

namespace centroids {
namespace avx512 {

#include "isa/avx512_registers.h"

#include "generic/kernels.h"

// Products of bytes without VNNI, as on the AVX2 level. A tile of 6 x 3 has 18 sums, 6 registers of
// centers, 2 of a row and 2 of products.
struct Bytes : ByteRegisters<63> {
    static constexpr int chain = 2;
    static void add_products(Sums& sums, const Sums (&row)[chain], const Sums (&centers)[chain]) {
        const __m512i pairs = _mm512_add_epi16(_mm512_maddubs_epi16(row[0], centers[0]),
                                               _mm512_maddubs_epi16(row[1], centers[1]));
        sums = _mm512_add_epi32(sums, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
    }
};

// An addition beside each product: as fast as multiply-adds of float32, twice as fast as of
// float64.
struct Words : WordRegisters {
    static inline __attribute__((always_inline)) void add_products(Integers& sums, Integers a,
                                                                   Integers b) {
        sums = _mm512_add_epi32(sums, _mm512_madd_epi16(a, b));
    }
};

static constexpr WordKernels<double> float64_words = AssignWords<Words, Float64, 2, 4>::kernels();
static constexpr FilterKernels<float> byte_filter =
    Filter<Bytes, ByteProducts<Bytes, 3>, 6, 3>::kernels();
static constexpr CandidateKernels<float> byte_candidates =
    CandidateBounds<Bytes, ByteProducts<Bytes, 1>, 8>::kernels();
static constexpr TileSizes sizes = {.rows = 8,
                                    .vectors = 3,
                                    .lane_vectors = 4,
                                    .lanes_pay = {.always = 64, .padded = 128, .half = 1024}};
static constexpr BlockKernels<float> float32 = make_kernels<Float32, sizes>(
    &byte_filter, &byte_candidates,
    {.at_once = 96, .with_bounds = {.dimensions = 48, .centers = 128, .aside = 0, .fixed = 12288}});
static constexpr BlockKernels<double> float64 = make_kernels<Float64, sizes>(
    nullptr, nullptr, {}, &float64_words, {.dimensions = 4, .centers = 8});

} // namespace avx512

const InstructionSet avx512_level = {.name = "avx512",
                                     .supported = &cpu_has_avx512,
                                     .float32 = &avx512::float32,
                                     .float64 = &avx512::float64};

} // namespace centroids
