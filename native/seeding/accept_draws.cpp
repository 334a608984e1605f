// Which rows that were drawn by outdated distances become centers.
//
// A row that was drawn with a probability in proportion to its distance d before is kept with
// probability d' / d, where d' is its distance now, to the centers kept meanwhile, too: so that it
// is chosen in proportion to d', as if all distances had been renewed for it.
//
// Source: Cohen-Addad, Lattanzi, Norouzi-Fard, Sohler and Svensson, Fast and accurate k-means++ via
// rejection sampling, NeurIPS 2020.
#include "api/seeding.h"

#include "runtime/dispatch.h"

#include <cmath>
#include <vector>

namespace centroids {
namespace {

// Whether share * before < now, exactly. Products of tiny numbers would lose digits: a common
// factor makes them large.
bool is_below(double share, double before, double now) {
    const double factor = before < 0x1p-900 ? 0x1p1000 : 1.0;
    before *= factor;
    now *= factor;
    const double product = share * before;
    return product < now || (product == now && std::fma(share, before, -product) < 0);
}

} // namespace

template <class T>
std::size_t accept_draws(const T* drawn, std::size_t count, std::size_t dimensions, bool normalize,
                         const double* distances, const double* shares, std::size_t most,
                         std::int64_t* kept) {
    constexpr ElementType type = sizeof(T) == 4 ? ElementType::float32 : ElementType::float64;
    const auto width = static_cast<std::ptrdiff_t>(dimensions);
    std::vector<T> scratch(count * dimensions);
    const Block<T> rows = load_rows<T>({drawn, type, count, dimensions, width, 1, normalize}, 0,
                                       count, scratch.data());
    const auto distance = [&](std::int64_t a, std::int64_t b) {
        return current_kernels<T>().squared_distance(rows.rows + a * rows.stride,
                                                     rows.rows + b * rows.stride, dimensions);
    };
    std::size_t num_kept = 0;
    for (std::size_t at = 0; at < count && num_kept < most; ++at) {
        const auto own = static_cast<std::int64_t>(at);
        double now = distances[at];
        bool accepted = is_below(shares[at], distances[at], now);
        for (std::size_t c = 0; accepted && c < num_kept; ++c) {
            const double to_center = distance(own, kept[c]);
            if (!(to_center < now)) continue;
            now = to_center;
            accepted = is_below(shares[at], distances[at], now);
        }
        if (accepted) kept[num_kept++] = own;
    }
    return num_kept;
}

template std::size_t accept_draws<float>(const float*, std::size_t, std::size_t, bool,
                                         const double*, const double*, std::size_t, std::int64_t*);
template std::size_t accept_draws<double>(const double*, std::size_t, std::size_t, bool,
                                          const double*, const double*, std::size_t, std::int64_t*);

} // namespace centroids
