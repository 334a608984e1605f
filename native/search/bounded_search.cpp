// Over 400 lines: the steps of one search, in full and along leading axes, which share the block
// and the outcome that the filter writes for it; the compiler has them all at hand.
#include "search/bounded_search.h"

#include "runtime/dispatch.h"
#include "search/choose_search.h"
#include "search/pack_centers.h"
#include "search/zero_rows.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace centroids {
namespace {

// Groups whose panels stay in the first-level cache, of whatever processor, while rows run past.
std::size_t groups_at_once(std::size_t group_bytes) {
    constexpr std::size_t half_of_cache = std::size_t(16) << 10;
    return std::max<std::size_t>(half_of_cache / group_bytes, 1);
}
constexpr std::size_t rows_together = 8; // that are brought to the leading axes

} // namespace

template <class T>
BoundedSearch<T>::BoundedSearch(const DenseRows& points, const Centers<T>& centers,
                                const ExactOrder<T>& order, bool in_bytes, PointBounds<T>& bounds,
                                bool same_points, const PackedWords<T>* words)
    : kernels_(current_kernels<T>()), filter_(in_bytes ? *kernels_.byte_filter : kernels_.filter),
      points_(points), centers_(centers), order_(order), bounds_(bounds),
      remember_(!bounds.lower.empty()), same_points_(same_points),
      num_panels_(groups_of(kernels_.panel_width, centers.num_centers)),
      panels_per_group_(bounds.group_size / kernels_.panel_width),
      groups_together_(groups_at_once(filter_.panel_stride(points.dimensions) *
                                      filter_.value_bytes * panels_per_group_)),
      words_(words), packed_(bounds.pack(filter_, centers)), axes_(bounds.on_axes.get()),
      // In bytes products are exact, and the handful of roundings after them is all there is.
      score_error_(in_bytes
                       ? 1e-6 + (axes_ ? 1e-6 + static_cast<double>(bounds.axes->levels.leak) : 0.0)
                       : score_error_unit<T>(points.dimensions + 2)),
      square_error_(score_error_unit<T>(points.dimensions + 4)) {}

template <class T>
struct BoundedSearch<T>::Blocked {
    LazyBlock<T>& block;
    const std::size_t first, count;
    std::int32_t* const cluster_index; // [count]
    double* const distances;           // [count]
    const FilterRows<T> prepared;
    const FilterOutcome<T> outcome;
    Scratch& scratch;
    const bool on_axes;     // looks along these first
    std::size_t looked = 0; // as SearchCounts has it
    const T* row(std::size_t i) const { return block.row(i); }
};

template <class T>
void BoundedSearch<T>::search(LazyBlock<T>& block, std::int32_t* cluster_index, double* distances,
                              Scratch& scratch, bool more) {
    const Recognised recognised = recognise(block);
    Blocked at = make_room(block, cluster_index, distances, scratch);
    if (!words_ || !search_in_words(at)) {
        const bool fresh = recognised.fresh || words_; // words may have left half of the bounds
        if (!fresh) recall(at);
        list_rows(at, fresh, more && !same_points_);
        if (fresh) at.on_axes ? guess_on_axes(at) : guess(at);
        search_groups(at, fresh);
    }
    rows_ += at.count;
    looked_ += at.looked;
    questioned_ += scratch.listed.size();
    read_ += block.num_seen();
    if (!remember_) return;
    std::int32_t* const before = bounds_.cluster_index.data() + at.first;
    if (recognised.fresh)
        fresh_ += at.count;
    else
        list_moved(before, cluster_index, at.first, at.count, scratch.moved);
    std::copy_n(cluster_index, at.count, before);
    std::copy_n(distances, at.count, bounds_.distances.data() + at.first);
    bounds_.fingerprints[at.first / bounds_.block_rows(points_.dimensions)] =
        recognised.fingerprint;
}

