#include "centroids/rows.h"

#include <bit>
#include <cmath>

namespace centroids {
namespace {

struct Float16 {
    std::uint16_t bits;
    explicit operator float() const {
        const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
        const std::uint32_t exponent = (bits >> 10) & 0x1fu;
        const std::uint32_t mantissa = bits & 0x3ffu;
        if (exponent == 0) // zero or subnormal: mantissa times 2^-24
            return (sign ? -1.0f : 1.0f) * static_cast<float>(mantissa) * 0x1p-24f;
        const std::uint32_t wide = exponent == 0x1fu ? 0xffu : exponent + 112u;
        return std::bit_cast<float>(sign | wide << 23 | mantissa << 13);
    }
    explicit operator double() const { return static_cast<double>(static_cast<float>(*this)); }
};

struct BFloat16 {
    std::uint16_t bits;
    explicit operator float() const {
        return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
    }
    explicit operator double() const { return static_cast<double>(static_cast<float>(*this)); }
};

template <class T>
void normalize_row(T* row, std::size_t dimensions) {
    double largest = 0;
    for (std::size_t j = 0; j < dimensions; ++j)
        largest = std::fmax(largest, std::fabs(static_cast<double>(row[j])));
    if (largest == 0) return;
    // Scaled by the largest value, so that squares neither overflow nor vanish.
    double sum = 0;
    for (std::size_t j = 0; j < dimensions; ++j) {
        const double scaled = static_cast<double>(row[j]) / largest;
        sum += scaled * scaled;
    }
    const double root = std::sqrt(sum);
    for (std::size_t j = 0; j < dimensions; ++j)
        row[j] = static_cast<T>(static_cast<double>(row[j]) / largest / root);
}

template <class T, class Source>
void convert(const DenseRows& points, std::size_t first, std::size_t count, T* scratch) {
    const auto* const data = static_cast<const Source*>(points.data);
    for (std::size_t i = 0; i < count; ++i) {
        const Source* const row = data + static_cast<std::ptrdiff_t>(first + i) * points.row_stride;
        T* const out = scratch + i * points.dimensions;
        if (points.column_stride == 1)
            for (std::size_t j = 0; j < points.dimensions; ++j) out[j] = static_cast<T>(row[j]);
        else
            for (std::size_t j = 0; j < points.dimensions; ++j)
                out[j] = static_cast<T>(row[static_cast<std::ptrdiff_t>(j) * points.column_stride]);
        if (points.normalize) normalize_row(out, points.dimensions);
    }
}

template <class T>
constexpr ElementType element_type();
template <>
constexpr ElementType element_type<float>() {
    return ElementType::float32;
}
template <>
constexpr ElementType element_type<double>() {
    return ElementType::float64;
}

} // namespace

template <class T>
bool reads_in_place(const DenseRows& points) {
    return points.type == element_type<T>() && points.column_stride == 1 && !points.normalize;
}

template <class T>
Block<T> load_rows(const DenseRows& points, std::size_t first, std::size_t count, T* scratch) {
    if (reads_in_place<T>(points))
        return {static_cast<const T*>(points.data) +
                    static_cast<std::ptrdiff_t>(first) * points.row_stride,
                points.row_stride};
    switch (points.type) {
    case ElementType::float32: convert<T, float>(points, first, count, scratch); break;
    case ElementType::float64: convert<T, double>(points, first, count, scratch); break;
    case ElementType::float16: convert<T, Float16>(points, first, count, scratch); break;
    case ElementType::bfloat16: convert<T, BFloat16>(points, first, count, scratch); break;
    case ElementType::int8: convert<T, std::int8_t>(points, first, count, scratch); break;
    case ElementType::uint8: convert<T, std::uint8_t>(points, first, count, scratch); break;
    case ElementType::int16: convert<T, std::int16_t>(points, first, count, scratch); break;
    case ElementType::uint16: convert<T, std::uint16_t>(points, first, count, scratch); break;
    case ElementType::int32: convert<T, std::int32_t>(points, first, count, scratch); break;
    case ElementType::uint32: convert<T, std::uint32_t>(points, first, count, scratch); break;
    case ElementType::int64: convert<T, std::int64_t>(points, first, count, scratch); break;
    case ElementType::uint64: convert<T, std::uint64_t>(points, first, count, scratch); break;
    }
    return {scratch, static_cast<std::ptrdiff_t>(points.dimensions)};
}

template bool reads_in_place<float>(const DenseRows&);
template bool reads_in_place<double>(const DenseRows&);
template Block<float> load_rows(const DenseRows&, std::size_t, std::size_t, float*);
template Block<double> load_rows(const DenseRows&, std::size_t, std::size_t, double*);

} // namespace centroids
