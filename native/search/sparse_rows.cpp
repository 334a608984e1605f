#include "search/sparse_rows.h"

#include "search/exact_order.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace centroids {
namespace {

double value_at(const SparseRows& points, std::size_t at) {
    return points.type == ElementType::float32
               ? static_cast<double>(static_cast<const float*>(points.values)[at])
               : static_cast<const double*>(points.values)[at];
}

// The values divided by their norm, with the arithmetic of dense rows.
void normalize(std::vector<double>& values, const std::vector<std::int64_t>& columns) {
    const auto scaled_squares = [&](double factor) {
        EightByColumn sum;
        for (std::size_t i = 0; i < values.size(); ++i) {
            const double value = values[i] * factor;
            sum.add(static_cast<std::size_t>(columns[i]), value * value);
        }
        return sum.total();
    };
    double factor = 1, squares = scaled_squares(factor);
    if (!(squares > 1e-200 && squares < 1e300)) {
        double largest = 0;
        for (const double value : values) largest = std::fmax(largest, std::fabs(value));
        factor = largest == 0 || !(largest <= std::numeric_limits<double>::max())
                     ? 0.0 * largest + 1
                     : 1 / std::fmax(largest, std::numeric_limits<double>::min());
        squares = scaled_squares(factor);
        if (squares == 0) return;
    }
    const double inverse = 1 / std::sqrt(squares);
    for (double& value : values) value = value * factor * inverse;
}

} // namespace

void throw_changed() {
    throw std::invalid_argument("points are a damaged sparse matrix: it was changed by another "
                                "thread or process while it was read");
}

template <class T>
void load_values(const SparseRows& points, std::size_t index, SparseRow<T>& row) {
    const std::int64_t begin = integer_at(points.row_starts, points.wide_starts, index);
    const std::int64_t end = integer_at(points.row_starts, points.wide_starts, index + 1);
    if (begin < 0 || end < begin || end > static_cast<std::int64_t>(points.num_values))
        throw_changed();
    const auto first = static_cast<std::size_t>(begin);
    const auto count = static_cast<std::size_t>(end - begin);
    row.values.resize(count);
    row.columns.resize(count);
    const std::int64_t last = static_cast<std::int64_t>(points.dimensions) - 1;
    std::int64_t outside = 0; // negative where a column is, or is above the last
    for (std::size_t i = 0; i < count; ++i) {
        const std::int64_t column = integer_at(points.columns, points.wide_columns, first + i);
        row.columns[i] = column;
        outside |= column | static_cast<std::int64_t>(static_cast<std::uint64_t>(last) -
                                                      static_cast<std::uint64_t>(column));
    }
    if (outside < 0) throw_changed();
    if (points.normalize) {
        row.unit.resize(count);
        for (std::size_t i = 0; i < count; ++i) row.unit[i] = value_at(points, first + i);
        normalize(row.unit, row.columns);
        for (std::size_t i = 0; i < count; ++i) row.values[i] = static_cast<T>(row.unit[i]);
    } else {
        for (std::size_t i = 0; i < count; ++i)
            row.values[i] = static_cast<T>(value_at(points, first + i));
    }
}

template <class T>
void load_row(const SparseRows& points, std::size_t index, SparseRow<T>& row) {
    load_values(points, index, row);
    row.squared_norm = 0;
    for (const T value : row.values)
        row.squared_norm += static_cast<double>(value) * static_cast<double>(value);
}

#define CENTROIDS_INSTANTIATE(T)                                                                   \
    template void load_values(const SparseRows&, std::size_t, SparseRow<T>&);                      \
    template void load_row(const SparseRows&, std::size_t, SparseRow<T>&);
CENTROIDS_INSTANTIATE(float)
CENTROIDS_INSTANTIATE(double)

} // namespace centroids
