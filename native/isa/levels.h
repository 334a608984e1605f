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
bool cpu_has_dot_products(); // of bytes, on Arm

extern const InstructionSet scalar_level;
extern const InstructionSet avx2_level;
extern const InstructionSet avxvnni_level;
extern const InstructionSet avx512_level;
extern const InstructionSet avx512vnni_level;
extern const InstructionSet neon_level;
extern const InstructionSet neondot_level;

} // namespace centroids
