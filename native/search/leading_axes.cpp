#include "search/leading_axes.h"

#include "runtime/round_up.h"
#include "runtime/thread_pool.h"
#include "search/center_groups.h"
#include "search/work_plan.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace centroids {
namespace {

constexpr std::size_t together = AxesKernels<float>::most_rows;

// Makes the rows orthonormal, one after the other (Gram and Schmidt). What is left of nothing is
// zero.
void orthonormalise(std::vector<double>& rows, std::size_t count, std::size_t length) {
    for (std::size_t i = 0; i < count; ++i) {
        double* const row = rows.data() + i * length;
        const double before = std::sqrt(dot_product(row, row, length));
        for (std::size_t other = 0; other < i; ++other) {
            const double* const axis = rows.data() + other * length;
            const double along = dot_product(row, axis, length);
            for (std::size_t j = 0; j < length; ++j) row[j] -= along * axis[j];
        }
        const double size = std::sqrt(dot_product(row, row, length));
        const bool usable = size > before * 1e-6 && std::isfinite(size);
        for (std::size_t j = 0; j < length; ++j) row[j] = usable ? row[j] / size : 0.0;
    }
}

template <class T>
void shift_row(const T* row, const T* shift, std::size_t dimensions, T* to) {
    for (std::size_t j = 0; j < dimensions; ++j) to[j] = row[j] - shift[j];
}

} // namespace

template <class T>
LeadingAxes<T>::LeadingAxes(const FilterKernels<T>& filter, const Centers<T>& centers,
                            std::size_t dimensions, const T* shift, const AxesLevels<T>& wanted)
    : levels(wanted), num_panels(groups_of(filter.width, wanted.ends[wanted.count - 1])),
      filter_(filter), width_(filter.width), dimensions_(dimensions),
      num_axes_(wanted.ends[wanted.count - 1]) {
    std::vector<double> axes(num_axes_ * dimensions);
    find(centers, shift, axes);
    lay_out(axes, panels);
    measure();
    find_order(centers, shift);
}

template <class T>
void LeadingAxes<T>::keep(const AxesLevels<T>& fewer) {
    levels.count = fewer.count;
    std::copy_n(fewer.ends, fewer.count, levels.ends);
    num_panels = groups_of(width_, fewer.ends[fewer.count - 1]);
    num_axes_ = fewer.ends[fewer.count - 1];
}

// Orthogonal iteration over a sample of the centers. Both products are those of the tile.
template <class T>
void LeadingAxes<T>::find(const Centers<T>& centers, const T* shift,
                          std::vector<double>& axes) const {
    const std::size_t d = dimensions_, count = std::min<std::size_t>(centers.num_centers, 1024);
    const std::size_t padded = round_up(count, together), tall = round_up(d, together);
    AlignedVector<T> sample(padded * d, T(0)), columns(tall * padded, T(0));
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t c = i * centers.num_centers / count;
        shift_row(centers.values + c * d, shift, d, sample.data() + i * d);
        for (std::size_t j = 0; j < d; ++j) columns[j * padded + i] = sample[i * d + j];
    }
    std::uint64_t state = 1; // any start will do
    for (double& value : axes) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        value = std::ldexp(static_cast<double>(static_cast<std::int64_t>(state)), -63);
    }
    constexpr int steps = 2;
    AlignedVector<T> laid_out, along(padded * stride()), packed(num_panels * padded * width_),
        next(tall * stride());
    for (int step = 0; step < steps; ++step) {
        lay_out(axes, laid_out);
        const double seconds = seconds_for(static_cast<double>(padded * d * stride()));
        parallel_for(padded / together, seconds, [&](std::size_t part) {
            const std::size_t first = part * together;
            filter_.axes->project(laid_out.data(), num_panels, d, sample.data() + first * d, d,
                                  together, along.data() + first * stride(), stride());
        });
        for (std::size_t panel = 0; panel < num_panels; ++panel)
            for (std::size_t i = 0; i < padded; ++i)
                std::copy_n(along.data() + i * stride() + panel * width_, width_,
                            packed.data() + (panel * padded + i) * width_);
        parallel_for(tall / together, seconds, [&](std::size_t part) {
            const std::size_t first = part * together;
            filter_.axes->project(packed.data(), num_panels, padded,
                                  columns.data() + first * padded, padded, together,
                                  next.data() + first * stride(), stride());
        });
        for (std::size_t axis = 0; axis < num_axes_; ++axis)
            for (std::size_t j = 0; j < d; ++j)
                axes[axis * d + j] = static_cast<double>(next[j * stride() + axis]);
        orthonormalise(axes, num_axes_, d);
    }
}

