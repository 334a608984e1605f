// The grid is filled from the whole box down to single cells, as the filtering algorithm descends
// its tree (Kanungo et al., An efficient k-means clustering algorithm: analysis and implementation,
// IEEE Transactions on Pattern Analysis and Machine Intelligence 24, 2002): of the centers that may
// win in a box, z is the one nearest to its middle, and c stays only if some corner of the box is
// nearer to c than to z.
//
// With m the middle of the box and h its half widths, |x - c|^2 - |x - z|^2 is linear in x and at
// least |m - c|^2 - |m - z|^2 - 2 sum_j h_j |c_j - z_j|: c goes when this exceeds what rounding can
// do to it and to the float64 distances that would compare c and z.
#include "grid_of_centers.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace centroids {
namespace {

constexpr std::size_t sample_rows = 1024;
// A cell is widened by this part of its width: far above the rounding of a point's place in units
// of cells, which is at most 2 u times the number of cells across.
constexpr double widening = 2e-3;
constexpr std::int32_t most_across = 2048; // 2 u times this is 2.5e-4 in float32
// The outermost cells reach out by this many widths of the box; points beyond are outside.
constexpr double reach_out = 3;
// Relative to the squares that are compared: some 200 roundings of float64.
constexpr double rounding = 4e-14;

using Place = std::array<std::int32_t, grid_dimensions>;

// The arithmetic of filling, in float64 for points of any type.
class Filler {
  public:
    Filler(std::size_t dimensions, std::int32_t across, const double* centers,
           std::size_t num_centers, AlignedVector<std::int32_t>& table,
           AlignedVector<std::int32_t>& lists)
        : dimensions_(dimensions), across_(across), centers_(centers), num_centers_(num_centers),
          table_(table), lists_(lists) {}

    std::array<double, grid_dimensions> low{}, width{}, outer_low{}, outer_high{};

    void fill() {
        candidates_.resize(num_centers_);
        for (std::size_t c = 0; c < num_centers_; ++c)
            candidates_[c] = static_cast<std::int32_t>(c);
        table_.back() = ~append_list(0);
        fill_box(Place{}, across_, 0);
    }

  private:
    double edge(std::size_t j, std::int32_t at) const {
        if (at == 0) return outer_low[j];
        if (at == across_) return outer_high[j];
        return low[j] + at * width[j];
    }

    // Candidates [from, end) of the box of `size` cells at `corner`.
    void fill_box(const Place& corner, std::int32_t size, std::size_t from) {
        const std::size_t kept = candidates_.size();
        filter(corner, size, from);
        if (candidates_.size() - kept == 1)
            fill_cells(corner, size, candidates_[kept]);
        else if (size == 1)
            table_[cell(corner)] = ~append_list(kept);
        else
            split(corner, size / 2, kept);
        candidates_.resize(kept);
    }

    void split(const Place& corner, std::int32_t size, std::size_t from) {
        for (unsigned child = 0; child < 1u << dimensions_; ++child) {
            Place at = corner;
            for (std::size_t j = 0; j < dimensions_; ++j)
                at[j] += static_cast<std::int32_t>(child >> j & 1) * size;
            fill_box(at, size, from);
        }
    }

    // Appends the candidates of [from, end) that can win in the box, in their order.
    void filter(const Place& corner, std::int32_t size, std::size_t from) {
        double middle[grid_dimensions], half[grid_dimensions], diagonal = 0;
        for (std::size_t j = 0; j < dimensions_; ++j) {
            const double lower = edge(j, corner[j]), upper = edge(j, corner[j] + size);
            middle[j] = 0.5 * (lower + upper);
            half[j] = 0.5 * (upper - lower) + widening * width[j];
            diagonal += half[j] * half[j];
        }
        const std::size_t end = candidates_.size();
        distances_.resize(end - from);
        double nearest = std::numeric_limits<double>::infinity();
        const double* winner = centers_;
        for (std::size_t at = from; at < end; ++at) {
            const double* const center = centers_ + 4 * candidates_[at];
            double distance = 0;
            for (std::size_t j = 0; j < dimensions_; ++j)
                distance += (middle[j] - center[j]) * (middle[j] - center[j]);
            distances_[at - from] = distance;
            if (distance < nearest) {
                nearest = distance;
                winner = center;
            }
        }
        for (std::size_t at = from; at < end; ++at) {
            const std::int32_t candidate = candidates_[at];
            const double* const center = centers_ + 4 * candidate;
            const double distance = distances_[at - from];
            double swing = rounding * (distance + nearest + diagonal);
            for (std::size_t j = 0; j < dimensions_; ++j)
                swing += 2 * half[j] * std::fabs(center[j] - winner[j]);
            if (!(distance - nearest > swing)) candidates_.push_back(candidate);
        }
    }

    std::size_t cell(const Place& place) const {
        std::size_t cell = 0;
        for (std::size_t j = 0; j < dimensions_; ++j)
            cell = cell * static_cast<std::size_t>(across_) + static_cast<std::size_t>(place[j]);
        return cell;
    }

