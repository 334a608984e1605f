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

static constexpr BlockKernels<float> float32 =
    make_kernels<Float32, {.rows = 8, .vectors = 3, .lane_vectors = 4}>();
static constexpr BlockKernels<double> float64 =
    make_kernels<Float64, {.rows = 8, .vectors = 3, .lane_vectors = 4}>();

} // namespace avx512

const InstructionSet avx512_level = {.name = "avx512",
                                     .supported = &cpu_has_avx512,
                                     .float32 = &avx512::float32,
                                     .float64 = &avx512::float64};

} // namespace centroids
