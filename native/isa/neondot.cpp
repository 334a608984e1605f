// NEON with dot products (Armv8.2; Apple M1, Graviton 2 and later): one instruction multiplies 16
// signed bytes by 16 and adds them up in four int32 sums, four times the work of a float32
// multiply-add. It carries the int8 filter; all else is as on the NEON level. The 6 x 4 tile keeps
// 24 sums, plus 4 registers of centers and one of a row.
#include "isa/block_kernels.h"
#include "isa/levels.h"

#include <arm_neon.h>

namespace centroids {
namespace neondot {

#include "isa/neon_registers.h"

#include "generic/kernels.h"

struct Bytes : Float32 {
    using Sums = int32x4_t;
    static constexpr int chain = 1;
    static constexpr std::int32_t largest_byte = 127, middle_byte = 0;

    // Rows are signed here, so that there is no offset to take off.
    static Sums load_sums(const std::int32_t*) { return vdupq_n_s32(0); }
    static Sums load_bytes(const std::int8_t* p) { return vreinterpretq_s32_s8(vld1q_s8(p)); }
    static Sums broadcast_four(const std::uint8_t* p) {
        std::int32_t four;
        __builtin_memcpy(&four, p, sizeof four);
        return vdupq_n_s32(four);
    }
    static void add_products(Sums& sums, const Sums (&row)[chain], const Sums (&centers)[chain]) {
        sums = vdotq_s32(sums, vreinterpretq_s8_s32(row[0]), vreinterpretq_s8_s32(centers[0]));
    }
    static Register as_floats(Sums sums) { return vcvtq_f32_s32(sums); }

    // The first elements, fewer than there are lanes; zeros behind them.
    static Register load_part(const T* p, std::size_t count) {
        T part[lanes] = {};
        for (std::size_t j = 0; j < count; ++j) part[j] = p[j];
        return vld1q_f32(part);
    }
    static Register absolute(Register a) { return vabsq_f32(a); }
    static Register multiply(Register a, Register b) { return vmulq_f32(a, b); }
    static T reduce_maximum(Register a) { return vmaxvq_f32(a); }
    static T reduce_add(Register a) { return vaddvq_f32(a); }
    // Rounds to integers of at most largest_byte in size, stores them, returns them as floats.
    static Register store_rounded(std::uint8_t* p, Register a) {
        const int32x4_t rounded = vcvtnq_s32_f32(a);
        const int16x4_t words = vqmovn_s32(rounded);
        const int8x8_t bytes = vqmovn_s16(vcombine_s16(words, words));
        const std::int32_t four = vget_lane_s32(vreinterpret_s32_s8(bytes), 0);
        __builtin_memcpy(p, &four, sizeof four);
        return vcvtq_f32_s32(rounded);
    }
};

static constexpr FilterKernels<float> byte_filter =
    Filter<Bytes, ByteProducts<Bytes, 4>, 6, 4>::kernels();
static constexpr CandidateKernels<float> byte_candidates =
    CandidateBounds<Bytes, ByteProducts<Bytes, 1>, 8>::kernels();
static constexpr BlockKernels<float> float32 =
    make_kernels<Float32, {.rows = 6, .vectors = 4, .lane_vectors = 4}>(&byte_filter,
                                                                        &byte_candidates);
static constexpr BlockKernels<double> float64 =
    make_kernels<Float64, {.rows = 6, .vectors = 4, .lane_vectors = 4}>();

} // namespace neondot

const InstructionSet neondot_level = {.name = "neondot",
                                      .supported = &cpu_has_dot_products,
                                      .float32 = &neondot::float32,
                                      .float64 = &neondot::float64};

} // namespace centroids
