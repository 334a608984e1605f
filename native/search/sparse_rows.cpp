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
void load_row(const SparseRows& points, std::size_t index, SparseRow<T>& row) {
    const std::int64_t begin = integer_at(points.row_starts, points.wide_starts, index);
    const std::int64_t end = integer_at(points.row_starts, points.wide_starts, index + 1);
    if (begin < 0 || end < begin || end > static_cast<std::int64_t>(points.num_values))
        throw_changed();
    const auto first = static_cast<std::size_t>(begin);
    const auto count = static_cast<std::size_t>(end - begin);
    row.values.resize(count);
    row.columns.resize(count);
    std::uint64_t highest = 0;
    for (std::size_t i = 0; i < count; ++i) {
        row.columns[i] = integer_at(points.columns, points.wide_columns, first + i);
        highest = std::max(highest, static_cast<std::uint64_t>(row.columns[i]));
    }
    if (count > 0 && highest >= points.dimensions) throw_changed();
    if (points.normalize) {
        row.unit.resize(count);
        for (std::size_t i = 0; i < count; ++i) row.unit[i] = value_at(points, first + i);
        normalize(row.unit, row.columns);
        for (std::size_t i = 0; i < count; ++i) row.values[i] = static_cast<T>(row.unit[i]);
    } else {
        for (std::size_t i = 0; i < count; ++i)
            row.values[i] = static_cast<T>(value_at(points, first + i));
    }
    row.squared_norm = 0;
    for (const T value : row.values)
        row.squared_norm += static_cast<double>(value) * static_cast<double>(value);
}

template void load_row(const SparseRows&, std::size_t, SparseRow<float>&);
template void load_row(const SparseRows&, std::size_t, SparseRow<double>&);

} // namespace centroids