// Until the block is done, nothing is known of its rows.
template <class T>
typename BoundedSearch<T>::Recognised BoundedSearch<T>::recognise(LazyBlock<T>& block) {
    const std::size_t dimensions = points_.dimensions;
    std::uint64_t known = 0;
    if (remember_)
        std::swap(known, bounds_.fingerprints[block.first() / bounds_.block_rows(dimensions)]);
    if (same_points_ && known != 0) return {known, false};
    const Block<T>& rows = block.all();
    if (!remember_) return {0, true};
    const std::uint64_t fingerprint = kernels_.fingerprint(rows.rows, rows.stride, block.count(),
                                                           dimensions, fingerprint_keys()) +
                                      1;
    return {fingerprint, known != fingerprint};
}

// The centers that the rows had, and their exact distances to them. Where a center is where it was,
// these are what they were.
template <class T>
void BoundedSearch<T>::recall(Blocked& at) const {
    std::copy_n(bounds_.cluster_index.data() + at.first, at.count, at.cluster_index);
    std::vector<std::uint16_t>& moved = at.scratch.in_group;
    std::size_t num = 0; // without branches
    for (std::size_t i = 0; i < at.count; ++i) {
        moved[num] = static_cast<std::uint16_t>(i);
        num += bounds_.keeps_distance(at.first + i) ? 0 : 1;
    }
    if (2 * num > at.count) { // all together take less
        measure_all(at);
        return;
    }
    std::copy_n(bounds_.distances.data() + at.first, at.count, at.distances);
    for (std::size_t n = 0; n < num; ++n) {
        const std::size_t i = moved[n];
        if (same_points_ && n + 4 < num) at.block.fetch(moved[n + 4]);
        at.distances[i] = exact_distance(at.row(i), at.cluster_index[i]);
    }
}

// The exact distances of all rows to their centers.
template <class T>
void BoundedSearch<T>::measure_all(Blocked& at) const {
    const Block<T>& rows = at.block.all();
    kernels_.update_rows(rows.rows, rows.stride, at.count, at.cluster_index, centers_.values,
                         points_.dimensions, nullptr, at.distances);
    for (std::size_t i = 0; centers_.penalties && i < at.count; ++i)
        at.distances[i] += centers_.penalties[at.cluster_index[i]];
}

template <class T>
typename BoundedSearch<T>::Blocked
BoundedSearch<T>::make_room(LazyBlock<T>& block, std::int32_t* cluster_index, double* distances,
                            Scratch& scratch) const {
    const std::size_t dimensions = points_.dimensions;
    const std::size_t rows = bounds_.block_rows(dimensions) + 1;
    const std::size_t stride = filter_.row_stride(dimensions);
    const std::size_t capacity = bounds_.group_size + 16;
    scratch.make_room(rows, stride * filter_.value_bytes, dimensions, capacity);
    if (axes_) {
        const AxesLevels<T>& levels = bounds_.axes->levels;
        scratch.shifted.resize(AxesKernels<T>::most_rows * round_up(dimensions, 16));
        scratch.coordinates.resize(AxesKernels<T>::most_rows * bounds_.axes->stride());
        scratch.axes_values.resize(rows * levels.ends[levels.count - 1]);
        scratch.axes_facts.resize(rows * levels.count);
        scratch.axes_lowest.resize(rows);
        scratch.panel_rest.resize(rows);
        scratch.own_thresholds.resize(rows);
        scratch.own_rest.resize(rows);
        scratch.left.resize(rows);
        scratch.left_rows.resize(rows);
    }
    return {.block = block,
            .first = block.first(),
            .count = block.count(),
            .cluster_index = cluster_index,
            .distances = distances,
            .prepared = {.values = scratch.values.data(),
                         .stride = stride,
                         .facts = scratch.facts.data(),
                         .thresholds = scratch.thresholds.data(),
                         .spare_row = rows - 1},
            .outcome = {.rest = scratch.rest.data(),
                        .group_panels = panels_per_group_,
                        .rest_stride = rows - 1,
                        .num_candidates = scratch.num_candidates.data(),
                        .candidates = scratch.candidates.data(),
                        .bounds = scratch.bounds.data(),
                        .capacity = capacity,
                        .origin = 0},
            .scratch = scratch,
            .on_axes = axes_ && !(remember_ && bounds_.is_control(block.first()))};
}