template <class T>
void LeadingAxes<T>::lay_out(const std::vector<double>& axes, AlignedVector<T>& to) const {
    to.assign(num_panels * dimensions_ * width_, T(0));
    for (std::size_t axis = 0; axis < num_axes_; ++axis)
        for (std::size_t j = 0; j < dimensions_; ++j)
            to[(axis / width_ * dimensions_ + j) * width_ + axis % width_] =
                static_cast<T>(axes[axis * dimensions_ + j]);
}

// How far the rounded axes are from orthonormal: the eigenvalues of B B' are within the largest
// sum of a row of 1, or near 0 (Gershgorin). And what a computed coordinate may be off by.
template <class T>
void LeadingAxes<T>::measure() {
    const std::size_t d = dimensions_;
    std::vector<double> axes(num_axes_ * d), off(num_axes_, 0.0);
    for (std::size_t axis = 0; axis < num_axes_; ++axis)
        for (std::size_t j = 0; j < d; ++j)
            axes[axis * d + j] =
                static_cast<double>(panels[(axis / width_ * d + j) * width_ + axis % width_]);
    for (std::size_t a = 0; a < num_axes_; ++a)
        for (std::size_t b = 0; b <= a; ++b) {
            const double product = dot_product(axes.data() + a * d, axes.data() + b * d, d);
            if (a == b && product == 0) continue; // an axis that is left out
            off[a] += std::fabs(product - (a == b ? 1.0 : 0.0));
            if (a != b) off[b] += std::fabs(product);
        }
    const double leak = *std::max_element(off.begin(), off.end());
    constexpr double unit = std::numeric_limits<T>::epsilon();
    levels.leak = static_cast<T>(leak * 1.01 + unit);
    // Each coordinate is a sum of so many rounded products with a row of length 1, of a row that
    // was rounded itself when it was shifted.
    const double each = (static_cast<double>(d) + 8) * unit / 2;
    levels.rounding =
        static_cast<T>(1.1 * each / (1 - 2 * each) * std::sqrt(static_cast<double>(num_axes_)));
}

// The order of center_groups.h, by the coordinates in the first panel of axes.
template <class T>
void LeadingAxes<T>::find_order(const Centers<T>& centers, const T* shift) {
    const std::size_t k = centers.num_centers, padded = round_up(k, together);
    AlignedVector<T> coordinates(padded * width_);
    parallel_for(padded / together, seconds_for(static_cast<double>(k * dimensions_ * width_)),
                 [&](std::size_t part) {
                     AlignedVector<T> shifted(together * dimensions_, T(0));
                     const std::size_t first = part * together;
                     for (std::size_t i = first; i < std::min(first + together, k); ++i)
                         shift_row(centers.values + i * dimensions_, shift, dimensions_,
                                   shifted.data() + (i - first) * dimensions_);
                     filter_.axes->project(panels.data(), 1, dimensions_, shifted.data(),
                                           dimensions_, together,
                                           coordinates.data() + first * width_, width_);
                 });
    // Centers at the end of the range: no filter is for these, but their order has to be one.
    for (T& value : coordinates)
        if (!std::isfinite(value)) value = T(0);
    order = CenterOrder<T>({coordinates.data(), k, nullptr}, width_, width_).order;
}

template <class T>
AxesOfCenters<T>::AxesOfCenters(const FilterKernels<T>& filter, const LeadingAxes<T>& axes,
                                const Centers<T>& centers, std::size_t dimensions,
                                const std::int32_t* order, const T* shift)
    : filter_(filter), axes_(axes), width_(filter.width), dimensions_(dimensions), order_(order),
      shift_(shift), facts_(axes.levels.count) {
    const std::size_t num_panels = groups_of(width_, centers.num_centers);
    const std::size_t padded = num_panels * width_;
    panel_stride_ = axes.levels.ends[axes.levels.count - 1] * width_;
    bytes_.assign(num_panels * panel_stride_, 0);
    norms_.assign(padded, std::numeric_limits<T>::infinity());
    scales_.assign(padded, T(0));
    for (std::size_t level = 0; level < facts_.size(); ++level) {
        Level& own = facts_[level];
        own.starts.assign(padded, 0);
        own.losses.assign(padded, T(0));
        own.sizes.assign(padded, T(0));
        own.tails.assign(padded, T(0));
        levels.push_back({.centers = {.dimensions = axes.levels.ends[level],
                                      .panels = bytes_.data(),
                                      .norms = norms_.data(),
                                      .starts = own.starts.data(),
                                      .scales = scales_.data(),
                                      .losses = own.losses.data(),
                                      .sizes = own.sizes.data()},
                          .panel_stride = panel_stride_,
                          .tails = own.tails.data()});
    }
}

