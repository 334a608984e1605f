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

template <class T>
void add_rows_by_cluster(const DenseRows& points, const std::int32_t* cluster_index,
                         std::size_t num_clusters, const SumWindow<T>& window, SharedSums& shared) {
    const std::size_t dimensions = points.dimensions;
    const double seconds = seconds_for(static_cast<double>(points.num_rows * dimensions) * 4);
    shared.sums.make();
    for (std::size_t from = 0; from < points.num_rows; from += RowsByCluster::stretch) {
        const RowsByCluster rows(cluster_index, from,
                                 std::min(RowsByCluster::stretch, points.num_rows - from),
                                 num_clusters);
        PerThread<RowAdder<T>> adders;
        parallel_for(rows.segments.size(), seconds, [&](std::size_t s) {
            RowAdder<T>& adder =
                adders.mine([&] { return std::make_unique<RowAdder<T>>(window, 1, shared); });
            std::vector<T> scratch(reads_in_place<T>(points) ? 0 : dimensions);
            const auto& segment = rows.segments[s];
            for (std::size_t at = segment.begin; at < segment.end; ++at) {
                constexpr std::int32_t own = 0;
                // Those of a cluster lie far apart: the processor cannot guess the next.
                if (scratch.empty() && at + 1 < segment.end)
                    prefetch(load_rows<T>(points, rows.row(at + 1), 1, scratch.data()).rows,
                             dimensions);
                adder.add(load_rows<T>(points, rows.row(at), 1, scratch.data()), 1, &own, nullptr,
                          nullptr);
            }
            adder.hand_over_to(segment.cluster);
        });
    }
}

} // namespace centroids