// Lists the rows that bounds leave in question, as the filter wants them. What the filter is not
// for is settled at once.
template <class T>
void BoundedSearch<T>::list_rows(Blocked& at, bool fresh, bool more) {
    Scratch& scratch = at.scratch;
    const auto open_groups = [&](std::size_t i) {
        const double root = order_.limit_of_root(std::sqrt(at.distances[i]));
        return bounds_.open_groups(kernels_, at.first + i, root);
    };
    const bool apart = same_points_ && !fresh; // the rows to look at are not in the cache
    for (std::size_t i = 0; apart && i < at.count; ++i) {
        scratch.groups[i] = open_groups(i);
        if (scratch.groups[i] != 0) at.block.fetch(i);
    }
    for (std::size_t i = 0; i < at.count; ++i) {
        if (more) at.block.fetch(at.count + i);
        if (!apart) scratch.groups[i] = fresh ? 1 : open_groups(i);
        if (scratch.groups[i] == 0) continue;
        if (prepare(at, at.row(i), i)) {
            scratch.listed.push_back(static_cast<std::uint16_t>(i));
            if (!fresh) set_threshold(i, at.distances[i], scratch);
            if (at.on_axes && scratch.listed.size() % rows_together == 0)
                take_coordinates(scratch, rows_together);
        } else {
            search_plainly(at, i);
        }
    }
    if (at.on_axes) take_coordinates(scratch, scratch.listed.size() % rows_together);
}

// Brings the last of the listed rows, which `prepare` left shifted, to the leading axes.
template <class T>
void BoundedSearch<T>::take_coordinates(Scratch& scratch, std::size_t last) const {
    if (last == 0) return;
    const LeadingAxes<T>& axes = *bounds_.axes;
    const std::size_t rows = scratch.facts.size(), width = axes.levels.ends[axes.levels.count - 1];
    filter_.axes->project(axes.panels.data(), axes.num_panels, points_.dimensions,
                          scratch.shifted.data(), round_up(points_.dimensions, 16), last,
                          scratch.coordinates.data(), axes.stride());
    const std::uint16_t* const listed = scratch.listed.data() + scratch.listed.size() - last;
    for (std::size_t at = 0; at < last; ++at)
        filter_.axes->quantize(scratch.coordinates.data() + at * axes.stride(), axes.levels,
                               scratch.facts[listed[at]].norm,
                               scratch.axes_values.data() + listed[at] * width,
                               scratch.axes_facts.data() + listed[at], rows);
}

template <class T>
std::span<const std::uint16_t>
BoundedSearch<T>::rows_in_question(const Blocked& at, std::size_t group, bool fresh) const {
    Scratch& scratch = at.scratch;
    const std::size_t rows = at.prepared.spare_row;
    std::size_t num = 0; // without branches: nobody could predict them
    for (const std::uint16_t i : scratch.listed) {
        scratch.in_group[num] = i;
        num += !fresh       ? scratch.groups[i] >> group & 1
               : at.on_axes ? 1
                            : !(scratch.group_rest[group * rows + i] > scratch.thresholds[i]);
    }
    return {scratch.in_group.data(), num};
}

template <class T>
void BoundedSearch<T>::search_groups(Blocked& at, bool fresh) {
    std::size_t panels = 0, compared = 0;
    for (std::size_t group = 0; group < bounds_.num_groups && !at.scratch.listed.empty(); ++group) {
        const std::span<const std::uint16_t> run = rows_in_question(at, group, fresh);
        if (run.empty()) continue;
        panels += at.on_axes ? run_group_on_axes(group, run, at, fresh)
                             : run_groups(group, group + 1, run, at.scratch.rest.data(), at);
        if (remember_) store_bounds(group, run, at.scratch.rest.data(), at);
        for (const std::uint16_t i : run)
            if (at.scratch.num_candidates[i] > 0) compared += resolve(at, i, group);
    }
    panels_ += panels;
    compared_ += compared;
}

