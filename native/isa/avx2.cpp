// AVX2 with FMA: 16 registers of 32 bytes. Fused multiply-add: 2 a cycle, latency 4 to 5, so at
// least 10 independent sums are needed; the tiles keep 12, plus the centers and one broadcast. In
// float64 that is 6 x 2, 15 of 16 registers; in float32 4 x 3, all 16, as wide as the filter's.
#include "isa/block_kernels.h"
#include "isa/levels.h"

#include <immintrin.h>

namespace centroids {
namespace avx2 {

#include "isa/avx2_registers.h"

#include "generic/kernels.h"

// Products of bytes without VNNI: vpmaddubsw multiplies 32 pairs and adds neighbours at 16 bits,
// where four products fit if a byte has 7 bits: 4 * 127 * 63 < 2^15. So two of them are added
// before vpmaddwd widens their sum: three multiplications and two additions for 64 products, in
// theory 2.7 times the rate of fused multiply-adds. A tile of 4 x 3 has 12 sums, 2 registers of a
// row and 2 of products; centers come from the first-level cache.
struct Bytes : ByteRegisters<63> {
    static constexpr int chain = 2;
    static void add_products(Sums& sums, const Sums (&row)[chain], const Sums (&centers)[chain]) {
        const __m256i pairs = _mm256_add_epi16(_mm256_maddubs_epi16(row[0], centers[0]),
                                               _mm256_maddubs_epi16(row[1], centers[1]));
        sums = _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    }
};

struct Words : WordRegisters {
    static inline __attribute__((always_inline)) void add_products(Integers& sums, Integers a,
                                                                   Integers b) {
        sums = _mm256_add_epi32(sums, _mm256_madd_epi16(a, b));
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
        {.at_once = 128,
         .alone = {.dimensions = 64, .centers = 64, .fixed = 65536},
         .with_bounds = {.dimensions = 48, .centers = 128, .aside = 0, .fixed = 12288},
         .with_few = {.dimensions = 192, .centers = 4, .aside = 128, .fixed = 1024}},
        &float32_words, {.dimensions = 16, .centers = 32, .fixed = 1024});
static constexpr BlockKernels<double> float64 = make_kernels<
    Float64, {.rows = 6, .vectors = 2, .lane_vectors = 2, .lanes_pay = {.always = 4, .padded = 4}}>(
    nullptr, nullptr, {}, &float64_words, {.dimensions = 4, .centers = 16, .fixed = 2048});

} // namespace avx2

const InstructionSet avx2_level = {.name = "avx2",
                                   .supported = &cpu_has_avx2,
                                   .float32 = &avx2::float32,
                                   .float64 = &avx2::float64};

} // namespace centroids
