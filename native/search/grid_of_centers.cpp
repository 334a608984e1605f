// The grid is filled from the whole box down to single cells, as the filtering algorithm descends
// its tree (Kanungo et al., An efficient k-means clustering algorithm: analysis and implementation,
// IEEE Transactions on Pattern Analysis and Machine Intelligence 24, 2002): of the centers that may
// win in a box, z is the one nearest to its middle, and c stays only if some corner of the box is
// nearer to c than to z.
//
// With m the middle of the box and h its half widths, |x - c|^2 - |x - z|^2 is linear in x and at
// least |m - c|^2 - |m - z|^2 - 2 sum_j h_j |c_j - z_j|: c goes when this exceeds what rounding can
// do to it and to the float64 distances that would compare c and z.
#include "search/grid_of_centers.h"

#include "runtime/dispatch.h"
#include "search/exact_order.h"
#include "search/work_plan.h"

#include <algorithm>
#include <array>
#include <atomic>
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
// Coordinates above so many cells: an edge would be rounded by more than a tenth of the widening.
constexpr double most_cells_from_origin = 1e12;
// Squares of larger coordinates could overflow.
constexpr double largest_coordinate = 1e150;
// The outermost cells reach out by this many widths of the box; points beyond are outside.
constexpr double reach_out = 3;
// Points that pay for a cell, and cells that stay in the second-level cache.
constexpr std::size_t points_per_cell = 16, most_cells = 65536;

// Nanoseconds of one thread with AVX-512, measured; only to choose.
constexpr double test_cost = 1.2;                          // one center in one box
constexpr double cell_cost[grid_dimensions] = {4, 10, 32}; // to fill it
constexpr double look_up_cost = 1.3, fours_cost = 3.5;     // for a point
constexpr double worth_it = 0.8;                           // of what the others take

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
    std::size_t count() const {
        std::size_t cells = 1;
        for (std::size_t j = 0; j < dimensions; ++j) cells *= static_cast<std::size_t>(across);
        return cells;
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

// So many tests and no more: where many centers compete in every cell (all of them near one spot,
// or copies of each other) a grid costs more than it saves.
class Budget {
  public:
    explicit Budget(double tests) : left_(tests < 1e18 ? static_cast<std::int64_t>(tests) : most) {}

    // work: of the caller, since it was last told to be 0.
    bool allows(std::size_t& work) {
        constexpr std::size_t worth_telling = 4096;
        if (work > worth_telling) {
            left_ -= static_cast<std::int64_t>(work);
            work = 0;
        }
        return left_ > 0;
    }
    bool spent() const { return left_ <= 0; }

  private:
    static constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max() / 2;
    std::atomic<std::int64_t> left_;
};

// Fills the cells of one box, with lists of its own.
class Filler {
  public:
    Filler(const Cells& cells, const double* centers, std::size_t num_centers,
           FilterBoxes filter_boxes, std::int32_t* table, Budget& budget)
        : cells_(cells), centers_(centers), nobody_(static_cast<std::int32_t>(num_centers)),
          filter_boxes_(filter_boxes), table_(table), budget_(budget) {}

    std::vector<std::int32_t> lists;

    void fill(const Place& corner, std::int32_t size, const std::int32_t* candidates,
              std::size_t count, std::size_t level) {
        if (count == 1)
            set(corner, size, *candidates);
        else if (size == 1)
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
        work_ += count * boxes;
        std::size_t num_kept[16];
        kept.resize(boxes * count);
        filter_boxes_(centers_, candidates, count, d, middle, half, kept.data(), num_kept);
        for (std::size_t b = 0; b < num_boxes; ++b)
            child(corners[b], part, kept.data() + b * count, num_kept[b]);
    }

  private:
    void split(const Place& corner, std::int32_t size, const std::int32_t* candidates,
               std::size_t count, std::size_t level) {
        if (!budget_.allows(work_)) return;
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
        const std::size_t start = lists.size(), fours = groups_of(4, count);
        if (lists.capacity() < start + 4 * fours + 1) lists.reserve(2 * start + 4 * fours + 1024);
        lists.resize(start + 4 * fours + 1);
        std::int32_t* const list = lists.data() + start;
        list[0] = static_cast<std::int32_t>(fours);
        for (std::size_t c = 0; c < 4 * fours; ++c)
            list[1 + c] = c < count ? candidates[c] : nobody_;
        return ~static_cast<std::int32_t>(2 * start + (fours > 1));
    }

    const Cells& cells_;
    const double* const centers_;
    const std::int32_t nobody_; // fills up lists
    const FilterBoxes filter_boxes_;
    std::int32_t* const table_;
    Budget& budget_;
    std::size_t work_ = 0;
    std::array<std::vector<std::int32_t>, 12> kept_; // one a level: across is at most 2^11
};

// A child of the whole box, to be filled by one thread.
struct Part {
    Place corner;
    std::int32_t size;
    std::vector<std::int32_t> candidates, lists;
};

// How many of the points fall into cells with more than one center, and with how many groups of
// four each is then compared: fitted to even spreads of centers.
double expected_fours(std::size_t dimensions, double centers_per_cell) {
    const double d = static_cast<double>(dimensions);
    const double open = 1 - std::exp(-2 * d * std::pow(centers_per_cell, 1 / d));
    return open * (1 + std::pow(10, d - 2) * 2.7 * centers_per_cell);
}

Cells make_cells(std::size_t dimensions, std::size_t num_rows) {
    Cells cells{dimensions, 1, {}, {}, {}, {}};
    const std::size_t most = std::min(most_cells, num_rows / points_per_cell);
    while (cells.across < most_across) {
        cells.across *= 2;
        if (cells.count() > most) {
            cells.across /= 2;
            break;
        }
    }
    return cells;
}

} // namespace grid_detail
using namespace grid_detail;