// Runs rows against the panels of the groups [first, last). Returns how many pairs that were.
// rest: OUT, the lowest bounds of each group, for the rows
template <class T>
std::size_t BoundedSearch<T>::run_groups(std::size_t first, std::size_t last,
                                         std::span<const std::uint16_t> rows, T* rest,
                                         const Blocked& at) const {
    const std::size_t first_panel = first * panels_per_group_;
    const std::size_t last_panel = std::min(last * panels_per_group_, num_panels_);
    FilterOutcome<T> outcome = at.outcome;
    outcome.rest = rest;
    outcome.origin = first_panel;
    filter_.run(packed_.view, first_panel, last_panel, rows.data(), rows.size(), at.prepared,
                outcome);
    return rows.size() * (last_panel - first_panel);
}

template <class T>
void BoundedSearch<T>::look_along_axes(std::size_t level, std::size_t panel,
                                       std::span<const std::uint16_t> rows, Blocked& at,
                                       T* lowest) const {
    const AxesLevels<T>& levels = bounds_.axes->levels;
    at.looked += rows.size() * (levels.ends[level] + work_aside);
    const Scratch& scratch = at.scratch;
    filter_.axes->lowest(axes_->levels[level], panel, rows.data(), rows.size(),
                         scratch.axes_values.data(), levels.ends[levels.count - 1],
                         scratch.axes_facts.data() + level * scratch.facts.size(), lowest);
}

// As run_groups, for the rows that the looks along the leading axes leave of each panel.
template <class T>
std::size_t BoundedSearch<T>::run_group_on_axes(std::size_t group,
                                                std::span<const std::uint16_t> rows, Blocked& at,
                                                bool fresh) const {
    Scratch& scratch = at.scratch;
    const std::size_t first = group * panels_per_group_;
    const std::size_t last = std::min(first + panels_per_group_, num_panels_);
    FilterOutcome<T> outcome = at.outcome;
    outcome.origin = first;
    outcome.rest = scratch.panel_rest.data();
    constexpr T infinite = std::numeric_limits<T>::infinity();
    const std::size_t count = rows.size();
    T* const thresholds = scratch.own_thresholds.data(); // side by side, as `rows` has them
    T* const rest = scratch.own_rest.data();
    for (std::size_t n = 0; n < count; ++n) {
        thresholds[n] = scratch.thresholds[rows[n]];
        rest[n] = infinite;
    }
    std::size_t panels = 0;
    for (std::size_t panel = first; panel < last; ++panel) {
        T* const lowest = fresh ? scratch.panel_lowest.data() + panel * scratch.facts.size()
                                : scratch.axes_lowest.data();
        if (!fresh) look_along_axes(0, panel, rows, at, lowest);
        std::size_t num = 0; // without branches: nobody could predict them
        for (std::size_t n = 0; n < count; ++n) {
            const T other = lowest[n] > thresholds[n] ? lowest[n] : infinite;
            rest[n] = other < rest[n] ? other : rest[n];
        }
        for (std::size_t n = 0; n < count; ++n) {
            scratch.left[num] = static_cast<std::uint16_t>(n);
            num += lowest[n] > thresholds[n] ? 0 : 1;
        }
        for (std::size_t m = 0; m < num; ++m) scratch.left_rows[m] = rows[scratch.left[m]];
        for (std::size_t level = 1; level < axes_->levels.size() && num > 0; ++level)
            num = look_again(level, panel, num, at);
        if (num == 0) continue;
        filter_.run(packed_.view, panel, panel + 1, scratch.left_rows.data(), num, at.prepared,
                    outcome);
        for (std::size_t m = 0; m < num; ++m) {
            T& own = rest[scratch.left[m]];
            own = std::min(own, scratch.panel_rest[scratch.left_rows[m]]);
        }
        panels += num;
    }
    for (std::size_t n = 0; n < count; ++n) scratch.rest[rows[n]] = rest[n];
    return panels;
}

