// Exact sums of compressed sparse rows by cluster.
#pragma once

#include "search/sparse_rows.h"
#include "search/work_plan.h"
#include "sums/row_adder.h"
#include "sums/sparse_adder.h"

#include <memory>

namespace centroids {

// The units of the columns for so many limbs, from a sample of the rows, and whether one limb has
// no room for many of its values.
template <class T>
struct SampledUnits {
    explicit SampledUnits(const SparseRows& points) {
        constexpr std::size_t most_rows = 256;
        const std::size_t step = groups_of(most_rows, points.num_rows);
        std::vector<BitsOf<T>> most(points.dimensions, 0);
        BitsOf<T> largest = 0;
        SparseRow<T> row;
        const auto each_value = [&](const auto& look) {
            for (std::size_t i = 0; i < points.num_rows; i += step) {
                load_values(points, i, row);
                for (std::size_t at = 0; at < row.count(); ++at)
                    look(static_cast<std::size_t>(row.columns[at]), row.values[at]);
            }
        };
        each_value([&](std::size_t column, T value) {
            const BitsOf<T> size = std::bit_cast<BitsOf<T>>(value) & SumWindow<T>::size_bits;
            most[column] = std::max(most[column], size);
            largest = std::max(largest, size);
        });
        const auto unit_of = [&](std::size_t column, int limbs) {
            return SumWindow<T>::unit_for(most[column] ? most[column] : largest, limbs);
        };
        std::size_t values = 0, outside = 0;
        each_value([&](std::size_t column, T value) {
            ++values;
            const FloatBits<T> bits(value);
            outside += bits.mantissa != 0 && bits.exponent < unit_of(column, 1);
        });
        wide = sizeof(T) == 8 || 64 * outside > values;
        units.resize(points.dimensions);
        for (std::size_t j = 0; j < points.dimensions; ++j) units[j] = unit_of(j, wide ? 2 : 1);
    }
    std::vector<std::int32_t> units;
    bool wide;
};

// What a thread has for itself while it adds the rows of one cluster after the other.
template <class T, class Digit>
struct SparseSums {
    SparseRow<T> row;
    std::vector<Digit> digits;
    std::vector<std::int64_t> first, second;
    OddDigits odd;

    // Of so many rows.
    void hand_over(std::size_t cluster, std::size_t num_rows, SharedSums& shared) {
        first.resize(digits.size());
        const auto rows = static_cast<std::int64_t>(num_rows);
        const std::lock_guard<std::mutex> lock(shared.in_use);
        if constexpr (sizeof(Digit) == 8) {
            shared.sums.collect(cluster, rows, digits.data(), nullptr, shared.odd_in_use);
        } else {
            second.resize(digits.size());
            for (std::size_t j = 0; j < digits.size(); ++j) {
                first[j] = static_cast<std::int64_t>(digits[j] >> limb_distance);
                second[j] =
                    static_cast<std::int64_t>(digits[j] - (Digit(first[j]) << limb_distance));
            }
            shared.sums.collect(cluster, rows, first.data(), second.data(), shared.odd_in_use);
        }
    }
};

// Rows of a cluster one after the other: its sums stay in the cache.
template <class T, class Digit>
void add_sparse_rows(const SparseRows& points, double seconds, std::size_t num_clusters,
                     const std::int32_t* cluster_index, const std::int64_t* counts,
                     const std::vector<std::int32_t>& units, ExactSums& sums) {
    const std::size_t dimensions = points.dimensions;
    const SparseAdder<T, Digit> adder(units);
    sums.make();
    SharedSums shared(sums);
    PerThread<SparseSums<T, Digit>> all;
    for (std::size_t from = 0; from < points.num_rows; from += RowsByCluster::stretch) {
        const RowsByCluster rows(cluster_index, from,
                                 std::min(RowsByCluster::stretch, points.num_rows - from),
                                 num_clusters);
        parallel_for(rows.segments.size(), seconds, [&](std::size_t s) {
            SparseSums<T, Digit>& own =
                all.mine([] { return std::make_unique<SparseSums<T, Digit>>(); });
            const auto& segment = rows.segments[s];
            const std::size_t count = segment.end - segment.begin;
            const bool whole = counts[segment.cluster] == static_cast<std::int64_t>(count);
            Digit* target = nullptr; // straight to the result where nobody else adds to it
            if constexpr (sizeof(Digit) == 8)
                if (whole) target = sums.start(segment.cluster, counts[segment.cluster]);
            if (!target) {
                own.digits.assign(dimensions, 0);
                target = own.digits.data();
            }
            for (std::size_t at = segment.begin; at < segment.end; ++at) {
                load_values(points, rows.row(at), own.row);
                adder.add(std::span<const T>(own.row.values), own.row.columns.data(),
                          segment.cluster * dimensions, target, own.odd);
            }
            if (target == own.digits.data()) own.hand_over(segment.cluster, count, shared);
        });
    }
    for (const auto& [owner, own] : all.all()) sums.odd().add(own->odd, false);
}

} // namespace centroids
