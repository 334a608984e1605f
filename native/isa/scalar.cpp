// Plain C++, one value a "register": runs anywhere, and is the level the others are tested against.
// Product and sum are rounded apart (no fused multiply-add is assumed).
#include "isa/block_kernels.h"
#include "isa/levels.h"

#if defined(__SSE2__)
#include <emmintrin.h> // for fingerprints of integers
#endif

namespace centroids {
namespace scalar {

template <class Value, class IndexValue>
struct One {
    static_assert(sizeof(Value) == sizeof(IndexValue));
    using T = Value;
    using Index = IndexValue;
    using Register = Value;
    using IndexRegister = IndexValue;
    using Mask = bool;
    static constexpr std::size_t lanes = 1;
    static Register load(const T* p) { return *p; }
    static void store(T* p, Register a) { *p = a; }
    static Register broadcast(T a) { return a; }
    static Register subtract(Register a, Register b) { return a - b; }
    static Register multiply_add(Register a, Register b, Register c) { return a * b + c; }
    static Register minimum(Register a, Register b) { return a < b ? a : b; }
    static Register maximum(Register a, Register b) { return a > b ? a : b; }
    static Mask less(Register a, Register b) { return a < b; }
    static unsigned bits(Mask m) { return m ? 1 : 0; }
    static Register select(Mask m, Register yes, Register no) { return m ? yes : no; }
    static T reduce_minimum(Register a) { return a; }
    static IndexRegister broadcast_index(int a) { return a; }
    static IndexRegister select_index(Mask m, IndexRegister yes, IndexRegister no) {
        return m ? yes : no;
    }
    // Indices rest in scratch of T between panels: same size, copied as bits.
    static IndexRegister load_index(const T* p) {
        Index index;
        __builtin_memcpy(&index, p, sizeof index);
        return index;
    }
    static void store_index(T* p, IndexRegister a) { __builtin_memcpy(p, &a, sizeof a); }
    static void store_index_values(Index* p, IndexRegister a) { *p = a; }
};
using Float32 = One<float, std::int32_t>;
using Float64 = One<double, std::int64_t>;

#include "generic/plain_steps.h"

struct Steps : PlainSteps {
#if defined(__SSE2__)
    static inline __attribute__((always_inline)) void multiply_halves(const TwoWords& words,
                                                                      TwoWords& products) {
        const TwoWords upper = words >> 32;
        products = reinterpret_cast<TwoWords>(
            _mm_mul_epu32(reinterpret_cast<__m128i>(words), reinterpret_cast<__m128i>(upper)));
    }
#endif
};

#include "generic/kernels.h"

static constexpr BlockKernels<float> float32 =
    make_kernels<Float32, {.rows = 2, .vectors = 4, .lane_vectors = 4}>();
static constexpr BlockKernels<double> float64 =
    make_kernels<Float64, {.rows = 2, .vectors = 4, .lane_vectors = 4}>();

static bool supported() { return true; }

} // namespace scalar

const InstructionSet scalar_level = {.name = "scalar",
                                     .supported = &scalar::supported,
                                     .float32 = &scalar::float32,
                                     .float64 = &scalar::float64};

} // namespace centroids