// Looks at the rows that are left, along more axes. Returns how many are left then.
template <class T>
std::size_t BoundedSearch<T>::look_again(std::size_t level, std::size_t panel, std::size_t count,
                                         Blocked& at) const {
    Scratch& scratch = at.scratch;
    T* const lowest = scratch.axes_lowest.data();
    look_along_axes(level, panel, {scratch.left_rows.data(), count}, at, lowest);
    std::size_t num = 0;
    for (std::size_t m = 0; m < count; ++m) {
        const std::uint16_t n = scratch.left[m];
        const bool open = !(lowest[m] > scratch.own_thresholds[n]);
        if (!open) scratch.own_rest[n] = std::min(scratch.own_rest[n], lowest[m]);
        scratch.left[num] = n;
        scratch.left_rows[num] = scratch.left_rows[m];
        num += open;
    }
    return num;
}

// Remembers the lowest bounds that a run left of a group, for the same rows.
template <class T>
void BoundedSearch<T>::store_bounds(std::size_t group, std::span<const std::uint16_t> rows,
                                    const T* rest, const Blocked& at) {
    filter_.store_bounds(rows.data(), rows.size(), rest, at.scratch.offsets.data(),
                         bounds_.drift_up[group], bounds_.code.offset,
                         bounds_.lower.data() + at.first * bounds_.row_groups + group,
                         bounds_.row_groups);
}

// The listed rows by their lowest group: in_group[group_starts[g]] to in_group[group_starts[g +
// 1]].
template <class T>
void BoundedSearch<T>::sort_by_lowest(Scratch& scratch, std::size_t num_groups) const {
    auto& starts = scratch.group_starts;
    starts.assign(num_groups + 2, 0);
    for (const std::uint16_t i : scratch.listed)
        ++starts[static_cast<std::size_t>(scratch.lowest_group[i]) + 2];
    for (std::size_t group = 2; group < starts.size(); ++group) starts[group] += starts[group - 1];
    for (const std::uint16_t i : scratch.listed)
        scratch.in_group[starts[static_cast<std::size_t>(scratch.lowest_group[i]) + 1]++] = i;
}

// For rows that nothing is known of: the center with the lowest bound, and its exact distance.
// It leaves the lowest bound of each group, by which most groups are done with.
template <class T>
void BoundedSearch<T>::guess(Blocked& at) {
    constexpr T none = std::numeric_limits<T>::infinity();
    Scratch& scratch = at.scratch;
    const std::size_t rows = at.prepared.spare_row;
    scratch.group_rest.resize(rows * bounds_.num_groups);
    scratch.lowest.assign(rows, none);
    scratch.lowest_group.assign(rows, 0);
    std::fill_n(scratch.thresholds.begin(), rows, -none); // no candidates yet
    std::size_t panels = 0;
    for (std::size_t group = 0; group < bounds_.num_groups; ++group) {
        T* const rest = scratch.group_rest.data() + group * rows;
        if (group % groups_together_ == 0)
            panels += run_groups(group, std::min(group + groups_together_, bounds_.num_groups),
                                 scratch.listed, rest, at);
        if (remember_) store_bounds(group, scratch.listed, rest, at);
        // Without branches, and of all rows: what is not listed has no meaning.
        T* const lowest = scratch.lowest.data();
        std::int32_t* const lowest_group = scratch.lowest_group.data();
        for (std::size_t i = 0; i < rows; ++i) {
            lowest_group[i] =
                rest[i] < lowest[i] ? static_cast<std::int32_t>(group) : lowest_group[i];
            lowest[i] = rest[i] < lowest[i] ? rest[i] : lowest[i];
        }
    }
    for (const std::uint16_t i : scratch.listed) scratch.thresholds[i] = scratch.lowest[i];
    sort_by_lowest(scratch, bounds_.num_groups);
    for (std::size_t group = 0; group < bounds_.num_groups; ++group) {
        const std::span<const std::uint16_t> run(
            scratch.in_group.data() + scratch.group_starts[group],
            scratch.group_starts[group + 1] - scratch.group_starts[group]);
        if (run.empty()) continue;
        panels += run_groups(group, group + 1, run, scratch.rest.data(), at);
        for (const std::uint16_t i : run) {
            const auto place =
                group * bounds_.group_size +
                static_cast<std::size_t>(scratch.candidates[i * at.outcome.capacity]);
            scratch.num_candidates[i] = 0;
            at.cluster_index[i] = bounds_.order[std::min(place, bounds_.num_centers - 1)];
            at.distances[i] = exact_distance(at.row(i), at.cluster_index[i]);
            set_threshold(i, at.distances[i], scratch);
        }
    }
    panels_ += panels;
    compared_ += scratch.listed.size();
}