template <class T>
GridOfCenters<T>::GridOfCenters(const DenseRows& points, const Centers<T>& centers,
                                double other_cost)
    : points_(points), num_centers_(centers.num_centers) {
    const std::size_t dimensions = points.dimensions;
    Cells cells = make_cells(dimensions, points.num_rows);
    const double filling = static_cast<double>(cells.count()) * cell_cost[dimensions - 1];
    const double fours = expected_fours(dimensions, static_cast<double>(num_centers_) /
                                                        static_cast<double>(cells.count()));
    if (filling + searching(fours) > worth_it * other_cost) return;
    sample();
    if (!copy_centers(centers) || !place_box(cells)) return;
    table_.resize(cells.count() + 1);
    // At worst a quarter of the other kernel's time is lost.
    const bool filled = fill_table(cells, other_cost / 4 / test_cost);
    view.num_centers = num_centers_;
    view.dimensions = dimensions;
    view.cells_across = cells.across;
    view.table = table_.data();
    view.lists = lists_.data();
    view.centers = centers_.data();
    view.closer = 1 + 2.1 * squared_distance_error(dimensions);
    if (!filled || searching(sampled_fours(cells)) > worth_it * other_cost) table_.clear();
}

template <class T>
double GridOfCenters<T>::searching(double fours) const {
    return static_cast<double>(points_.num_rows) * (look_up_cost + fours_cost * fours);
}

template <class T>
bool GridOfCenters<T>::copy_centers(const Centers<T>& centers) {
    const std::size_t dimensions = points_.dimensions;
    centers_.assign(4 * (num_centers_ + 1), 0.0);
    for (std::size_t c = 0; c < num_centers_; ++c)
        for (std::size_t j = 0; j < dimensions; ++j)
            centers_[4 * c + j] = static_cast<double>(centers.values[c * dimensions + j]);
    const bool all_near = std::all_of(centers_.begin(), centers_.end(), [](double value) {
        return std::fabs(value) < largest_coordinate;
    });
    std::fill_n(centers_.end() - 4, dimensions, std::numeric_limits<double>::infinity());
    return all_near;
}

