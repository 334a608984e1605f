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

struct Bytes : ByteRegisters<127> {
    static constexpr int chain = 1;
    // By name: GCC 12 spills the sums of a tile that uses the intrinsic.
    static void add_products(Sums& sums, const Sums (&row)[chain], const Sums (&centers)[chain]) {
        __asm__("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(row[0]), "v"(centers[0]));
    }
};

static constexpr FilterKernels<float> byte_filter =
    Filter<Bytes, ByteProducts<Bytes, 3>, 8, 3>::kernels();
static constexpr CandidateKernels<float> byte_candidates =
    CandidateBounds<Bytes, ByteProducts<Bytes, 1>, 16>::kernels();
static constexpr TileSizes sizes = {
    .rows = 8, .vectors = 3, .lane_vectors = 4, .lanes_pay = {.always = 64, .padded = 128}};
static constexpr BlockKernels<float> float32 =
    make_kernels<Float32, sizes>(&byte_filter, &byte_candidates, {.alone = 32, .with_bounds = 32});
static constexpr BlockKernels<double> float64 = make_kernels<Float64, sizes>();

} // namespace avx512vnni

const InstructionSet avx512vnni_level = {.name = "avx512vnni",
                                         .supported = &cpu_has_avx512vnni,
                                         .float32 = &avx512vnni::float32,
                                         .float64 = &avx512vnni::float64};

} // namespace centroids
