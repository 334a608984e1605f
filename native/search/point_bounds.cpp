#include "search/point_bounds.h"

#include "runtime/dispatch.h"
#include "runtime/thread_pool.h"
#include "search/center_groups.h"
#include "search/pack_centers.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <numeric>
#include <utility>

namespace centroids {
namespace {

// Bounds may take a tenth of the data, or this, whichever is more; sums as much again.
constexpr std::size_t bytes_anyway = std::size_t(8) << 20;

// Relative room on both sides of a comparison of distances: far above the rounding of float32
// bounds and of float64 distances, far below what a bound loses anyway.
constexpr double room = 1e-6;
constexpr double squared_room = 1e-9;

std::size_t affordable_bytes(std::size_t num_rows, std::size_t row_bytes) {
    return std::max(num_rows * row_bytes / 10, bytes_anyway);
}

std::size_t groups_for(std::size_t num_rows, std::size_t row_bytes, std::size_t num_panels) {
    const std::size_t bytes = affordable_bytes(num_rows, row_bytes);
    const std::size_t own = 4; // the index
    const std::size_t per_row = bytes / std::max<std::size_t>(num_rows, 1);
    const std::size_t affordable = per_row > own ? (per_row - own) / 2 / 4 * 4 : 0;
    return std::clamp<std::size_t>(std::min(affordable, num_panels), 1, most_center_groups);
}

} // namespace

template <class T>
void PointBounds<T>::start(const DenseRows& points, const Centers<T>& given,
                           const BlockKernels<T>& kernels, bool remember,
                           std::unique_ptr<LeadingAxes<T>> leading) {
    has_sums = false;
    packed.reset();
    on_axes.reset();
    axes = std::move(leading);
    const std::size_t panel_width = kernels.panel_width;
    num_rows = points.num_rows;
    dimensions = points.dimensions;
    num_centers = given.num_centers;
    normalized = points.normalize;
    const std::size_t num_panels = groups_of(panel_width, num_centers);
    const std::size_t groups =
        remember ? groups_for(num_rows, dimensions * sizeof(T), num_panels) : num_panels;
    group_size = groups_of(groups, num_panels) * panel_width;
    num_groups = groups_of(group_size, num_centers);
    row_groups = round_up(num_groups, 4);
    if (axes) {
        order = axes->order;
    } else if (remember) {
        order = CenterOrder<T>(given, dimensions, group_size).order;
    } else {
        order.resize(num_centers);
        std::iota(order.begin(), order.end(), 0);
    }
    if (!remember) return;
    order_groups();
    last_move.assign(num_centers, 0.0);
    lower.assign(num_rows * row_groups, BoundCode::highest);
    cluster_index.assign(num_rows, 0);
    distances.assign(num_rows, 0.0);
    still.assign(num_centers, 0);
    const std::size_t block = block_rows(dimensions);
    fingerprints.assign(groups_of(block, num_rows), 0);
    take_centers(given);
    double spread = 0; // of the centers: distances are of that order
    const AlignedVector<T> mean = mean_of_centers<T>(given, dimensions);
    for (std::size_t at = 0; at < centers.size(); ++at) {
        const double difference =
            static_cast<double>(centers[at]) - static_cast<double>(mean[at % dimensions]);
        spread += difference * difference;
    }
    code = BoundCode(std::sqrt(spread / static_cast<double>(num_centers)));
    drift.assign(num_groups, 0.0);
    drift_up.assign(row_groups, code.lowest());
}

template <class T>
void PointBounds<T>::take_centers(const Centers<T>& given) {
    const std::size_t size = num_centers * dimensions;
    centers.assign(given.values, given.values + size);
    penalties.clear();
    if (given.penalties) penalties.assign(given.penalties, given.penalties + num_centers);
    units.clear();
    if (given.units) units.assign(given.units, given.units + size);
}

template <class T>
void PointBounds<T>::order_groups() {
    group_of.resize(num_centers);
    for (std::size_t place = 0; place < num_centers; ++place)
        group_of[static_cast<std::size_t>(order[place])] =
            static_cast<std::int32_t>(place / group_size);
}

template <class T>
const CentersInFilter<T>& PointBounds<T>::pack(const FilterKernels<T>& filter,
                                               const Centers<T>& given) {
    const auto num_still = static_cast<std::size_t>(std::count(still.begin(), still.end(), 1));
    // Bytes tell less of centers that are far from the mean.
    const bool stays = packed && packed->is_for(filter) && 2 * num_still > num_centers;
    if (stays)
        packed->pack(given, still.data());
    else
        packed = std::make_unique<CentersInFilter<T>>(filter, given, dimensions, order.data(),
                                                      mean_of_centers<T>(given, dimensions));
    if (!axes || !axes->is_for(filter)) {
        on_axes.reset();
        return *packed;
    }
    const bool know = stays && on_axes;
    if (!know)
        on_axes = std::make_unique<AxesOfCenters<T>>(filter, *axes, given, dimensions, order.data(),
                                                     packed->shift.data());
    on_axes->pack(given, know ? still.data() : nullptr);
    return *packed;
}

template <class T>
bool PointBounds<T>::may_have_sums() const {
    return num_centers * dimensions * sizeof(std::int64_t) <=
           affordable_bytes(num_rows, dimensions * sizeof(T));
}

template <class T>
void PointBounds<T>::regroup() {
    std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
        return last_move[static_cast<std::size_t>(a)] < last_move[static_cast<std::size_t>(b)];
    });
    void_bounds();
}

