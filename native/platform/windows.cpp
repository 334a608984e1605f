#define _CRT_RAND_S
#include <stdlib.h>

#include "platform/platform.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <system_error>
#include <windows.h>

namespace centroids {

// The process's own: of up to 64 CPUs, the group that it runs in.
int affinity_count() {
    DWORD_PTR own = 0, all = 0;
    if (!GetProcessAffinityMask(GetCurrentProcess(), &own, &all) || own == 0) return 1;
    return std::popcount(static_cast<std::uint64_t>(own));
}

double cpu_quota(const std::string&) { return HUGE_VAL; }

void fill_randomly(void* target, std::size_t bytes) {
    for (std::size_t from = 0; from < bytes; from += sizeof(unsigned)) {
        unsigned word;
        if (const int error = rand_s(&word))
            throw std::system_error(error, std::generic_category(), "no random numbers");
        const std::size_t left = bytes - from;
        std::memcpy(static_cast<char*>(target) + from, &word,
                    left < sizeof word ? left : sizeof word);
    }
}

bool system_has_dot_products() {
    constexpr DWORD dot_products = 43; // PF_ARM_V82_DP_INSTRUCTIONS_AVAILABLE
    return IsProcessorFeaturePresent(dot_products) != 0;
}

// Processes do not fork.
void call_in_forked_children(void (*)()) {}

} // namespace centroids
