// Sums of all rows where these are too large for each thread to have its own: rows are grouped by
// cluster, and each thread adds those of one cluster after the other.
#pragma once

#include "runtime/prefetch.h"
#include "search/work_plan.h"
#include "sums/row_adder.h"

#include <algorithm>
#include <memory>
#include <vector>

namespace centroids {

// Adds rows to the sums of one cluster. The adder has that cluster alone.
// row_at(position): the number of a row, for positions in [begin, end)
template <class T, class RowAt>
void add_rows_of_cluster(const DenseRows& points, std::size_t begin, std::size_t end,
                         const RowAt& row_at, std::size_t cluster, RowAdder<T>& adder) {
    std::vector<T> scratch(reads_in_place<T>(points) ? 0 : points.dimensions);
    for (std::size_t at = begin; at < end; ++at) {
        constexpr std::int32_t own = 0;
        // Those of a cluster lie far apart: the processor cannot guess the next ones.
        constexpr std::size_t ahead = 3;
        if (scratch.empty() && at + ahead < end)
            prefetch(load_rows<T>(points, row_at(at + ahead), 1, scratch.data()).rows,
                     points.dimensions);
        adder.add(load_rows<T>(points, row_at(at), 1, scratch.data()), 1, &own, nullptr, nullptr);
    }
    adder.hand_over_to(cluster);
}

template <class T>
void add_rows_by_cluster(const DenseRows& points, const std::int32_t* cluster_index,
                         std::size_t num_clusters, const SumWindow<T>& window, SharedSums& shared) {
    const double seconds =
        seconds_for(static_cast<double>(points.num_rows * points.dimensions) * 4);
    shared.sums.make();
    for (std::size_t from = 0; from < points.num_rows; from += RowsByCluster::stretch) {
        const RowsByCluster rows(cluster_index, from,
                                 std::min(RowsByCluster::stretch, points.num_rows - from),
                                 num_clusters);
        PerThread<RowAdder<T>> adders;
        parallel_for(rows.segments.size(), seconds, [&](std::size_t s) {
            RowAdder<T>& adder =
                adders.mine([&] { return std::make_unique<RowAdder<T>>(window, 1, shared); });
            const auto& segment = rows.segments[s];
            add_rows_of_cluster(
                points, segment.begin, segment.end, [&](std::size_t at) { return rows.row(at); },
                segment.cluster, adder);
        });
    }
}

} // namespace centroids