// The same along the leading axes, with a look at all of the panel that is lowest there.
template <class T>
void BoundedSearch<T>::guess_on_axes(Blocked& at) {
    constexpr T none = std::numeric_limits<T>::infinity();
    Scratch& scratch = at.scratch;
    const std::size_t rows = at.prepared.spare_row + 1, count = scratch.listed.size();
    scratch.panel_lowest.resize(rows * num_panels_);
    scratch.lowest.assign(rows, none);
    scratch.lowest_group.assign(rows, 0);
    scratch.left_groups.assign(rows, 0);
    T* const lowest = scratch.lowest.data(); // as `listed` has them
    std::int32_t* const lowest_panel = scratch.left_groups.data();
    for (std::size_t panel = 0; panel < num_panels_; ++panel) {
        T* const own = scratch.panel_lowest.data() + panel * rows;
        look_along_axes(0, panel, scratch.listed, at, own);
        for (std::size_t n = 0; n < count; ++n) {
            lowest_panel[n] =
                own[n] < lowest[n] ? static_cast<std::int32_t>(panel) : lowest_panel[n];
            lowest[n] = own[n] < lowest[n] ? own[n] : lowest[n];
        }
    }
    for (std::size_t n = 0; n < count; ++n)
        scratch.lowest_group[scratch.listed[n]] = lowest_panel[n];
    for (const std::uint16_t i : scratch.listed) scratch.thresholds[i] = none;
    sort_by_lowest(scratch, num_panels_);
    FilterOutcome<T> outcome = at.outcome;
    for (std::size_t panel = 0; panel < num_panels_; ++panel) {
        const std::span<const std::uint16_t> run(
            scratch.in_group.data() + scratch.group_starts[panel],
            scratch.group_starts[panel + 1] - scratch.group_starts[panel]);
        if (run.empty()) continue;
        outcome.origin = panel;
        filter_.run(packed_.view, panel, panel + 1, run.data(), run.size(), at.prepared, outcome);
        for (const std::uint16_t i : run) {
            const T* const candidate_bounds = scratch.bounds.data() + i * outcome.capacity;
            const auto best = static_cast<std::size_t>(
                std::min_element(candidate_bounds, candidate_bounds + scratch.num_candidates[i]) -
                candidate_bounds);
            const std::size_t place =
                panel * filter_.width +
                static_cast<std::size_t>(scratch.candidates[i * outcome.capacity + best]);
            scratch.num_candidates[i] = 0;
            at.cluster_index[i] = bounds_.order[std::min(place, bounds_.num_centers - 1)];
            at.distances[i] = exact_distance(at.row(i), at.cluster_index[i]);
            set_threshold(i, at.distances[i], scratch);
        }
    }
    panels_ += scratch.listed.size();
    compared_ += scratch.listed.size();
}

// Brings a row into the form of the filter. Returns false for one that the filter is not for:
// values near overflow or not finite, and under cosine a vector of zeros.
template <class T>
bool BoundedSearch<T>::prepare(const Blocked& at, const T* row, std::size_t i) const {
    Scratch& scratch = at.scratch;
    const std::size_t dimensions = points_.dimensions;
    if (points_.normalize && is_zero(row, dimensions)) return false;
    RowFacts<T>& facts = scratch.facts[i];
    const std::size_t place = at.on_axes ? scratch.listed.size() % rows_together : 0;
    filter_.prepare(
        row, dimensions, packed_.shift.data(),
        scratch.shifted.data() + place * round_up(dimensions, 16),
        scratch.values.data() + i * filter_.row_stride(dimensions) * filter_.value_bytes, &facts);
    const double norm = static_cast<double>(facts.norm), largest = packed_.max_norm;
    constexpr double most = std::numeric_limits<T>::max() / T(1e3);
    if (!(norm * norm + 3 * norm * largest + largest * largest < most)) return false;
    const double underflow =
        static_cast<double>(dimensions + 4) * static_cast<double>(std::numeric_limits<T>::min());
    const double slack = score_error_ * (largest * largest + 3 * norm * largest) +
                         square_error_ * norm * norm + 4 * underflow;
    scratch.offsets[i] = static_cast<T>(static_cast<double>(facts.squares) - slack);
    return true;
}

