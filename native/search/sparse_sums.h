// Exact sums of compressed sparse rows by cluster.
#pragma once

#include "search/sparse_rows.h"
#include "search/weighted_sums.h"
#include "search/work_plan.h"
#include "sums/row_adder.h"
#include "sums/sparse_adder.h"

#include <atomic>
#include <memory>

namespace centroids {

// The units of the columns for so many limbs, from a sample of the rows, and whether one limb has
// no room for many of its values.
template <class T>
struct SampledUnits {
    // load(i, row): fills a SparseRow<T>
    template <class Load>
    SampledUnits(const SparseRows& points, const Load& load) {
        constexpr std::size_t most_rows = 256;
        const std::size_t step = groups_of(most_rows, points.num_rows);
        std::vector<BitsOf<T>> most(points.dimensions, 0);
        BitsOf<T> largest = 0;
        SparseRow<T> row;
        const auto each_value = [&](const auto& look) {
            for (std::size_t i = 0; i < points.num_rows; i += step) {
                load(i, row);
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
template <class T, class Digit, class Load>
void add_sparse_rows(const SparseRows& points, const Load& load, double seconds,
                     std::size_t num_clusters, const std::int32_t* cluster_index,
                     const std::int64_t* counts, const std::vector<std::int32_t>& units,
                     ExactSums& sums) {
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
                load(rows.row(at), own.row);
                adder.add(std::span<const T>(own.row.values), own.row.columns.data(),
                          segment.cluster * dimensions, target, own.odd);
            }
            if (target == own.digits.data()) own.hand_over(segment.cluster, count, shared);
        });
    }
    for (const auto& [owner, own] : all.all()) sums.odd().add(own->odd, false);
}

// counts: IN [num_clusters], rows of each
template <class T>
ExactSums sparse_sums(const SparseRows& points, double seconds, std::size_t num_clusters,
                      const std::int32_t* cluster_index, const std::int64_t* counts) {
    const auto load = [&](std::size_t i, SparseRow<T>& row) { load_values(points, i, row); };
    const SampledUnits<T> sampled(points, load);
    ExactSums sums(num_clusters, points.dimensions, sampled.units);
    const auto add = [&](auto digit) {
        add_sparse_rows<T, decltype(digit)>(points, load, seconds, num_clusters, cluster_index,
                                            counts, sampled.units, sums);
    };
    sampled.wide ? add(Int128()) : add(std::int64_t());
    return sums;
}

// The same of rows that weigh, whose products are finite: sums of the products as they are rounded,
// and where there are such of the rests.
template <class T>
ExactSums sparse_sums(const SparseRows& points, const double* weights, double seconds,
                      std::size_t num_clusters, const std::int32_t* cluster_index,
                      const std::int64_t* counts) {
    std::atomic<bool> any_rest = false;
    const auto sums_of = [&](bool rests) {
        const auto load = [&](std::size_t i, SparseRow<double>& row) {
            static thread_local SparseRow<T> own;
            static thread_local std::vector<double> others;
            load_values(points, i, own);
            row.columns = own.columns;
            row.values.resize(own.count());
            others.resize(own.count());
            double *products = others.data(), *tails = row.values.data();
            if (!rests) std::swap(products, tails);
            const Weighed found = current_kernels<T>().weigh_rows(
                own.values.data(), 0, 1, own.count(), weights + i, products, tails);
            if (found.any_rest) any_rest = true;
        };
        const SampledUnits<double> sampled(points, load);
        ExactSums sums(num_clusters, points.dimensions, sampled.units);
        add_sparse_rows<double, Int128>(points, load, seconds, num_clusters, cluster_index, counts,
                                        sampled.units, sums);
        return sums;
    };
    ExactSums sums = sums_of(false);
    if (any_rest) sums.add(sums_of(true), false);
    return sums;
}

} // namespace centroids
