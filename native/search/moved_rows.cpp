#include "search/moved_rows.h"

#include "runtime/dispatch.h"
#include "runtime/thread_pool.h"
#include "search/add_by_cluster.h"

#include <algorithm>

namespace centroids {
namespace {

// Adds each row to the sums of one of its two clusters. The rows are in the order of these.
template <class T>
void add_rows_to(std::int32_t MovedRow::* cluster, const DenseRows& points,
                 const SumWindow<T>& window, const std::vector<MovedRow>& moved, ExactSums& sums) {
    std::vector<std::size_t> starts;
    for (std::size_t at = 0; at < moved.size(); ++at)
        if (at == 0 || moved[at].*cluster != moved[at - 1].*cluster ||
            at - starts.back() == RowsByCluster::segment_rows)
            starts.push_back(at);
    starts.push_back(moved.size());
    SharedSums shared{sums};
    PerThread<RowAdder<T>> adders;
    const double seconds = seconds_for(static_cast<double>(moved.size() * points.dimensions) * 16);
    parallel_for(starts.size() - 1, seconds, [&](std::size_t segment) {
        RowAdder<T>& adder =
            adders.mine([&] { return std::make_unique<RowAdder<T>>(window, 1, shared); });
        add_rows_of_cluster(
            points, starts[segment], starts[segment + 1],
            [&](std::size_t at) { return moved[at].row; },
            static_cast<std::size_t>(moved[starts[segment]].*cluster), adder);
    });
}

} // namespace

template <class T>
void follow_moved_rows(const DenseRows& points, const SumWindow<T>& window,
                       std::vector<MovedRow> moved, ExactSums& sums) {
    if (moved.empty()) return;
    // In sums of their own: the window need not be that of the sums before.
    for (const auto cluster : {&MovedRow::to, &MovedRow::from}) {
        std::sort(moved.begin(), moved.end(), [&](const MovedRow& a, const MovedRow& b) {
            return a.*cluster != b.*cluster ? a.*cluster < b.*cluster : a.row < b.row;
        });
        ExactSums own(sums.num_clusters(), sums.dimensions(), window.units());
        own.make();
        add_rows_to<T>(cluster, points, window, moved, own);
        sums.add(own, cluster == &MovedRow::from);
    }
}

template void follow_moved_rows(const DenseRows&, const SumWindow<float>&, std::vector<MovedRow>,
                                ExactSums&);
template void follow_moved_rows(const DenseRows&, const SumWindow<double>&, std::vector<MovedRow>,
                                ExactSums&);

} // namespace centroids