// What a candidate's score may be at most.
template <class T>
void BoundedSearch<T>::set_threshold(std::size_t i, double distance, Scratch& scratch) const {
    const double threshold = order_.limit(distance) - static_cast<double>(scratch.offsets[i]);
    scratch.thresholds[i] = static_cast<T>(
        threshold + std::fabs(threshold) * static_cast<double>(std::numeric_limits<T>::epsilon()));
}

// Compares a row's candidates of a group exactly. Returns how many there were.
template <class T>
std::size_t BoundedSearch<T>::resolve(Blocked& at, std::size_t i, std::size_t group) {
    Scratch& scratch = at.scratch;
    std::int32_t* const candidates = scratch.candidates.data() + i * at.outcome.capacity;
    T* const candidate_bounds = scratch.bounds.data() + i * at.outcome.capacity;
    const auto num = static_cast<std::size_t>(scratch.num_candidates[i]);
    scratch.num_candidates[i] = 0;
    const auto offset = static_cast<double>(scratch.offsets[i]);
    double others = infinity; // the nearest of the candidates that are not the nearest
    std::size_t compared = 0;
    if (num > 1) { // the most promising first: it may spare the others
        const auto lowest = std::min_element(candidate_bounds, candidate_bounds + num);
        std::swap(candidates[0], candidates[lowest - candidate_bounds]);
        std::swap(candidate_bounds[0], *lowest);
    }
    const double before = at.distances[i];
    for (std::size_t n = 0; n < num; ++n) {
        const std::size_t place =
            group * bounds_.group_size + static_cast<std::size_t>(candidates[n]);
        // A threshold that is not a number makes candidates of padding: rows may change meanwhile.
        if (place >= bounds_.num_centers) continue;
        const std::int32_t c = bounds_.order[place];
        if (c == at.cluster_index[i]) continue;
        const double bound = static_cast<double>(candidate_bounds[n]) + offset;
        if (bound > order_.limit(at.distances[i])) {
            others = std::min(others, bound);
        } else {
            others = std::min(others, compare(at, i, group, c));
            ++compared;
        }
    }
    if (at.distances[i] < before) {
        set_threshold(i, at.distances[i], scratch);
        if (remember_)
            scratch.groups[i] &= bounds_.groups_within(
                kernels_, at.first + i, order_.limit_of_root(std::sqrt(at.distances[i])));
    }
    if (remember_ && others < infinity) bounds_.lower_bound(at.first + i, group, others);
    return compared;
}

// Compares a row's center with another one, of this group. Returns the distance of the one that is
// not taken; infinity where that is of another group, whose bound it goes into.
template <class T>
double BoundedSearch<T>::compare(Blocked& at, std::size_t i, std::size_t group,
                                 std::int32_t center) {
    std::int32_t& nearest = at.cluster_index[i];
    double& distance = at.distances[i];
    const double exact = exact_distance(at.row(i), center);
    if (!order_.before(at.first + i, at.row(i), static_cast<std::size_t>(center), exact,
                       static_cast<std::size_t>(nearest), distance, at.scratch.exact))
        return exact;
    const auto own = remember_ ? static_cast<std::size_t>(bounds_.group_of[nearest]) : group;
    double left = distance;
    if (own != group) {
        bounds_.lower_bound(at.first + i, own, distance);
        left = infinity;
    }
    nearest = center;
    distance = exact;
    return left;
}

