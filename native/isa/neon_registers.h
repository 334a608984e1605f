// Registers and operations of NEON, shared by the levels that have it.
//
// No include guard: each instruction set includes it once, in a namespace of its own.

struct Float32 {
    using T = float;
    using Index = std::int32_t;
    using Register = float32x4_t;
    using IndexRegister = int32x4_t;
    using Mask = uint32x4_t;
    static constexpr std::size_t lanes = 4;
    static Register load(const T* p) { return vld1q_f32(p); }
    static void store(T* p, Register a) { vst1q_f32(p, a); }
    static Register broadcast(T a) { return vdupq_n_f32(a); }
    static Register subtract(Register a, Register b) { return vsubq_f32(a, b); }
    static Register multiply_add(Register a, Register b, Register c) { return vfmaq_f32(c, a, b); }
    static Register minimum(Register a, Register b) { return vminq_f32(a, b); }
    static Register maximum(Register a, Register b) { return vmaxq_f32(a, b); }
    static Mask less(Register a, Register b) { return vcltq_f32(a, b); }
    static unsigned bits(Mask m) {
        const uint32x4_t place = {1, 2, 4, 8};
        return vaddvq_u32(vandq_u32(m, place));
    }
    static Register select(Mask m, Register yes, Register no) { return vbslq_f32(m, yes, no); }
    static T reduce_minimum(Register a) { return vminvq_f32(a); }
    static IndexRegister broadcast_index(int a) { return vdupq_n_s32(a); }
    static IndexRegister select_index(Mask m, IndexRegister yes, IndexRegister no) {
        return vbslq_s32(m, yes, no);
    }
    // Indices rest in scratch of T between panels: same size, copied as bits.
    static IndexRegister load_index(const T* p) { return vreinterpretq_s32_f32(vld1q_f32(p)); }
    static void store_index(T* p, IndexRegister a) { vst1q_f32(p, vreinterpretq_f32_s32(a)); }
    static void store_index_values(Index* p, IndexRegister a) { vst1q_s32(p, a); }
};

struct Float64 {
    using T = double;
    using Index = std::int64_t;
    using Register = float64x2_t;
    using IndexRegister = int64x2_t;
    using Mask = uint64x2_t;
    static constexpr std::size_t lanes = 2;
    static Register load(const T* p) { return vld1q_f64(p); }
    static void store(T* p, Register a) { vst1q_f64(p, a); }
    static Register broadcast(T a) { return vdupq_n_f64(a); }
    static Register subtract(Register a, Register b) { return vsubq_f64(a, b); }
    static Register multiply_add(Register a, Register b, Register c) { return vfmaq_f64(c, a, b); }
    static Register minimum(Register a, Register b) { return vminq_f64(a, b); }
    static Register maximum(Register a, Register b) { return vmaxq_f64(a, b); }
    static Mask less(Register a, Register b) { return vcltq_f64(a, b); }
    static unsigned bits(Mask m) {
        return static_cast<unsigned>((vgetq_lane_u64(m, 0) & 1) | (vgetq_lane_u64(m, 1) & 2));
    }
    static Register select(Mask m, Register yes, Register no) { return vbslq_f64(m, yes, no); }
    static T reduce_minimum(Register a) { return vminvq_f64(a); }
    static IndexRegister broadcast_index(int a) { return vdupq_n_s64(a); }
    static IndexRegister select_index(Mask m, IndexRegister yes, IndexRegister no) {
        return vbslq_s64(m, yes, no);
    }
    static IndexRegister load_index(const T* p) { return vreinterpretq_s64_f64(vld1q_f64(p)); }
    static void store_index(T* p, IndexRegister a) { vst1q_f64(p, vreinterpretq_f64_s64(a)); }
    static void store_index_values(Index* p, IndexRegister a) { vst1q_s64(p, a); }
};

#include "generic/plain_steps.h"
using Steps = PlainSteps;
