// Products of rows and their weights, each exactly the sum of two numbers of float64: what it is
// rounded to, and the rest.

template <class T>
static Weighed weigh_rows(const T* rows, std::ptrdiff_t stride, std::size_t count,
                          std::size_t dimensions, const double* weights, double* products,
                          double* rests) {
    constexpr std::uint64_t infinite = std::uint64_t(0x7ff) << 52, sign = std::uint64_t(1) << 63;
    std::uint64_t any_rest = 0, too_large = 0; // above the exponent of infinity
    for (std::size_t i = 0; i < count; ++i) {
        const T* const row = rows + static_cast<std::ptrdiff_t>(i) * stride;
        const double weight = weights[i];
        for (std::size_t j = 0; j < dimensions; ++j) {
            const auto value = static_cast<double>(row[j]);
            const double product = weight * value;
            const double rest = __builtin_fma(weight, value, -product);
            products[i * dimensions + j] = product;
            rests[i * dimensions + j] = rest;
            too_large |= (__builtin_bit_cast(std::uint64_t, product) & ~sign) + (sign - infinite);
            any_rest |= __builtin_bit_cast(std::uint64_t, rest) & ~sign;
        }
    }
    return {any_rest != 0, (too_large & sign) == 0};
}
