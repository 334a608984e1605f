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

constexpr std::size_t block_values = 1024; // of rows that are copied
constexpr std::size_t most_sampled = 256;  // rows of a sample

std::uint64_t size_of(double value) {
    return std::bit_cast<std::uint64_t>(value) & SumWindow<double>::size_bits;
}

// From a sample.
SumWindow<double> window_of_weights(const double* weights, std::size_t num_rows) {
    double largest = 0.0;
    for (std::size_t i = 0; i < num_rows; i += groups_of(most_sampled, num_rows))
        largest = std::max(largest, weights[i]);
    return SumWindow<double>(std::vector<std::uint64_t>{size_of(largest)}, 2);
}

} // namespace

ExactSums add_weights(const double* weights, std::size_t num_rows,
                      const std::int32_t* cluster_index, std::size_t num_clusters) {
    const SumWindow<double> window = window_of_weights(weights, num_rows);
    ExactSums sums(num_clusters, 1, window.units());
    sums.make();
    SharedSums shared(sums);
    const ShrinkingChunks chunks = cut_rows(num_rows);
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
      weight_window_(window_of_weights(weights, points.num_rows)),
      products_(num_clusters, points.dimensions, windows_.products.units(),
                windows_.products.limbs()),
      rests_(num_clusters, points.dimensions, windows_.rests.units(), windows_.rests.limbs()) {
    products_.make();
}

// From a sample. A rest is at most half of the last bit of its product.
template <class T>
typename WeightedSums<T>::Windows WeightedSums<T>::windows_of(const DenseRows& points,
                                                              const double* weights) {
    const std::size_t d = points.dimensions, step = groups_of(most_sampled, points.num_rows);
    std::vector<std::uint64_t> most(d, 0), most_rests(d);
    std::vector<T> rows;
    std::vector<double> own_weights;
    for (std::size_t i = 0; i < points.num_rows; i += step) {
        rows.resize(rows.size() + d);
        T* const scratch = rows.data() + rows.size() - d;
        const T* const row = load_rows<T>(points, i, 1, scratch).rows;
        if (row != scratch) std::copy_n(row, d, scratch);
        own_weights.push_back(weights[i]);
        for (std::size_t j = 0; j < d; ++j)
            most[j] = std::max(most[j], size_of(weights[i] * static_cast<double>(row[j])));
    }
    for (std::size_t j = 0; j < d; ++j) {
        most[j] = std::min(most[j], size_of(std::numeric_limits<double>::max()));
        most_rests[j] = size_of(std::ldexp(std::bit_cast<double>(most[j]), -53));
    }
    const SumWindow<double> rests(most_rests, 2);
    // 53 bits times 24: the last one of the product is at most so far below its first one, which
    // may be one higher, and once more by rounding.
    const SumWindow<double> both(most, 2, 77);
    if (fit_together(rows, own_weights, both)) return {both, rests, true};
    return {SumWindow<double>(most, 2), rests, false};
}

// Whether there are rests at all, and few rows whose products with them do not fit the window.
template <class T>
bool WeightedSums<T>::fit_together(const std::vector<T>& rows, const std::vector<double>& weights,
                                   const SumWindow<double>& window) {
    if (sizeof(T) == 8 || weights.empty()) return false;
    const std::size_t d = window.dimensions(), count = weights.size();
    const auto stride = static_cast<std::ptrdiff_t>(d);
    std::vector<double> products(rows.size()), rests(rows.size());
    std::vector<unsigned char> outside(count);
    if (!current_kernels<T>()
             .weigh_rows(rows.data(), stride, count, d, weights.data(), products.data(),
                         rests.data())
             .any_rest)
        return false;
    if (!current_kernels<double>().rows_outside(products.data(), stride, count, d, window.least(),
                                                window.most(), outside.data()))
        return true;
    return 32 * std::count(outside.begin(), outside.end(), 1) < static_cast<std::ptrdiff_t>(count);
}

template <class T>
std::unique_ptr<typename WeightedSums<T>::Worker>
WeightedSums<T>::make_worker(std::size_t num_clusters) {
    return std::unique_ptr<Worker>(new Worker{{windows_.products, num_clusters, shared_products_},
                                              std::nullopt,
                                              std::nullopt,
                                              AlignedVector<T>(block_rows_ * points_.dimensions),
                                              AlignedVector<T>(points_.dimensions)});
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
void WeightedSums<T>::add_all(const std::int32_t* cluster_index, ExactSums* weight_sums) {
    constexpr std::size_t most_limbs = 4; // of products and rests
    if (sums_fit_threads(num_clusters_ * points_.dimensions * most_limbs * sizeof(std::int64_t)))
        return add_in_passing(cluster_index, weight_sums);
    if (weight_sums)
        *weight_sums = add_weights(weights_, points_.num_rows, cluster_index, num_clusters_);
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
    const std::size_t d = points_.dimensions;
    const bool in_place = reads_in_place<T>(points_);
    for (std::size_t at = segment.begin; at < segment.end; ++at) {
        constexpr std::int32_t own = 0;
        const std::size_t row = row_at(at);
        if (in_place && at + 1 < segment.end)
            prefetch(load_rows<T>(points_, row_at(at + 1), 1, nullptr).rows, d);
        add_rows(load_rows<T>(points_, row, 1, worker.rows.data()), row, 1, &own, worker);
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
void WeightedSums<T>::add_in_passing(const std::int32_t* cluster_index, ExactSums* weight_sums) {
    std::optional<SharedSums> shared_weights;
    if (weight_sums) {
        *weight_sums = ExactSums(num_clusters_, 1, weight_window_.units());
        weight_sums->make();
        shared_weights.emplace(*weight_sums);
    }
    const ShrinkingChunks chunks = cut_rows(points_.num_rows, block_rows_);
    const double work = static_cast<double>(points_.num_rows * (points_.dimensions + 2));
    PerThread<Worker> workers;
    parallel_for(chunks.count(), seconds_for(16 * work), [&](std::size_t chunk) {
        Worker& worker = workers.mine([&] {
            std::unique_ptr<Worker> made = make_worker(num_clusters_);
            if (weight_sums) made->weights.emplace(weight_window_, num_clusters_, *shared_weights);
            return made;
        });
        for (std::size_t first = chunks.begin(chunk); first < chunks.end(chunk);
             first += block_rows_) {
            const std::size_t count = std::min(block_rows_, chunks.end(chunk) - first);
            add_rows(load_rows<T>(points_, first, count, worker.rows.data()), first, count,
                     cluster_index + first, worker);
        }
    });
    hand_over(workers);
}

// first: the number of the first row; count: at most block_values
template <class T>
void WeightedSums<T>::add_rows(const Block<T>& block, std::size_t first, std::size_t count,
                               const std::int32_t* cluster_index, Worker& worker) {
    WeightedTarget target = target_of(worker, count);
    for (std::size_t i = 0; i < count; ++i) {
        const T* row = block.rows + static_cast<std::ptrdiff_t>(i) * block.stride;
        i += kernels_.add_weighted_rows(row, block.stride, count - i, cluster_index + i,
                                        points_.dimensions, weights_ + first + i, target);
        if (i == count) return;
        row = block.rows + static_cast<std::ptrdiff_t>(i) * block.stride;
        const bool had_rests = worker.rests.has_value();
        add_odd_row(row, first + i, cluster_index[i], worker);
        if (worker.rests && !had_rests) target = target_of(worker, count);
    }
}

// Products that do not fit are added by themselves, the others as those of a row.
template <class T>
void WeightedSums<T>::add_odd_row(const T* row, std::size_t index, std::int32_t cluster,
                                  Worker& worker) {
    const double weight = weights_[index];
    for (std::size_t j = 0; j < points_.dimensions; ++j) {
        const auto value = static_cast<double>(row[j]);
        const double product = weight * value, rest = std::fma(weight, value, -product);
        if (!std::isfinite(product)) return bad_row_.report(index); // there will be no sums
        const bool fits =
            windows_.products.holds(product, j) &&
            (rest == 0 || windows_.together || (make_rests(worker), windows_.rests.holds(rest, j)));
        worker.fitting[j] = fits ? row[j] : T(0);
        if (fits) continue;
        worker.products.add_odd(static_cast<std::size_t>(cluster), j, product);
        worker.products.add_odd(static_cast<std::size_t>(cluster), j, rest);
    }
    WeightedTarget target = target_of(worker, 1);
    target.weights.digits = nullptr;
    kernels_.add_weighted_rows(worker.fitting.data(), 0, 1, &cluster, points_.dimensions, &weight,
                               target);
    if (worker.weights) worker.weights->add({&weight, 1}, 1, &cluster, nullptr, nullptr);
}

template <class T>
RowAdder<double>& WeightedSums<T>::make_rests(Worker& worker) {
    if (!worker.rests)
        worker.rests.emplace(windows_.rests, worker.products.num_clusters(), shared_rests_);
    return *worker.rests;
}

template <class T>
WeightedTarget WeightedSums<T>::target_of(Worker& worker, std::size_t rows) const {
    WeightedTarget target{windows_.together ? Rests::second_limb : Rests::none,
                          worker.products.sums_with_room(rows),
                          {},
                          {},
                          windows_.products.least(),
                          windows_.products.most(),
                          windows_.rests.least(),
                          windows_.rests.most(),
                          weight_window_.least()[0],
                          weight_window_.most()[0]};
    if (worker.weights) target.weights = worker.weights->sums_with_room(rows);
    if (worker.rests) {
        target.where = Rests::own_sums;
        target.rests = worker.rests->sums_with_room(rows);
    }
    return target;
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
                if (worker->weights) worker->weights->hand_over(c);
            }
    });
    for (const auto& [owner, worker] : workers.all()) {
        worker->products.hand_over_odd();
        if (worker->rests) worker->rests->hand_over_odd();
        if (worker->weights) worker->weights->hand_over_odd();
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
