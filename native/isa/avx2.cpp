// AVX2 with FMA: 16 registers of 32 bytes. Fused multiply-add: 2 a cycle, latency 4 to 5, so at
// least 10 independent sums are needed; the 6 x 2 tile keeps 12, plus 2 registers of centers and
// one broadcast: 15 of 16.
#include "centroids/block_kernels.h"
#include "isa/levels.h"

#include <immintrin.h>

namespace centroids {
namespace avx2 {

struct Float32 {
    using T = float;
    using Index = std::int32_t;
    using Register = __m256;
    using IndexRegister = __m256;
    using Mask = __m256;
    static constexpr std::size_t lanes = 8;
    static Register load(const T* p) { return _mm256_loadu_ps(p); }
    static void store(T* p, Register a) { _mm256_storeu_ps(p, a); }
    static Register broadcast(T a) { return _mm256_set1_ps(a); }
    static Register subtract(Register a, Register b) { return _mm256_sub_ps(a, b); }
    static Register multiply_add(Register a, Register b, Register c) {
        return _mm256_fmadd_ps(a, b, c);
    }
    static Register minimum(Register a, Register b) { return _mm256_min_ps(a, b); }
    static Register maximum(Register a, Register b) { return _mm256_max_ps(a, b); }
    static Mask less(Register a, Register b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
    static unsigned bits(Mask m) { return static_cast<unsigned>(_mm256_movemask_ps(m)); }
    static Register select(Mask m, Register yes, Register no) {
        return _mm256_blendv_ps(no, yes, m);
    }
    static T reduce_minimum(Register a) {
        const __m128 half = _mm_min_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
        const __m128 quarter = _mm_min_ps(half, _mm_movehl_ps(half, half));
        return _mm_cvtss_f32(_mm_min_ss(quarter, _mm_movehdup_ps(quarter)));
    }
    static IndexRegister broadcast_index(int a) {
        return _mm256_castsi256_ps(_mm256_set1_epi32(a));
    }
    static IndexRegister select_index(Mask m, IndexRegister yes, IndexRegister no) {
        return _mm256_blendv_ps(no, yes, m);
    }
    // Indices rest in scratch of T between panels: same size, copied as bits.
    static IndexRegister load_index(const T* p) { return _mm256_loadu_ps(p); }
    static void store_index(T* p, IndexRegister a) { _mm256_storeu_ps(p, a); }
    static void store_index_values(Index* p, IndexRegister a) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_castps_si256(a));
    }
};

struct Float64 {
    using T = double;
    using Index = std::int64_t;
    using Register = __m256d;
    using IndexRegister = __m256d;
    using Mask = __m256d;
    static constexpr std::size_t lanes = 4;
    static Register load(const T* p) { return _mm256_loadu_pd(p); }
    static void store(T* p, Register a) { _mm256_storeu_pd(p, a); }
    static Register broadcast(T a) { return _mm256_set1_pd(a); }
    static Register subtract(Register a, Register b) { return _mm256_sub_pd(a, b); }
    static Register multiply_add(Register a, Register b, Register c) {
        return _mm256_fmadd_pd(a, b, c);
    }
    static Register minimum(Register a, Register b) { return _mm256_min_pd(a, b); }
    static Register maximum(Register a, Register b) { return _mm256_max_pd(a, b); }
    static Mask less(Register a, Register b) { return _mm256_cmp_pd(a, b, _CMP_LT_OQ); }
    static unsigned bits(Mask m) { return static_cast<unsigned>(_mm256_movemask_pd(m)); }
    static Register select(Mask m, Register yes, Register no) {
        return _mm256_blendv_pd(no, yes, m);
    }
    static T reduce_minimum(Register a) {
        const __m128d half = _mm_min_pd(_mm256_castpd256_pd128(a), _mm256_extractf128_pd(a, 1));
        return _mm_cvtsd_f64(_mm_min_sd(half, _mm_unpackhi_pd(half, half)));
    }
    static IndexRegister broadcast_index(int a) {
        return _mm256_castsi256_pd(_mm256_set1_epi64x(a));
    }
    static IndexRegister select_index(Mask m, IndexRegister yes, IndexRegister no) {
        return _mm256_blendv_pd(no, yes, m);
    }
    static IndexRegister load_index(const T* p) { return _mm256_loadu_pd(p); }
    static void store_index(T* p, IndexRegister a) { _mm256_storeu_pd(p, a); }
    static void store_index_values(Index* p, IndexRegister a) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_castpd_si256(a));
    }
};

#include "generic/kernels.h"

static constexpr BlockKernels<float> float32 = make_kernels<Float32, 6, 2, 2>();
static constexpr BlockKernels<double> float64 = make_kernels<Float64, 6, 2, 2>();

} // namespace avx2

const InstructionSet avx2_level = {"avx2", &cpu_has_avx2, &avx2::float32, &avx2::float64};

} // namespace centroids
