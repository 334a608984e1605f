// NEON (AArch64): 32 registers of 16 bytes. Fused multiply-add: 2 to 4 a cycle, latency 4; the
// 6 x 4 tile keeps 24 sums, plus 4 registers of centers and one broadcast.
#include "isa/block_kernels.h"
#include "isa/levels.h"

#include <arm_neon.h>

namespace centroids {
namespace neon {

#include "isa/neon_registers.h"

#include "generic/kernels.h"

static constexpr BlockKernels<float> float32 =
    make_kernels<Float32, {.rows = 6, .vectors = 4, .lane_vectors = 4}>();
static constexpr BlockKernels<double> float64 =
    make_kernels<Float64, {.rows = 6, .vectors = 4, .lane_vectors = 4}>();

static bool supported() { return true; }

} // namespace neon

const InstructionSet neon_level = {.name = "neon",
                                   .supported = &neon::supported,
                                   .float32 = &neon::float32,
                                   .float64 = &neon::float64};

} // namespace centroids
