// The instruction-set levels that this build may hold; cmake/isa.cmake decides which are compiled.
#pragma once

#include "isa/block_kernels.h"

#if defined(__GNUC__) && !defined(__clang__)
#define CENTROIDS_UNROLL _Pragma("GCC unroll 16")
#else
#define CENTROIDS_UNROLL _Pragma("unroll")
#endif

namespace centroids {

bool cpu_has_avx2();
bool cpu_has_avxvnni();
bool cpu_has_avx512();
bool cpu_has_avx512vnni();
// And makes one multiply-add of 512 bits a cycle, not two: Zen 4, mobile Zen 5, Intel's processors
// for clients. It is measured, once, which takes a tenth of a millisecond; only speed depends on
// it.
bool cpu_has_half_avx512vnni();
bool cpu_has_dot_products(); // of bytes, on Arm

// Two loops of so many steps, which tell a rate of multiply-adds from a clock that is not known.
struct RateProbe {
    void (*chain)(int steps); // three cycles each
    void (*ten)(int steps);   // ten independent multiply-adds each
};

extern const InstructionSet scalar_level;
extern const InstructionSet avx2_level;
extern const InstructionSet avxvnni_level;
extern const InstructionSet avx512_level;
extern const InstructionSet avx512vnni_level;
extern const InstructionSet avx512vnni_half_level; // its kernels pay in other shapes
extern const RateProbe avx512vnni_probe;
extern const InstructionSet neon_level;
extern const InstructionSet neondot_level;

} // namespace centroids