// The box of the sample. False where cells cannot be told apart.
template <class T>
bool GridOfCenters<T>::place_box(Cells& cells) {
    const std::size_t dimensions = points_.dimensions;
    if (sample_.empty()) return false;
    for (std::size_t j = 0; j < dimensions; ++j) {
        T lowest = sample_[j], highest = sample_[j];
        for (std::size_t at = j; at < sample_.size(); at += dimensions) {
            lowest = std::min(lowest, sample_[at]);
            highest = std::max(highest, sample_[at]);
        }
        constexpr double limit =
            std::min(static_cast<double>(std::numeric_limits<T>::max()) / 1e3, largest_coordinate);
        const double low = static_cast<double>(lowest), high = static_cast<double>(highest);
        const double size = std::fmax(std::fabs(low), std::fabs(high));
        if (!(size < limit / cells.across) || !(high - low > size / limit) ||
            !(size < most_cells_from_origin * (high - low) / cells.across) ||
            !(high - low > 1e3 / limit))
            return false;
        view.low[j] = lowest;
        view.cells_per_unit[j] = static_cast<T>(cells.across / (high - low));
        view.middle[j] = static_cast<T>(0.5 * (low + high));
        view.reach[j] = static_cast<T>((0.5 + reach_out) * (high - low));
        // The box as the kernel's own rounded numbers say.
        const double reach = static_cast<double>(view.reach[j]) * (1 + 1e-3);
        cells.low[j] = low;
        cells.width[j] = 1 / static_cast<double>(view.cells_per_unit[j]);
        cells.outer_low[j] = static_cast<double>(view.middle[j]) - reach;
        cells.outer_high[j] = static_cast<double>(view.middle[j]) + reach;
    }
    return true;
}

// Groups of four that the points of the sample are compared with, on average.
template <class T>
double GridOfCenters<T>::sampled_fours(const Cells& cells) const {
    const std::size_t dimensions = points_.dimensions;
    double fours = 0;
    for (std::size_t at = 0; at < sample_.size(); at += dimensions) {
        Place place{};
        for (std::size_t j = 0; j < dimensions; ++j) {
            const double units =
                (static_cast<double>(sample_[at + j]) - cells.low[j]) / cells.width[j];
            place[j] = static_cast<std::int32_t>(std::clamp(units, 0.0, cells.across - 1.0));
        }
        const std::int32_t entry = table_[cells.index(place)];
        if (entry < 0) fours += lists_[static_cast<std::size_t>(~entry) / 2];
    }
    return fours * static_cast<double>(dimensions) / static_cast<double>(sample_.size());
}

template <class T>
bool GridOfCenters<T>::fill_table(const Cells& cells, double most_tests) {
    Budget budget(most_tests);
    const FilterBoxes filter_boxes = current_kernels<T>().filter_boxes;
    std::vector<std::int32_t> all(num_centers_), kept;
    std::iota(all.begin(), all.end(), 0);
    std::vector<Part> parts;
    Filler whole(cells, centers_.data(), num_centers_, filter_boxes, table_.data(), budget);
    whole.for_each_child(
        Place{}, cells.across, all.data(), all.size(), kept,
        [&](const Place& corner, std::int32_t size, const std::int32_t* own, std::size_t count) {
            parts.push_back({corner, size, {own, own + count}, {}});
        });
    parallel_for(
        parts.size(), seconds_for(static_cast<double>(table_.size()) * 100), [&](std::size_t p) {
            Part& part = parts[p];
            Filler filler(cells, centers_.data(), num_centers_, filter_boxes, table_.data(),
                          budget);
            filler.fill(part.corner, part.size, part.candidates.data(), part.candidates.size(), 0);
            part.lists = std::move(filler.lists);
        });
    if (budget.spent()) return false;
    // The list for points outside comes first.
    table_.back() = num_centers_ > 4 ? ~1 : ~0;
    lists_.push_back(static_cast<std::int32_t>(groups_of(4, num_centers_)));
    lists_.insert(lists_.end(), all.begin(), all.end());
    while (lists_.size() % 4 != 1) lists_.push_back(static_cast<std::int32_t>(num_centers_));
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
    return true;
}

// Finite rows at even distances.
template <class T>
void GridOfCenters<T>::sample() {
    const std::size_t dimensions = points_.dimensions;
    const std::size_t count = std::min(points_.num_rows, sample_rows);
    std::vector<T> scratch(dimensions);
    for (std::size_t s = 0; s < count; ++s) {
        const std::size_t row = s * points_.num_rows / count;
        const T* const values = load_rows<T>(points_, row, 1, scratch.data()).rows;
        // Looked at in the copy: the caller's memory may change meanwhile.
        sample_.insert(sample_.end(), values, values + dimensions);
        if (!std::all_of(sample_.end() - static_cast<std::ptrdiff_t>(dimensions), sample_.end(),
                         [](T value) { return std::isfinite(value); }))
            sample_.resize(sample_.size() - dimensions);
    }
}

template class GridOfCenters<float>;
template class GridOfCenters<double>;

} // namespace centroids
