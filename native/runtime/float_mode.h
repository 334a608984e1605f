// The floating-point mode that all promises are about: rounding to nearest, subnormal numbers kept.
// Other libraries change it for a thread (a GPU runtime, audio code, anything built with
// -ffast-math); the kernels set it for as long as they run, in every thread that they run in.
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace centroids {

class FloatMode {
  public:
    FloatMode() : before_(enter()) {}
    ~FloatMode() { leave(before_); }
    FloatMode(const FloatMode&) = delete;
    FloatMode& operator=(const FloatMode&) = delete;

    // For a caller that runs on between two calls: sets the mode and returns the previous one.
    static std::uint64_t enter() {
        const std::uint64_t before = read();
        if (before != usual) write(usual);
        return before;
    }
    static void leave(std::uint64_t before) {
        if (before != usual) write(before);
    }

  private:
#if defined(__x86_64__)
    // Traps no exceptions, rounds to nearest, neither flushes to zero nor reads subnormals as zero.
    static constexpr std::uint64_t usual = 0x1f80;
    static std::uint64_t read() { return _mm_getcsr() & 0xffc0u; } // without what has happened
    static void write(std::uint64_t mode) { _mm_setcsr(static_cast<unsigned>(mode)); }
#elif defined(__aarch64__)
    static constexpr std::uint64_t usual = 0;
    static std::uint64_t read() {
        std::uint64_t mode;
        __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
        return mode;
    }
    static void write(std::uint64_t mode) { __asm__ volatile("msr fpcr, %0" : : "r"(mode)); }
#else
    static constexpr std::uint64_t usual = 0;
    static std::uint64_t read() { return usual; }
    static void write(std::uint64_t) {}
#endif
    const std::uint64_t before_;
};

} // namespace centroids