template <class T>
void PointBounds<T>::take_axes(std::unique_ptr<LeadingAxes<T>> leading) {
    axes = std::move(leading);
    order = axes->order;
    void_bounds();
}

template <class T>
void PointBounds<T>::drop_axes() {
    axes.reset();
    on_axes.reset();
}

// After a change of the order.
template <class T>
void PointBounds<T>::void_bounds() {
    order_groups();
    packed.reset();
    on_axes.reset();
    std::fill(lower.begin(), lower.end(), std::uint16_t(0));
    for (std::size_t row = 0; row < num_rows; ++row)
        for (std::size_t group = num_groups; group < row_groups; ++group)
            lower[row * row_groups + group] = BoundCode::highest;
    drift.assign(num_groups, 0.0);
    drift_up.assign(row_groups, code.lowest());
    moved_groups = ~std::uint64_t(0); // all bounds are to be found again
}

// Whether a center has the same unit vector as before, which decides between equally near ones.
template <class T>
bool PointBounds<T>::same_unit(const Centers<T>& given, std::size_t center) const {
    if (!given.units) return units.empty();
    const double* const own = given.units + center * dimensions;
    return !units.empty() && std::equal(own, own + dimensions, &units[center * dimensions]);
}

template <class T>
void PointBounds<T>::follow(const Centers<T>& given) {
    const auto penalty = [](const double* values, std::size_t c) {
        return values ? std::sqrt(values[c]) : 0.0;
    };
    const double* const before = penalties.empty() ? nullptr : penalties.data();
    std::atomic<std::uint64_t> moved_in{0};
    parallel_for(num_groups, static_cast<double>(centers.size()) * 1e-9, [&](std::size_t group) {
        double furthest = 0;
        bool all_still = true;
        const std::size_t end = std::min((group + 1) * group_size, num_centers);
        for (std::size_t place = group * group_size; place < end; ++place) {
            const auto c = static_cast<std::size_t>(order[place]);
            // A penalty is the square of one more coordinate.
            const double raised = penalty(given.penalties, c) - penalty(before, c);
            const T* const own = given.values + c * dimensions;
            const T* const was = centers.data() + c * dimensions;
            const double moved =
                current_kernels<T>().squared_distance(own, was, dimensions) + raised * raised;
            last_move[c] = moved;
            still[c] = raised == 0 && std::equal(own, own + dimensions, was) && same_unit(given, c);
            all_still = all_still && still[c];
            furthest = std::fmax(furthest, moved);
        }
        if (!all_still) moved_in |= std::uint64_t(1) << group;
        drift[group] += std::sqrt(furthest) * (1 + squared_room);
        const double up = (drift[group] + static_cast<double>(code.lowest())) * (1 + 2e-7);
        drift_up[group] = static_cast<float>(std::min(up, 1e38));
    });
    moved_groups = moved_in;
    take_centers(given);
}

template <class T>
Outlook outlook(const DenseRows& points, const Centers<T>& centers, const PointBounds<T>& bounds,
                bool controls) {
    const BlockKernels<T>& kernels = current_kernels<T>();
    constexpr std::size_t sample = 512;
    const std::size_t stride = controls ? 1 : groups_of(sample, points.num_rows);
    std::vector<T> scratch(points.dimensions);
    std::size_t rows = 0, in_question = 0, looked_at = 0;
    for (std::size_t row = 0; row < points.num_rows && rows < sample; row += stride) {
        if (controls && !bounds.is_control(row)) {
            row += PointBounds<T>::block_rows(points.dimensions) - 1;
            continue;
        }
        ++rows;
        const auto own = static_cast<std::size_t>(bounds.cluster_index[row]);
        double distance = bounds.distances[row];
        if (!bounds.still[own]) {
            distance = kernels.squared_distance(load_rows<T>(points, row, 1, scratch.data()).rows,
                                                centers.values + own * points.dimensions,
                                                points.dimensions);
            if (centers.penalties) distance += centers.penalties[own];
        }
        const std::uint64_t open = bounds.open_groups(kernels, row, std::sqrt(distance));
        in_question += static_cast<std::size_t>(std::popcount(open));
        looked_at += open != 0 || !bounds.still[own];
    }
    const auto count = static_cast<double>(rows);
    return {static_cast<double>(in_question) / (count * static_cast<double>(bounds.num_groups)),
            static_cast<double>(looked_at) / count};
}

template <class T>
std::uint64_t PointBounds<T>::groups_within(const BlockKernels<T>& kernels, std::size_t row,
                                            double root) const {
    const auto reach = static_cast<float>(root * (1 + room));
    return kernels.groups_within(lower.data() + row * row_groups, drift_up.data(), row_groups,
                                 code.offset, reach);
}

template <class T>
void PointBounds<T>::lower_bound(std::size_t row, std::size_t group, double squared) {
    const double bound = std::sqrt(squared) * (1 - room);
    const double coded =
        (std::min(bound, 1e37) + static_cast<double>(drift_up[group])) * (1 - 2e-7);
    std::uint16_t& own = lower[row * row_groups + group];
    own = std::min(own, code.encode(static_cast<float>(coded)));
}

template Outlook outlook(const DenseRows&, const Centers<float>&, const PointBounds<float>&, bool);
template Outlook outlook(const DenseRows&, const Centers<double>&, const PointBounds<double>&,
                         bool);
template struct PointBounds<float>;
template struct PointBounds<double>;

} // namespace centroids
