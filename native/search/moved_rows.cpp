#include "search/moved_rows.h"

#include "runtime/dispatch.h"
#include "runtime/thread_pool.h"
#include "search/add_by_cluster.h"
#include "search/weighted_sums.h"

#include <algorithm>

namespace centroids {
namespace {

using Segments = std::vector<RowsByCluster::Segment>;

// Of rows in the order of their clusters.
Segments segments_of(std::int32_t MovedRow::* cluster, const std::vector<MovedRow>& moved) {
    Segments segments;
    for (std::size_t at = 0; at < moved.size(); ++at) {
        if (at == 0 || moved[at].*cluster != moved[at - 1].*cluster ||
            at - segments.back().begin == RowsByCluster::segment_rows)
            segments.push_back({static_cast<std::size_t>(moved[at].*cluster), at, at});
        segments.back().end = at + 1;
    }
    return segments;
}

// Adds each row to the sums of one of its two clusters.
template <class T>
void add_rows_to(const Segments& segments, const DenseRows& points, const SumWindow<T>& window,
                 const std::vector<MovedRow>& moved, ExactSums& sums) {
    SharedSums shared{sums};
    PerThread<RowAdder<T>> adders;
    const double seconds = seconds_for(static_cast<double>(moved.size() * points.dimensions) * 16);
    parallel_for(segments.size(), seconds, [&](std::size_t s) {
        RowAdder<T>& adder =
            adders.mine([&] { return std::make_unique<RowAdder<T>>(window, 1, shared); });
        add_rows_of_cluster(
            points, segments[s].begin, segments[s].end,
            [&](std::size_t at) { return moved[at].row; }, segments[s].cluster, adder);
    });
}

// Takes the rows' shares, which `added(segments, moved)` adds up, from one cluster to the other.
template <class Added>
void follow(std::vector<MovedRow> moved, ExactSums& sums, const Added& added) {
    if (moved.empty()) return;
    // In sums of their own: the window need not be that of the sums before.
    for (const auto cluster : {&MovedRow::to, &MovedRow::from}) {
        std::sort(moved.begin(), moved.end(), [&](const MovedRow& a, const MovedRow& b) {
            return a.*cluster != b.*cluster ? a.*cluster < b.*cluster : a.row < b.row;
        });
        sums.add(added(segments_of(cluster, moved), moved), cluster == &MovedRow::from);
    }
}

} // namespace

template <class T>
void follow_moved_rows(const DenseRows& points, const SumWindow<T>& window,
                       std::vector<MovedRow> moved, ExactSums& sums) {
    follow(std::move(moved), sums, [&](const Segments& segments, const auto& rows) {
        ExactSums own(sums.num_clusters(), sums.dimensions(), window.units());
        own.make();
        add_rows_to<T>(segments, points, window, rows, own);
        return own;
    });
}

template <class T>
void follow_moved_rows(const DenseRows& points, const double* weights, std::vector<MovedRow> moved,
                       ExactSums& sums) {
    follow(std::move(moved), sums, [&](const Segments& segments, const auto& rows) {
        WeightedSums<T> own(points, weights, sums.num_clusters());
        own.add(segments, [&](std::size_t at) { return rows[at].row; });
        return std::move(own).total();
    });
}

template void follow_moved_rows(const DenseRows&, const SumWindow<float>&, std::vector<MovedRow>,
                                ExactSums&);
template void follow_moved_rows(const DenseRows&, const SumWindow<double>&, std::vector<MovedRow>,
                                ExactSums&);
template void follow_moved_rows<float>(const DenseRows&, const double*, std::vector<MovedRow>,
                                       ExactSums&);
template void follow_moved_rows<double>(const DenseRows&, const double*, std::vector<MovedRow>,
                                        ExactSums&);

} // namespace centroids
