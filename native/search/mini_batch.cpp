#include "api/mini_batch.h"

#include "api/kmeans.h"
#include "runtime/dispatch.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace centroids {

template <class T>
void move_centers(const T* centers, const double* sums, const double* counts, const double* totals,
                  std::size_t num_centers, std::size_t dimensions, T* moved) {
    const auto move = current_kernels<T>().move_center;
    for (std::size_t c = 0; c < num_centers; ++c) {
        const std::size_t at = c * dimensions;
        const double total = totals[c] > 0 ? totals[c] : 1; // of nothing: the center stays
        move(centers + at, sums + at, counts[c], total, dimensions, moved + at);
    }
}

template <class T>
std::size_t mini_batch_steps(std::span<const DenseRows> batches, T* centers, std::int64_t* counts,
                             std::size_t num_centers, double* losses) {
    const std::size_t dimensions = batches.empty() ? 0 : batches[0].dimensions;
    const std::size_t size = num_centers * dimensions;
    std::vector<std::int64_t> gained(num_centers);
    std::vector<double> sums(size), given(num_centers), totals(num_centers);
    std::vector<T> moved(size);
    for (std::size_t step = 0; step < batches.size(); ++step) {
        ExactSums exact;
        ExactTotal inertia;
        const Update update{&exact, gained.data(), &inertia};
        if (assign<T>(batches[step], {centers, num_centers, nullptr}, nullptr, update, {}, nullptr,
                      false, nullptr) >= 0)
            return step;
        const double loss = inertia.rounded();
        if (!std::isfinite(loss)) return step;
        exact.round(sums.data());
        for (std::size_t c = 0; c < num_centers; ++c) {
            given[c] = static_cast<double>(gained[c]);
            totals[c] = static_cast<double>(counts[c] + gained[c]);
        }
        move_centers(centers, sums.data(), given.data(), totals.data(), num_centers, dimensions,
                     moved.data());
        const auto is_finite = [](T value) { return std::isfinite(value); };
        if (!std::all_of(moved.begin(), moved.end(), is_finite)) return step;
        std::copy(moved.begin(), moved.end(), centers);
        for (std::size_t c = 0; c < num_centers; ++c) counts[c] += gained[c];
        losses[step] = loss;
    }
    return batches.size();
}

template void move_centers(const float*, const double*, const double*, const double*, std::size_t,
                           std::size_t, float*);
template void move_centers(const double*, const double*, const double*, const double*, std::size_t,
                           std::size_t, double*);
template std::size_t mini_batch_steps(std::span<const DenseRows>, float*, std::int64_t*,
                                      std::size_t, double*);
template std::size_t mini_batch_steps(std::span<const DenseRows>, double*, std::int64_t*,
                                      std::size_t, double*);

} // namespace centroids
