// Which instruction-set level runs: the best that the processor has, or what CENTROIDS_ISA forces.
#pragma once

#include "isa/block_kernels.h"

#include <string>
#include <vector>

namespace centroids {

std::vector<std::string> compiled_levels();
std::vector<std::string> supported_levels(); // best first
const InstructionSet& current_level();
void set_level(const std::string& name); // "" for the best; throws std::invalid_argument

template <class T>
const BlockKernels<T>& current_kernels();
template <>
inline const BlockKernels<float>& current_kernels<float>() {
    return *current_level().float32;
}
template <>
inline const BlockKernels<double>& current_kernels<double>() {
    return *current_level().float64;
}

} // namespace centroids
