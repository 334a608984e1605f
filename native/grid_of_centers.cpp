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

#include "centroids/dispatch.h"
#include "work_plan.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

namespace centroids {
namespace grid_detail {

constexpr std::size_t sample_rows = 1024;
// A cell is widened by this part of its width: far above the rounding of a point's place in units
// of cells, which is at most 2 u times the number of cells across.
constexpr double widening = 2e-3;
constexpr std::int32_t most_across = 2048; // 2 u times this is 2.5e-4 in float32
// The outermost cells reach out by this many widths of the box; points beyond are outside.
constexpr double reach_out = 3;
// Up to here a longer list costs a point no more, and small cells only pay where they leave one.
constexpr std::size_t short_list = 4;
static const std::int32_t coarse = std::getenv("COARSE") ? std::atoi(std::getenv("COARSE")) : 1;

using Place = std::array<std::int32_t, grid_dimensions>;

using FilterBoxes = decltype(BlockKernels<float>::filter_boxes);

// The geometry of the cells, in float64 for points of any type.
struct Cells {
    std::size_t dimensions;
    std::int32_t across;
    std::array<double, grid_dimensions> low, width, outer_low, outer_high;

    double edge(std::size_t j, std::int32_t at) const {
        if (at == 0) return outer_low[j];
        if (at == across) return outer_high[j];
        return low[j] + at * width[j];
    }
    std::size_t index(const Place& place) const {
        std::size_t cell = 0;
        for (std::size_t j = 0; j < dimensions; ++j)
            cell = cell * static_cast<std::size_t>(across) + static_cast<std::size_t>(place[j]);
        return cell;
    }
    // row(start): the cells of a box, as runs of `size` neighbours.
    template <class Row>
    void for_each_row(const Place& corner, std::int32_t size, const Row& row) const {
        Place at = corner;
        for (;;) {
            row(index(at));
            std::size_t j = dimensions - 1;
            for (; j > 0; --j) {
                if (++at[j - 1] < corner[j - 1] + size) break;
                at[j - 1] = corner[j - 1];
            }
            if (j == 0) return;
        }
    }
};

// Fills the cells of one box, with lists of its own.
class Filler {
  public:
    Filler(const Cells& cells, const double* centers, FilterBoxes filter_boxes, std::int32_t* table)
        : cells_(cells), centers_(centers), filter_boxes_(filter_boxes), table_(table) {}

    std::vector<std::int32_t> lists;

    void fill(const Place& corner, std::int32_t size, const std::int32_t* candidates,
              std::size_t count, std::size_t level) {
        if (count == 1)
            set(corner, size, *candidates);
        else if (size == 1 || (count <= short_list && size <= coarse))
            set(corner, size, append_list(candidates, count));
        else
            split(corner, size, candidates, count, level);
    }

    // child(corner, size, candidates, count)
    template <class Child>
    void for_each_child(const Place& corner, std::int32_t size, const std::int32_t* candidates,
                        std::size_t count, std::vector<std::int32_t>& kept, const Child& child) {
        const std::size_t d = cells_.dimensions, boxes = boxes_together(d);
        std::int32_t parts = d == 1 ? 16 : d == 2 ? 4 : 2;
        while (parts > size) parts /= 2;
        const std::int32_t part = size / parts;
        // Edges and thus boxes are a product over the dimensions.
        double middle[grid_dimensions * 16], half[grid_dimensions * 16];
        std::array<Place, 16> corners;
        corners[0] = Place{};
        if (parts == 1 || boxes != 16 || parts * parts < 16) {
            std::fill_n(middle, d * boxes, 0.0);
            std::fill_n(half, d * boxes, 0.0);
        }
        std::size_t num_boxes = 1;
        for (std::size_t j = 0; j < d; ++j) {
            for (std::int32_t i = parts; i-- > 0;) {
                const std::int32_t at = corner[j] + i * part;
                const double lower = cells_.edge(j, at), upper = cells_.edge(j, at + part);
                const double mid = 0.5 * (lower + upper);
                const double half_width = 0.5 * (upper - lower) + widening * cells_.width[j];
                for (std::size_t b = 0; b < num_boxes; ++b) {
                    const std::size_t box = static_cast<std::size_t>(i) * num_boxes + b;
                    for (std::size_t before = 0; before < j; ++before) {
                        corners[box][before] = corners[b][before];
                        middle[before * boxes + box] = middle[before * boxes + b];
                        half[before * boxes + box] = half[before * boxes + b];
                    }
                    corners[box][j] = at;
                    middle[j * boxes + box] = mid;
                    half[j * boxes + box] = half_width;
                }
            }
            num_boxes *= static_cast<std::size_t>(parts);
        }
        std::size_t num_kept[16];
        kept.resize(boxes * count);
        filter_boxes_(centers_, candidates, count, d, middle, half, kept.data(), num_kept);
        for (std::size_t b = 0; b < num_boxes; ++b)
            child(corners[b], part, kept.data() + b * count, num_kept[b]);
    }

