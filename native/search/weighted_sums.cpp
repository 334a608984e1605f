#include "search/weighted_sums.h"

#include "api/kmeans.h"
#include "runtime/dispatch.h"
#include "runtime/prefetch.h"
#include "runtime/thread_pool.h"
#include "search/choose_search.h"

#include <array>
#include <bit>

namespace centroids {
namespace {

constexpr std::size_t block_values = 1024; // products of a block: with the rests in the cache

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
        const Weighed found = current_kernels<double>().weigh_rows(
            distances + from, 1, here, 1, weights + from, products.data(), rests.data());
        finite &= sums_.add(products.data(), here);
        if (finite && found.any_rest) rests_.add(rests.data(), here);
    }
    return finite;
}

template <class T>
WeightedSums<T>::WeightedSums(const DenseRows& points, const double* weights,
                              std::size_t num_clusters)
    : kernels_(current_kernels<T>()), points_(points), weights_(weights),
      num_clusters_(num_clusters),
      block_rows_(std::max<std::size_t>(block_values / points.dimensions, 1)),
      windows_(windows_of(points, weights)),
      products_(num_clusters, points.dimensions, windows_.products.units(),
                windows_.products.limbs()),
      rests_(num_clusters, points.dimensions, windows_.rests.units(), windows_.rests.limbs()) {
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
std::unique_ptr<typename WeightedSums<T>::Worker>
WeightedSums<T>::make_worker(std::size_t num_clusters) {
    return std::unique_ptr<Worker>(
        new Worker{{windows_.products, num_clusters, shared_products_},
                   std::nullopt,
                   AlignedVector<double>(2 * block_rows_ * points_.dimensions),
                   AlignedVector<T>(block_rows_ * points_.dimensions)});
}

template <class T>
void WeightedSums<T>::add(const std::vector<RowsByCluster::Segment>& segments,
                          const std::function<std::size_t(std::size_t)>& row_at) {
    const double rows = segments.empty() ? 0.0 : static_cast<double>(segments.back().end);
    PerThread<Worker> workers;
    parallel_for(segments.size(), seconds_for(rows * static_cast<double>(points_.dimensions) * 16),
                 [&](std::size_t s) {
                     add_segment(segments[s], row_at, workers.mine([&] { return make_worker(1); }));
                 });
}

template <class T>
void WeightedSums<T>::add_all(const std::int32_t* cluster_index) {
    constexpr std::size_t most_limbs = 4; // of products and rests
    if (sums_fit_threads(num_clusters_ * points_.dimensions * most_limbs * sizeof(std::int64_t)))
        return add_in_passing(cluster_index);
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
    constexpr std::int32_t own[block_values] = {};
    const std::size_t d = points_.dimensions;
    const bool in_place = reads_in_place<T>(points_);
    for (std::size_t first = segment.begin; first < segment.end; first += block_rows_) {
        const std::size_t count = std::min(block_rows_, segment.end - first);
        bool any_rest = false;
        for (std::size_t i = 0; i < count; ++i) {
            const std::size_t row = row_at(first + i);
            if (in_place && first + i + 1 < segment.end)
                prefetch(load_rows<T>(points_, row_at(first + i + 1), 1, nullptr).rows, d);
            const Weighed found = kernels_.weigh_rows(
                load_rows<T>(points_, row, 1, worker.rows.data()).rows, 0, 1, d, weights_ + row,
                products_of(worker) + i * d, rests_of(worker) + i * d);
            any_rest |= found.any_rest;
            if (!found.finite) bad_row_.report(row);
        }
        add_products(count, any_rest, own, worker);
    }
    worker.products.hand_over_to(segment.cluster);
    if (!worker.rests) return;
    {
        const std::lock_guard<std::mutex> lock(shared_rests_.in_use);
        rests_.make();
    }
    worker.rests->hand_over_to(segment.cluster);
}

// Each thread with sums of all clusters.
template <class T>
void WeightedSums<T>::add_in_passing(const std::int32_t* cluster_index) {
    const Chunks chunks = cut_rows(points_.num_rows, block_rows_);
    const double work = static_cast<double>(points_.num_rows * (points_.dimensions + 2));
    PerThread<Worker> workers;
    parallel_for(chunks.count(), seconds_for(16 * work), [&](std::size_t chunk) {
        Worker& worker = workers.mine([&] { return make_worker(num_clusters_); });
        for (std::size_t first = chunks.begin(chunk); first < chunks.end(chunk);
             first += block_rows_)
            add_block(first, std::min(block_rows_, chunks.end(chunk) - first),
                      cluster_index + first, worker);
    });
    hand_over(workers);
}

template <class T>
void WeightedSums<T>::add_block(std::size_t first, std::size_t count,
                                const std::int32_t* cluster_index, Worker& worker) {
    const std::size_t d = points_.dimensions;
    const Block<T> block = load_rows<T>(points_, first, count, worker.rows.data());
    double *const products = products_of(worker), *const rests = rests_of(worker);
    const Weighed found =
        kernels_.weigh_rows(block.rows, block.stride, count, d, weights_ + first, products, rests);
    for (std::size_t i = 0; !found.finite && i < count; ++i)
        if (!std::all_of(products + i * d, products + (i + 1) * d,
                         [](double value) { return std::isfinite(value); }))
            bad_row_.report(first + i);
    add_products(count, found.any_rest, cluster_index, worker);
}

template <class T>
void WeightedSums<T>::add_products(std::size_t count, bool any_rest,
                                   const std::int32_t* cluster_index, Worker& worker) {
    if (bad_row_.get() >= 0) return; // there will be no sums
    const auto stride = static_cast<std::ptrdiff_t>(points_.dimensions);
    worker.products.add({products_of(worker), stride}, count, cluster_index, nullptr, nullptr);
    if (!any_rest) return;
    if (!worker.rests)
        worker.rests.emplace(windows_.rests, worker.products.num_clusters(), shared_rests_);
    worker.rests->add({rests_of(worker), stride}, count, cluster_index, nullptr, nullptr);
}

template <class T>
void WeightedSums<T>::hand_over(const PerThread<Worker>& workers) {
    constexpr std::size_t together = 4;
    for (const auto& [owner, worker] : workers.all())
        if (worker->rests) rests_.make();
    const double additions =
        static_cast<double>(workers.all().size() * num_clusters_ * points_.dimensions);
    parallel_for(groups_of(together, num_clusters_), additions * 4e-9, [&](std::size_t task) {
        const std::size_t end = std::min((task + 1) * together, num_clusters_);
        for (const auto& [owner, worker] : workers.all())
            for (std::size_t c = task * together; c < end; ++c) {
                worker->products.hand_over(c);
                if (worker->rests) worker->rests->hand_over(c);
            }
    });
    for (const auto& [owner, worker] : workers.all()) {
        worker->products.hand_over_odd();
        if (worker->rests) worker->rests->hand_over_odd();
    }
}

template <class T>
ExactSums WeightedSums<T>::total() && {
    if (rests_.made()) products_.add(rests_, false);
    return std::move(products_);
}

template class WeightedSums<float>;
template class WeightedSums<double>;

} // namespace centroids
