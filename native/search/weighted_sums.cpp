#include "search/weighted_sums.h"

#include "api/kmeans.h"
#include "runtime/dispatch.h"
#include "runtime/thread_pool.h"

#include <array>
#include <bit>

namespace centroids {
namespace {

constexpr std::size_t block_bytes = 8192; // of the products of a block: with the rests in the cache

std::uint64_t size_of(double value) {
    return std::bit_cast<std::uint64_t>(value) & SumWindow<double>::size_bits;
}

} // namespace

ExactSums add_weights(const double* weights, std::size_t num_rows,
                      const std::int32_t* cluster_index, std::size_t num_clusters) {
    const double largest = num_rows ? *std::max_element(weights, weights + num_rows) : 0.0;
    const SumWindow<double> window(std::vector<std::uint64_t>{size_of(largest)}, 2);
    ExactSums sums(num_clusters, 1, window.units());
    sums.make();
    SharedSums shared(sums);
    const Chunks chunks = cut_rows(num_rows);
    PerThread<RowAdder<double>> adders;
    parallel_for(chunks.count(), static_cast<double>(num_rows) * 3e-9, [&](std::size_t chunk) {
        const std::size_t first = chunks.begin(chunk), rows = chunks.end(chunk) - first;
        adders
            .mine([&] { return std::make_unique<RowAdder<double>>(window, num_clusters, shared); })
            .add({weights + first, 1}, rows, cluster_index + first, nullptr, nullptr);
    });
    for (const auto& [owner, adder] : adders.all()) {
        for (std::size_t c = 0; c < num_clusters; ++c) adder->hand_over(c);
        adder->hand_over_odd();
    }
    return sums;
}

std::uint64_t fingerprint_of_weights(const double* weights, std::size_t count) {
    constexpr std::size_t most = std::size_t(1) << 20; // values that a fingerprint is good for
    const BlockKernels<double>& kernels = current_kernels<double>();
    std::vector<double> parts;
    for (std::size_t from = 0; from < count; from += most)
        parts.push_back(std::bit_cast<double>(kernels.fingerprint(
            weights + from, 1, std::min(most, count - from), 1, fingerprint_keys())));
    if (parts.size() > most) return fingerprint_of_weights(parts.data(), parts.size());
    return kernels.fingerprint(parts.data(), 1, parts.size(), 1, fingerprint_keys()) + 1;
}

bool InertiaAdder::add_products(const double* distances, const double* weights, std::size_t count) {
    constexpr std::size_t most = 512;
    std::array<double, most> products, rests;
    bool finite = weighted_ = true;
    for (std::size_t from = 0; from < count; from += most) {
        const std::size_t here = std::min(most, count - from);
        bool any = false;
        for (std::size_t i = 0; i < here; ++i)
            any |= weigh(distances + from + i, 1, weights[from + i], &products[i], &rests[i]);
        finite &= sums_.add(products.data(), here);
        if (finite && any) rests_.add(rests.data(), here);
    }
    return finite;
}

template <class T>
WeightedSums<T>::WeightedSums(const DenseRows& points, const double* weights,
                              std::size_t num_clusters)
    : points_(points), weights_(weights), num_clusters_(num_clusters),
      windows_(windows_of(points, weights)),
      products_(num_clusters, points.dimensions, windows_.products.units()),
      rests_(num_clusters, points.dimensions, windows_.rests.units()) {
    products_.make();
}

// From a sample. A rest is at most half of the last bit of its product.
template <class T>
typename WeightedSums<T>::Windows WeightedSums<T>::windows_of(const DenseRows& points,
                                                              const double* weights) {
    constexpr std::size_t most_rows = 256;
    const std::size_t d = points.dimensions, step = groups_of(most_rows, points.num_rows);
    std::vector<std::uint64_t> most(d, 0), most_rests(d);
    std::vector<T> scratch(d);
    for (std::size_t i = 0; i < points.num_rows; i += step) {
        const T* const row = load_rows<T>(points, i, 1, scratch.data()).rows;
        for (std::size_t j = 0; j < d; ++j)
            most[j] = std::max(most[j], size_of(weights[i] * static_cast<double>(row[j])));
    }
    for (std::size_t j = 0; j < d; ++j) {
        most[j] = std::min(most[j], size_of(std::numeric_limits<double>::max()));
        most_rests[j] = size_of(std::ldexp(std::bit_cast<double>(most[j]), -53));
    }
    return {SumWindow<double>(most, 2), SumWindow<double>(most_rests, 2)};
}

template <class T>
void WeightedSums<T>::add(const std::vector<RowsByCluster::Segment>& segments,
                          const std::function<std::size_t(std::size_t)>& row_at) {
    const double rows = segments.empty() ? 0.0 : static_cast<double>(segments.back().end);
    PerThread<Worker> workers;
    parallel_for(segments.size(), seconds_for(rows * static_cast<double>(points_.dimensions) * 16),
                 [&](std::size_t s) {
                     Worker& worker = workers.mine([&] {
                         return std::unique_ptr<Worker>(
                             new Worker{{windows_.products, 1, shared_products_},
                                        {windows_.rests, 1, shared_rests_},
                                        std::vector<T>(points_.dimensions),
                                        {}});
                     });
                     add_segment(segments[s], row_at, worker);
                 });
}

template <class T>
void WeightedSums<T>::add_all(const std::int32_t* cluster_index) {
    for (std::size_t from = 0; from < points_.num_rows; from += RowsByCluster::stretch) {
        const std::size_t count = std::min(RowsByCluster::stretch, points_.num_rows - from);
        const RowsByCluster rows(cluster_index, from, count, num_clusters_);
        add(rows.segments, [&](std::size_t at) { return rows.row(at); });
    }
}

template <class T>
void WeightedSums<T>::add_segment(const RowsByCluster::Segment& segment,
                                  const std::function<std::size_t(std::size_t)>& row_at,
                                  Worker& worker) {
    constexpr std::int32_t own[block_bytes / sizeof(double)] = {};
    const std::size_t d = points_.dimensions;
    const std::size_t block_rows = std::max<std::size_t>(block_bytes / sizeof(double) / d, 1);
    worker.block.resize(2 * block_rows * d);
    double* const products = worker.block.data();
    double* const rests = products + block_rows * d;
    bool handed_rests = false;
    for (std::size_t first = segment.begin; first < segment.end; first += block_rows) {
        const std::size_t count = std::min(block_rows, segment.end - first);
        bool any = false;
        for (std::size_t i = 0; i < count; ++i) {
            const std::size_t row = row_at(first + i);
            const T* const values = load_rows<T>(points_, row, 1, worker.row.data()).rows;
            double* const to = products + i * d;
            any |= weigh(values, d, weights_[row], to, rests + i * d);
            if (!std::all_of(to, to + d, [](double value) { return std::isfinite(value); }))
                bad_row_.report(row);
        }
        if (bad_row_.get() >= 0) continue;
        const auto stride = static_cast<std::ptrdiff_t>(d);
        worker.products.add({products, stride}, count, own, nullptr, nullptr);
        if (!any) continue;
        worker.rests.add({rests, stride}, count, own, nullptr, nullptr);
        handed_rests = true;
    }
    worker.products.hand_over_to(segment.cluster);
    if (!handed_rests) return;
    {
        const std::lock_guard<std::mutex> lock(shared_rests_.in_use);
        rests_.make();
    }
    worker.rests.hand_over_to(segment.cluster);
}

template <class T>
ExactSums WeightedSums<T>::total() && {
    if (rests_.made()) products_.add(rests_, false);
    return std::move(products_);
}

template class WeightedSums<float>;
template class WeightedSums<double>;

} // namespace centroids