template <class T>
void AxesOfCenters<T>::pack(const Centers<T>& centers, const unsigned char* still) {
    const std::size_t num_panels = groups_of(width_, centers.num_centers);
    const double work = static_cast<double>(centers.num_centers * dimensions_ * axes_.stride());
    parallel_for(num_panels, seconds_for(2 * work), [&](std::size_t panel) {
        AlignedVector<T> shifted(together * dimensions_), coordinates(together * axes_.stride());
        std::size_t places[together], count = 0;
        double squares[together];
        const auto flush = [&] {
            filter_.axes->project(axes_.panels.data(), axes_.num_panels, dimensions_,
                                  shifted.data(), dimensions_, count, coordinates.data(),
                                  axes_.stride());
            for (std::size_t i = 0; i < count; ++i)
                pack_center(places[i], coordinates.data() + i * axes_.stride(), squares[i]);
            count = 0;
        };
        const std::size_t end = std::min((panel + 1) * width_, centers.num_centers);
        for (std::size_t place = panel * width_; place < end; ++place) {
            const auto c = static_cast<std::size_t>(order_[place]);
            if (still && still[c]) continue;
            const T* const center = centers.values + c * dimensions_;
            double square = 0;
            for (std::size_t j = 0; j < dimensions_; ++j) {
                const double exact =
                    static_cast<double>(center[j]) - static_cast<double>(shift_[j]);
                square += exact * exact;
                shifted[count * dimensions_ + j] = static_cast<T>(exact);
            }
            norms_[place] =
                static_cast<T>(centers.penalties ? square + centers.penalties[c] : square);
            squares[count] = square;
            places[count++] = place;
            if (count == 8) flush();
        }
        if (count > 0) flush();
    });
}

template <class T>
void AxesOfCenters<T>::pack_center(std::size_t place, const T* coordinates, double square) {
    const AxesLevels<T>& ends = axes_.levels;
    const double largest = filter_.largest_byte;
    double most = 0;
    for (std::size_t j = 0; j < ends.ends[ends.count - 1]; ++j)
        most = std::max(most, std::fabs(static_cast<double>(coordinates[j])));
    const double scale = static_cast<double>(static_cast<T>(most / largest));
    const double inverse = scale > 1e-30 ? 1 / scale : 0.0;
    std::int8_t* const lane = bytes_.data() + place / width_ * panel_stride_ + 4 * (place % width_);
    scales_[place] = static_cast<T>(inverse > 0 ? -2 * scale : 0.0);
    constexpr double up = 1 + 1e-6, whole = 0x1.8p52;
    const double norm = std::sqrt(square) * up;
    const double unsure = static_cast<double>(ends.rounding) * norm;
    double lost = 0, size = 0, length = 0;
    std::int32_t sum = 0;
    std::size_t j = 0;
    for (std::size_t level = 0; level < ends.count; ++level) {
        for (; j < ends.ends[level]; ++j) {
            const auto value = static_cast<double>(coordinates[j]);
            const double byte = std::clamp(value * inverse + whole - whole, -largest, largest);
            const double difference = value - (inverse > 0 ? scale * byte : 0.0);
            lost += difference * difference;
            size += byte * byte;
            length += value * value;
            sum += static_cast<std::int32_t>(byte);
            lane[j / 4 * 4 * width_ + j % 4] = static_cast<std::int8_t>(byte);
        }
        const double inside = std::max(std::sqrt(length) - unsure, 0.0);
        const double beyond = norm * norm * (1 + static_cast<double>(ends.leak)) - inside * inside;
        Level& own = facts_[level];
        own.starts[place] = -filter_.middle_byte * sum;
        own.losses[place] = static_cast<T>(-2 * up * (std::sqrt(lost) + unsure));
        own.sizes[place] = static_cast<T>(-2 * up * scale * std::sqrt(size));
        own.tails[place] = static_cast<T>(-2 * up * std::sqrt(std::max(beyond, 0.0)));
    }
}

template class LeadingAxes<float>;
template class LeadingAxes<double>;
template class AxesOfCenters<float>;
template class AxesOfCenters<double>;

} // namespace centroids
