#include "search/try_axes.h"

#include "runtime/thread_pool.h"
#include "search/pack_centers.h"
#include "search/work_plan.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>
#include <utility>

namespace centroids {
namespace {

// Of an order of centers the whole panels that are tried, so many at most.
std::vector<std::int32_t> some_panels(const std::vector<std::int32_t>& order, std::size_t width) {
    const std::size_t all = order.size() / width, count = std::min<std::size_t>(all, 128);
    std::vector<std::int32_t> some;
    for (std::size_t at = 0; at < count; ++at) {
        const auto first = order.begin() + static_cast<std::ptrdiff_t>(at * all / count * width);
        some.insert(some.end(), first, first + static_cast<std::ptrdiff_t>(width));
    }
    return some;
}

// Ends of the levels that are tried, in products of bytes.
constexpr std::size_t ends[] = {16, 32, 48, 64, 96, 144, 192};

template <class T>
AxesLevels<T> all_levels(std::size_t dimensions) {
    AxesLevels<T> levels;
    for (const std::size_t end : ends)
        if (8 * end <= 5 * dimensions) levels.ends[levels.count++] = end;
    return levels;
}

// The share of pairs of a row and a panel that are left after each level.
template <class T>
struct Trial {
    std::vector<std::atomic<std::size_t>> left;
    std::size_t pairs;
    double share(std::size_t level) const {
        return static_cast<double>(left[level]) / static_cast<double>(pairs);
    }
};

// The bounds of some rows along the axes, at every level, against their nearest centers.
template <class T>
void try_rows(const FilterKernels<T>& filter, const LeadingAxes<T>& axes,
              const AxesOfCenters<T>& centers, const T* shift, std::size_t dimensions,
              std::size_t num_panels, const std::vector<TriedRow<T>>& rows, std::size_t first,
              Trial<T>& trial) {
    constexpr std::size_t together = AxesKernels<T>::most_rows;
    const std::size_t count = std::min(together, rows.size() - first);
    const std::size_t width = axes.levels.ends[axes.levels.count - 1];
    AlignedVector<T> shifted(together * dimensions, T(0)), coordinates(together * axes.stride());
    AlignedVector<std::uint8_t> values(together * width);
    std::vector<AxesFacts<T>> facts(axes.levels.count * together);
    std::vector<T> thresholds(together), lowest(together);
    std::vector<std::uint16_t> listed(count);
    std::iota(listed.begin(), listed.end(), std::uint16_t(0));
    std::vector<double> squares(together);
    for (std::size_t i = 0; i < count; ++i)
        for (std::size_t j = 0; j < dimensions; ++j) {
            const T value = rows[first + i].values[j] - shift[j];
            shifted[i * dimensions + j] = value;
            squares[i] += static_cast<double>(value) * static_cast<double>(value);
        }
    filter.axes->project(axes.panels.data(), axes.num_panels, dimensions, shifted.data(),
                         dimensions, count, coordinates.data(), axes.stride());
    for (std::size_t i = 0; i < count; ++i) {
        thresholds[i] = static_cast<T>(rows[first + i].distance - squares[i]);
        filter.axes->quantize(coordinates.data() + i * axes.stride(), axes.levels,
                              static_cast<T>(std::sqrt(squares[i]) * (1 + 1e-6)),
                              values.data() + i * width, facts.data() + i, together);
    }
    for (std::size_t level = 0; level < axes.levels.count; ++level) {
        std::size_t left = 0;
        for (std::size_t panel = 0; panel < num_panels; ++panel) {
            filter.axes->lowest(centers.levels[level], panel, listed.data(), count, values.data(),
                                width, facts.data() + level * together, lowest.data());
            for (std::size_t i = 0; i < count; ++i) left += !(lowest[i] > thresholds[i]);
        }
        trial.left[level] += left;
    }
}

struct Spectrum {
    bool flat;     // no axes lead
    bool hopeless; // any level would leave most pairs of a row and a center
};

template <class T>
double shifted_square(const T* row, const T* shift, std::size_t dimensions, double* shifted) {
    for (std::size_t j = 0; j < dimensions; ++j)
        shifted[j] = static_cast<double>(row[j]) - static_cast<double>(shift[j]);
    return dot_product(shifted, shifted, dimensions);
}

// What some rows show before any axes are found. Of a covariance C the first m of d axes hold no
// more of the trace than the share m/d + sqrt(m (d - m) / d (q - 1/d)), with
// q = tr(C^2) / tr(C)^2, which products of pairs of rows estimate.
// end: m, the last level's
template <class T>
Spectrum spectrum_of(const Centers<T>& centers, const T* shift, std::size_t dimensions,
                     const std::vector<TriedRow<T>>& rows, std::size_t end) {
    const std::size_t n = rows.size(), some = std::min<std::size_t>(centers.num_centers, 256);
    std::vector<double> shifted(n * dimensions), squares(n), center(dimensions);
    double trace = 0, norm = 0, products = 0;
    for (std::size_t i = 0; i < n; ++i) {
        double* const row = shifted.data() + i * dimensions;
        trace += squares[i] = shifted_square(rows[i].values, shift, dimensions, row);
        for (std::size_t other = 0; other < i; ++other) {
            const double product =
                dot_product(row, shifted.data() + other * dimensions, dimensions);
            products += product * product;
        }
    }
    for (std::size_t i = 0; i < some; ++i)
        norm += shifted_square(centers.values + i * centers.num_centers / some * dimensions, shift,
                               dimensions, center.data());
    trace /= static_cast<double>(n);
    norm /= static_cast<double>(some);
    const auto d = static_cast<double>(dimensions), m = static_cast<double>(end);
    const double q = 2 * products / static_cast<double>(n * (n - 1)) / (trace * trace);
    const double lead = std::sqrt(m * (d - m) / d * std::max(q - 1 / d, 0.0));
    const double beyond = std::max(1 - m / d - lead, 0.0);
    std::size_t left = 0;
    for (std::size_t i = 0; i < n; ++i) // what lies beyond the axes is bounded by its length
        left += rows[i].distance > squares[i] + norm - 2 * beyond * std::sqrt(squares[i] * norm);
    const bool flat = lead < 0.15;
    return {flat, 2 * left > n};
}

// The levels that take the least time, in products of bytes for each center; none where that is
// not clearly less than what all dimensions take.
template <class T>
AxesLevels<T> best_levels(const LeadingAxes<T>& axes, const Trial<T>& trial, std::size_t dimensions,
                          std::size_t num_centers) {
    constexpr auto epilogue = static_cast<double>(work_aside);
    // Tiles that are not full:
    constexpr double scattered = 1.3;
    const double whole = static_cast<double>(dimensions) + epilogue;
    double least = 0.8 * whole;
    AxesLevels<T> best;
    const auto product = [&](std::size_t level) {
        return static_cast<double>(axes.levels.ends[level]) + epilogue;
    };
    const auto offer = [&](std::initializer_list<std::size_t> levels) {
        double cost = 0, left = 1;
        std::size_t end = 0;
        for (const std::size_t level : levels) {
            cost += left * product(level);
            left = scattered * trial.share(level);
            end = axes.levels.ends[level];
        }
        // A row is brought to the axes by multiply-adds of float32.
        cost += left * whole +
                4 * static_cast<double>(dimensions * end) / static_cast<double>(num_centers);
        if (!(cost < least)) return;
        least = cost;
        best.count = 0;
        for (const std::size_t level : levels) best.ends[best.count++] = axes.levels.ends[level];
    };
    for (std::size_t first = 0; first < axes.levels.count; ++first) {
        offer({first});
        for (std::size_t second = first + 1; second < axes.levels.count; ++second)
            offer({first, second});
    }
    return best;
}

} // namespace

template <class T>
std::unique_ptr<LeadingAxes<T>> axes_that_pay(const FilterKernels<T>& filter,
                                              const Centers<T>& centers, std::size_t dimensions,
                                              const std::vector<TriedRow<T>>& rows, bool* flat) {
    *flat = false;
    const AxesLevels<T> wanted = all_levels<T>(dimensions);
    if (!filter.axes || wanted.count == 0) return nullptr;
    const AlignedVector<T> shift = mean_of_centers<T>(centers, dimensions);
    const Spectrum spectrum =
        spectrum_of(centers, shift.data(), dimensions, rows, wanted.ends[wanted.count - 1]);
    *flat = spectrum.flat && spectrum.hopeless;
    if (spectrum.hopeless) return nullptr;
    auto axes = std::make_unique<LeadingAxes<T>>(filter, centers, dimensions, shift.data(), wanted);
    const std::vector<std::int32_t> order = some_panels(axes->order, filter.width);
    const Centers<T> some{centers.values, order.size(), centers.penalties};
    const std::size_t num_panels = order.size() / filter.width;
    AxesOfCenters<T> on_axes(filter, *axes, some, dimensions, order.data(), shift.data());
    on_axes.pack(some, nullptr);
    Trial<T> trial{std::vector<std::atomic<std::size_t>>(wanted.count), rows.size() * num_panels};
    constexpr std::size_t together = AxesKernels<T>::most_rows;
    parallel_for(groups_of(together, rows.size()),
                 seconds_for(static_cast<double>(rows.size() * some.num_centers * 512)),
                 [&](std::size_t part) {
                     try_rows(filter, *axes, on_axes, shift.data(), dimensions, num_panels, rows,
                              part * together, trial);
                 });
    const AxesLevels<T> best = best_levels(*axes, trial, dimensions, centers.num_centers);
    if (best.count == 0) return nullptr;
    axes->keep(best);
    return axes;
}

template <class T>
std::unique_ptr<LeadingAxes<T>> some_axes(const FilterKernels<T>& filter, const Centers<T>& centers,
                                          std::size_t dimensions) {
    AxesLevels<T> levels = all_levels<T>(dimensions);
    if (!filter.axes || levels.count == 0) return nullptr;
    levels.count = std::min<std::size_t>(levels.count, 2);
    const AlignedVector<T> shift = mean_of_centers<T>(centers, dimensions);
    return std::make_unique<LeadingAxes<T>>(filter, centers, dimensions, shift.data(), levels);
}

template std::unique_ptr<LeadingAxes<float>> axes_that_pay(const FilterKernels<float>&,
                                                           const Centers<float>&, std::size_t,
                                                           const std::vector<TriedRow<float>>&,
                                                           bool*);
template std::unique_ptr<LeadingAxes<double>> axes_that_pay(const FilterKernels<double>&,
                                                            const Centers<double>&, std::size_t,
                                                            const std::vector<TriedRow<double>>&,
                                                            bool*);
template std::unique_ptr<LeadingAxes<float>> some_axes(const FilterKernels<float>&,
                                                       const Centers<float>&, std::size_t);
template std::unique_ptr<LeadingAxes<double>> some_axes(const FilterKernels<double>&,
                                                        const Centers<double>&, std::size_t);

} // namespace centroids