  private:
    void split(const Place& corner, std::int32_t size, const std::int32_t* candidates,
               std::size_t count, std::size_t level) {
        for_each_child(corner, size, candidates, count, kept_[level],
                       [&](const Place& at, std::int32_t part, const std::int32_t* own,
                           std::size_t num_own) { fill(at, part, own, num_own, level + 1); });
    }

    void set(const Place& corner, std::int32_t size, std::int32_t entry) {
        cells_.for_each_row(corner, size,
                            [&](std::size_t start) { std::fill_n(table_ + start, size, entry); });
    }

    // The entry of the table for the list.
    std::int32_t append_list(const std::int32_t* candidates, std::size_t count) {
        const std::size_t start = lists.size(), fours = (count + 3) / 4;
        if (lists.capacity() < start + 4 * fours + 1) lists.reserve(2 * start + 4 * fours + 1024);
        lists.resize(start + 4 * fours + 1);
        std::int32_t* const list = lists.data() + start;
        list[0] = static_cast<std::int32_t>(fours);
        for (std::size_t c = 0; c < 4 * fours; ++c)
            list[1 + c] = candidates[std::min(c, count - 1)];
        return ~static_cast<std::int32_t>(2 * start + (fours > 1));
    }

    const Cells& cells_;
    const double* const centers_;
    const FilterBoxes filter_boxes_;
    std::int32_t* const table_;
    std::array<std::vector<std::int32_t>, 12> kept_; // one a level: across is at most 2^11
};

// A child of the whole box, to be filled by one thread.
struct Part {
    Place corner;
    std::int32_t size;
    std::vector<std::int32_t> candidates, lists;
};

} // namespace grid_detail
using namespace grid_detail;

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
    Cells cells{dimensions, across, {}, {}, {}, {}};
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
        cells.low[j] = low;
        cells.width[j] = width;
        cells.outer_low[j] = middle - reach;
        cells.outer_high[j] = middle + reach;
    }
    table_.resize(cells_of(across) + 1);
    fill_table(cells);
    view.num_centers = k;
    view.dimensions = dimensions;
    view.cells_across = across;
    view.table = table_.data();
    view.lists = lists_.data();
    view.centers = centers_.data();
}

template <class T>
void GridOfCenters<T>::fill_table(const Cells& cells) {
    const FilterBoxes filter_boxes = current_kernels<T>().filter_boxes;
    const std::size_t k = centers_.size() / 4;
    std::vector<std::int32_t> all(k), kept;
    std::iota(all.begin(), all.end(), 0);
    std::vector<Part> parts;
    Filler whole(cells, centers_.data(), filter_boxes, table_.data());
    whole.for_each_child(
        Place{}, cells.across, all.data(), k, kept,
        [&](const Place& corner, std::int32_t size, const std::int32_t* own, std::size_t count) {
            parts.push_back({corner, size, {own, own + count}, {}});
        });
    parallel_for(
        parts.size(), seconds_for(static_cast<double>(table_.size()) * 100), [&](std::size_t p) {
            Part& part = parts[p];
            Filler filler(cells, centers_.data(), filter_boxes, table_.data());
            filler.fill(part.corner, part.size, part.candidates.data(), part.candidates.size(), 0);
            part.lists = std::move(filler.lists);
        });
    // The list for points outside comes first.
    table_.back() = k > 4 ? ~1 : ~0;
    lists_.push_back(static_cast<std::int32_t>((k + 3) / 4));
    lists_.insert(lists_.end(), all.begin(), all.end());
    while (lists_.size() % 4 != 1) lists_.push_back(lists_.back());
    for (const Part& part : parts) {
        const auto base = static_cast<std::int32_t>(lists_.size());
        lists_.insert(lists_.end(), part.lists.begin(), part.lists.end());
        cells.for_each_row(part.corner, part.size, [&](std::size_t start) {
            for (std::int32_t i = 0; i < part.size; ++i) {
                std::int32_t& entry = table_[start + static_cast<std::size_t>(i)];
                entry -= entry < 0 ? 2 * base : 0; // ~(2 * (start + base) + ...)
            }
        });
    }
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