// The way for rows that the filter is not for.
template <class T>
void BoundedSearch<T>::search_plainly(Blocked& at, std::size_t i) {
    const T* const row = at.row(i);
    std::int32_t nearest = 0;
    double distance = exact_distance(row, 0);
    // A zero vector has no direction: all centers are equally far, the first is nearest.
    const bool directionless = points_.normalize && is_zero(row, points_.dimensions);
    for (std::size_t c = 1; c < centers_.num_centers && !directionless; ++c) {
        const double exact = exact_distance(row, static_cast<std::int32_t>(c));
        if (order_.before(at.first + i, row, c, exact, static_cast<std::size_t>(nearest), distance,
                          at.scratch.exact)) {
            distance = exact;
            nearest = static_cast<std::int32_t>(c);
        }
    }
    at.cluster_index[i] = nearest;
    at.distances[i] = distance;
    if (!remember_) return;
    for (std::size_t group = 0; group < bounds_.num_groups; ++group)
        bounds_.lower_bound(at.first + i, group, 0.0);
}

// All rows, in words: the nearest centers, exact distances, and bounds of all groups. Returns
// false, with nothing that counts, where words leave too much open.
template <class T>
bool BoundedSearch<T>::search_in_words(Blocked& at) {
    if (words_->failed()) return false;
    const GroupBounds groups{.group_size = bounds_.group_size,
                             .num_groups = bounds_.num_groups,
                             .drift = bounds_.drift_up.data(),
                             .code_offset = bounds_.code.offset,
                             .lower = bounds_.lower.data() + at.first * bounds_.row_groups,
                             .stride = bounds_.row_groups};
    words_->assign(at.block.all(), at.count, at.scratch.words, at.cluster_index, &groups);
    for (std::size_t i = 0; i < at.count; ++i)
        at.cluster_index[i] = bounds_.order[static_cast<std::size_t>(at.cluster_index[i])];
    std::size_t compared = 0;
    if (!words_->for_open_rows(at.count, at.scratch.words, compared,
                               [&](std::size_t i, std::span<const std::int32_t> places) {
                                   compare_listed(at, i, places);
                               }))
        return false;
    measure_all(at);
    for (std::size_t i = 0; points_.normalize && i < at.count; ++i)
        if (is_zero(at.row(i), points_.dimensions)) search_plainly(at, i);
    questioned_ += at.count;
    panels_ += at.count * num_panels_;
    compared_ += compared;
    return true;
}

// The nearest of the centers in these places. What the bounds took for the nearest one, and is not,
// is of a group now as any other.
template <class T>
void BoundedSearch<T>::compare_listed(Blocked& at, std::size_t i,
                                      std::span<const std::int32_t> places) {
    const std::int32_t lowest = at.cluster_index[i];
    at.distances[i] = exact_distance(at.row(i), lowest);
    const double distance = at.distances[i];
    for (const std::int32_t place : places) {
        const std::int32_t c = bounds_.order[static_cast<std::size_t>(place)];
        if (c == at.cluster_index[i]) continue;
        const double exact = exact_distance(at.row(i), c);
        if (!order_.before(at.first + i, at.row(i), static_cast<std::size_t>(c), exact,
                           static_cast<std::size_t>(at.cluster_index[i]), at.distances[i],
                           at.scratch.exact))
            continue;
        at.cluster_index[i] = c;
        at.distances[i] = exact;
    }
    if (at.cluster_index[i] != lowest)
        bounds_.lower_bound(at.first + i, static_cast<std::size_t>(bounds_.group_of[lowest]),
                            distance);
}

template <class T>
double BoundedSearch<T>::exact_distance(const T* row, std::int32_t center) const {
    const auto c = static_cast<std::size_t>(center);
    const double distance = kernels_.squared_distance(row, centers_.values + c * points_.dimensions,
                                                      points_.dimensions);
    return centers_.penalties ? distance + centers_.penalties[c] : distance;
}

template class BoundedSearch<float>;
template class BoundedSearch<double>;

} // namespace centroids
