#include "api/rows.h"

#include "runtime/dispatch.h"

namespace centroids {
namespace {

template <class T>
constexpr ElementType element_type = ElementType::float32;
template <>
constexpr ElementType element_type<double> = ElementType::float64;

} // namespace

template <class T>
bool reads_in_place(const DenseRows& points) {
    return points.type == element_type<T> && points.column_stride == 1 && !points.normalize;
}

template <class T>
Block<T> load_rows(const DenseRows& points, std::size_t first, std::size_t count, T* scratch) {
    if (reads_in_place<T>(points))
        return {static_cast<const T*>(points.data) +
                    static_cast<std::ptrdiff_t>(first) * points.row_stride,
                points.row_stride};
    current_kernels<T>().convert_rows(points, first, count, scratch);
    return {scratch, static_cast<std::ptrdiff_t>(points.dimensions)};
}

template bool reads_in_place<float>(const DenseRows&);
template bool reads_in_place<double>(const DenseRows&);
template Block<float> load_rows(const DenseRows&, std::size_t, std::size_t, float*);
template Block<double> load_rows(const DenseRows&, std::size_t, std::size_t, double*);

} // namespace centroids
