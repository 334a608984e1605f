// What the processor and the operating system offer. Compiled for the baseline.
#include "isa/levels.h"
#include "platform/platform.h"

#include <algorithm>
#include <chrono>
#include <limits>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace centroids {
namespace {

// The fastest of some rounds: whatever comes between makes others slower.
[[maybe_unused]] double seconds_of(void (*loop)(int), int steps) {
    double least = std::numeric_limits<double>::infinity();
    for (int round = 0; round < 8; ++round) {
        const auto start = std::chrono::steady_clock::now();
        loop(steps);
        const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
        least = std::min(least, taken.count());
    }
    return least;
}

} // namespace

// The builtins check the operating system's saving of wide registers too.
bool cpu_has_avx2() {
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return false;
#endif
}

// Older compilers do not know the name.
bool cpu_has_avxvnni() {
#if defined(__x86_64__)
    unsigned a = 0, b = 0, c = 0, d = 0;
    return cpu_has_avx2() && __get_cpuid_count(7, 0, &a, &b, &c, &d) && a >= 1 &&
           __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1) != 0;
#else
    return false;
#endif
}

bool cpu_has_avx512() {
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("fma");
#else
    return false;
#endif
}

bool cpu_has_avx512vnni() {
#if defined(__x86_64__)
    return cpu_has_avx512() && __builtin_cpu_supports("avx512vnni");
#else
    return false;
#endif
}

bool cpu_has_half_avx512vnni() {
#ifdef CENTROIDS_HAVE_AVX512VNNI
    static const bool half = [] {
        if (!cpu_has_avx512vnni()) return false;
        constexpr int steps = 1024;
        const double cycle = seconds_of(avx512vnni_probe.chain, steps) / 3;
        return seconds_of(avx512vnni_probe.ten, steps) / 10 > cycle * 3 / 4;
    }();
    return half;
#else
    return false;
#endif
}

bool cpu_has_dot_products() {
#if defined(__aarch64__)
    return system_has_dot_products();
#else
    return false;
#endif
}

} // namespace centroids
