// Products of rows and their weights, each exactly the sum of two numbers of float64: what it is
// rounded to, and the rest.

struct Weighing {
    double *products, *rests;
    std::uint64_t any_rest = 0, too_large = 0; // above the exponent of infinity

    // weight_at(i): of the value i
    template <class T, class WeightAt>
    inline __attribute__((always_inline)) void add(const T* values, std::size_t count,
                                                   const WeightAt& weight_at) {
        constexpr std::uint64_t infinite = std::uint64_t(0x7ff) << 52, sign = std::uint64_t(1)
                                                                              << 63;
        double* const __restrict to = products, * const __restrict rests_to = rests;
        std::uint64_t rest_bits = 0, large_bits = 0;
        for (std::size_t i = 0; i < count; ++i) {
            const double value = static_cast<double>(values[i]), weight = weight_at(i);
            const double product = weight * value;
            const double rest = __builtin_fma(weight, value, -product);
            to[i] = product;
            rests_to[i] = rest;
            large_bits |= (__builtin_bit_cast(std::uint64_t, product) & ~sign) + (sign - infinite);
            rest_bits |= __builtin_bit_cast(std::uint64_t, rest) & ~sign;
        }
        any_rest |= rest_bits;
        too_large |= large_bits & sign;
        products += count;
        rests += count;
    }
};

template <class T>
static Weighed weigh_rows(const T* rows, std::ptrdiff_t stride, std::size_t count,
                          std::size_t dimensions, const double* weights, double* products,
                          double* rests) {
    Weighing weighing{products, rests};
    if (dimensions == 1 && stride == 1) { // numbers, rather than rows
        weighing.add(rows, count, [&](std::size_t i) { return weights[i]; });
    } else {
        for (std::size_t i = 0; i < count; ++i)
            weighing.add(rows + static_cast<std::ptrdiff_t>(i) * stride, dimensions,
                         [weight = weights[i]](std::size_t) { return weight; });
    }
    return {weighing.any_rest != 0, weighing.too_large == 0};
}
