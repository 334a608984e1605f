// Rows of any element type and stride to contiguous rows of T, normalised if asked.
//
// One pass over memory that is read anyway; the arithmetic is element by element, or in eight
// running sums, so every instruction set gives the same bits.

struct Float16 {
    std::uint16_t bits;
    explicit operator float() const {
        const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
        const std::uint32_t exponent = (bits >> 10) & 0x1fu;
        const std::uint32_t mantissa = bits & 0x3ffu;
        if (exponent == 0) // zero or subnormal: mantissa times 2^-24
            return (sign ? -1.0f : 1.0f) * static_cast<float>(mantissa) * 0x1p-24f;
        const std::uint32_t wide = exponent == 0x1fu ? 0xffu : exponent + 112u;
        return __builtin_bit_cast(float, sign | wide << 23 | mantissa << 13);
    }
    explicit operator double() const { return static_cast<double>(static_cast<float>(*this)); }
};

struct BFloat16 {
    std::uint16_t bits;
    explicit operator float() const {
        return __builtin_bit_cast(float, static_cast<std::uint32_t>(bits) << 16);
    }
    explicit operator double() const { return static_cast<double>(static_cast<float>(*this)); }
};

// The squared norm of a row times factor^2.
template <class T>
static inline double scaled_squares(const T* row, std::size_t dimensions, double factor) {
    Eight<double> running = {};
    std::size_t j = 0;
    for (; j + 8 <= dimensions; j += 8) {
        Eight<double> values;
        load_eight(row + j, values);
        CENTROIDS_UNROLL
        for (int p = 0; p < Eight<double>::parts; ++p) {
            values.part[p] *= factor;
            running.part[p] += values.part[p] * values.part[p];
        }
    }
    double sums[8];
    store_eight(running, sums);
    for (std::size_t lane = 0; j + lane < dimensions; ++lane) {
        const double value = static_cast<double>(row[j + lane]) * factor;
        sums[lane] += value * value;
    }
    return add_eight(sums);
}

template <class T>
static inline void normalize_row(T* row, std::size_t dimensions) {
    double factor = 1;
    double squares = scaled_squares(row, dimensions, factor);
    // Squares of float64 can overflow or vanish: then scale by the largest value first. Zeros stay
    // zeros, and NaN and infinity stay visible.
    if (!(squares > 1e-200 && squares < 1e300)) {
        double largest = 0;
        for (std::size_t j = 0; j < dimensions; ++j) {
            const double size = __builtin_fabs(static_cast<double>(row[j]));
            largest = size > largest ? size : largest;
        }
        if (largest == 0 || largest > 1.7976931348623157e308)
            factor = 0.0 * largest + 1;
        else
            factor = 1 / (largest > 2.2250738585072014e-308 ? largest : 2.2250738585072014e-308);
        squares = scaled_squares(row, dimensions, factor);
        if (squares == 0) return;
    }
    // Two multiplications: their product alone may underflow.
    const double inverse = 1 / __builtin_sqrt(squares);
    for (std::size_t j = 0; j < dimensions; ++j)
        row[j] = static_cast<T>(static_cast<double>(row[j]) * factor * inverse);
}

template <class T, class Source>
static void convert_rows_from(const DenseRows& points, std::size_t first, std::size_t count,
                              T* out) {
    const std::size_t dimensions = points.dimensions;
    const std::ptrdiff_t row_stride = points.row_stride, column_stride = points.column_stride;
    const auto* const data =
        static_cast<const Source*>(points.data) + static_cast<std::ptrdiff_t>(first) * row_stride;
    if (column_stride == 1) {
        for (std::size_t i = 0; i < count; ++i) {
            const Source* const row = data + static_cast<std::ptrdiff_t>(i) * row_stride;
            for (std::size_t j = 0; j < dimensions; ++j)
                out[i * dimensions + j] = static_cast<T>(row[j]);
        }
    } else {
        // Columns outside: column-major arrays are read along their columns.
        for (std::size_t j = 0; j < dimensions; ++j) {
            const Source* const column = data + static_cast<std::ptrdiff_t>(j) * column_stride;
            for (std::size_t i = 0; i < count; ++i)
                out[i * dimensions + j] =
                    static_cast<T>(column[static_cast<std::ptrdiff_t>(i) * row_stride]);
        }
    }
    if (points.normalize)
        for (std::size_t i = 0; i < count; ++i) normalize_row(out + i * dimensions, dimensions);
}

template <class T>
static void convert_rows(const DenseRows& points, std::size_t first, std::size_t count, T* out) {
    // In the order of ElementType.
    constexpr void (*functions[])(const DenseRows&, std::size_t, std::size_t, T*) = {
        &convert_rows_from<T, float>,        &convert_rows_from<T, double>,
        &convert_rows_from<T, Float16>,      &convert_rows_from<T, BFloat16>,
        &convert_rows_from<T, std::int8_t>,  &convert_rows_from<T, std::uint8_t>,
        &convert_rows_from<T, std::int16_t>, &convert_rows_from<T, std::uint16_t>,
        &convert_rows_from<T, std::int32_t>, &convert_rows_from<T, std::uint32_t>,
        &convert_rows_from<T, std::int64_t>, &convert_rows_from<T, std::uint64_t>};
    functions[static_cast<int>(points.type)](points, first, count, out);
}