    void fill_cells(const Place& corner, std::int32_t size, std::int32_t center) {
        const std::size_t last = dimensions_ - 1;
        Place at = corner;
        for (;;) {
            std::fill_n(table_.begin() + static_cast<std::ptrdiff_t>(cell(at)), size, center);
            std::size_t j = last;
            for (; j > 0; --j) {
                if (++at[j - 1] < corner[j - 1] + size) break;
                at[j - 1] = corner[j - 1];
            }
            if (j == 0) return;
        }
    }

    std::int32_t append_list(std::size_t from) {
        const auto start = static_cast<std::int32_t>(lists_.size());
        lists_.push_back(static_cast<std::int32_t>((candidates_.size() - from + 3) / 4));
        lists_.insert(lists_.end(), candidates_.begin() + static_cast<std::ptrdiff_t>(from),
                      candidates_.end());
        while ((lists_.size() - static_cast<std::size_t>(start)) % 4 != 1)
            lists_.push_back(lists_.back());
        return start;
    }

    const std::size_t dimensions_;
    const std::int32_t across_;
    const double* const centers_;
    const std::size_t num_centers_;
    AlignedVector<std::int32_t>& table_;
    AlignedVector<std::int32_t>& lists_;
    std::vector<std::int32_t> candidates_; // a stack: those of a box on top of its parent's
    std::vector<double> distances_;
};

} // namespace

template <class T>
GridOfCenters<T>::GridOfCenters(const DenseRows& points, const Centers<T>& centers,
                                std::size_t most_cells) {
    const std::size_t dimensions = points.dimensions;
    if (dimensions == 0 || dimensions > grid_dimensions) return;
    std::int32_t across = 1;
    const auto cells_of = [&](std::int32_t size) {
        std::size_t cells = 1;
        for (std::size_t j = 0; j < dimensions; ++j) cells *= static_cast<std::size_t>(size);
        return cells;
    };
    while (across < most_across && cells_of(2 * across) <= most_cells) across *= 2;
    sample(points);
    if (sample_.empty()) return;

    const std::size_t k = centers.num_centers;
    centers_.assign(4 * k, 0.0);
    for (std::size_t c = 0; c < k; ++c)
        for (std::size_t j = 0; j < dimensions; ++j)
            centers_[4 * c + j] = static_cast<double>(centers.values[c * dimensions + j]);
    AlignedVector<std::int32_t> table(cells_of(across) + 1);
    Filler filler(dimensions, across, centers_.data(), k, table, lists_);
    for (std::size_t j = 0; j < dimensions; ++j) {
        T lowest = sample_[j], highest = sample_[j];
        for (std::size_t at = j; at < sample_.size(); at += dimensions) {
            lowest = std::min(lowest, sample_[at]);
            highest = std::max(highest, sample_[at]);
        }
        const double low = static_cast<double>(lowest), high = static_cast<double>(highest);
        view.low[j] = lowest;
        view.cells_per_unit[j] = static_cast<T>(across / (high - low));
        view.middle[j] = static_cast<T>(0.5 * (low + high));
        view.reach[j] = static_cast<T>((0.5 + reach_out) * (high - low));
        // The box as the kernel's own rounded numbers say.
        const double width = 1 / static_cast<double>(view.cells_per_unit[j]);
        const double reach = static_cast<double>(view.reach[j]) * (1 + 1e-3);
        const double middle = static_cast<double>(view.middle[j]);
        const double size = std::fmax(std::fabs(low), std::fabs(high));
        const bool useful = width > 0 && width < std::numeric_limits<T>::max() &&
                            static_cast<double>(view.cells_per_unit[j]) * size < 1e12 &&
                            reach < std::numeric_limits<T>::max();
        if (!useful) return;
        filler.low[j] = low;
        filler.width[j] = width;
        filler.outer_low[j] = middle - reach;
        filler.outer_high[j] = middle + reach;
    }
    filler.fill();
    table_ = std::move(table);
    view.num_centers = k;
    view.dimensions = dimensions;
    view.cells_across = across;
    view.table = table_.data();
    view.lists = lists_.data();
    view.centers = centers_.data();
}

// Finite rows at even distances.
template <class T>
void GridOfCenters<T>::sample(const DenseRows& points) {
    const std::size_t dimensions = points.dimensions;
    const std::size_t count = std::min(points.num_rows, sample_rows);
    std::vector<T> scratch(dimensions);
    for (std::size_t s = 0; s < count; ++s) {
        const std::size_t row = s * points.num_rows / count;
        const T* const values = load_rows<T>(points, row, 1, scratch.data()).rows;
        if (std::all_of(values, values + dimensions, [](T value) { return std::isfinite(value); }))
            sample_.insert(sample_.end(), values, values + dimensions);
    }
}

template class GridOfCenters<float>;
template class GridOfCenters<double>;

} // namespace centroids
