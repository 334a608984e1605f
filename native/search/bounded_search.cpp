#include "search/bounded_search.h"

#include "search/center_groups.h"
#include "runtime/dispatch.h"
#include "search/zero_rows.h"

#include <cfloat>
#include <cerrno>
#include <sys/random.h>
#include <system_error>

namespace centroids {
namespace {

constexpr std::size_t most_groups = 64;

// Bounds may take a tenth of the data, or this, whichever is more.
constexpr std::size_t bytes_anyway = std::size_t(8) << 20;

// Relative room on both sides of a comparison of distances: far above the rounding of float32
// bounds and of float64 distances, far below what a bound loses anyway.
constexpr double room = 1e-6;
constexpr double squared_room = 1e-9;

constexpr double infinity = std::numeric_limits<double>::infinity();

// Memory is slow and idle while a block is searched: the next block may come meanwhile.
template <class T>
void prefetch(const T* row, std::size_t dimensions) {
    for (std::size_t j = 0; j < dimensions; j += 64 / sizeof(T)) __builtin_prefetch(row + j, 0, 2);
}

std::size_t groups_for(std::size_t num_rows, std::size_t row_bytes, std::size_t num_panels) {
    const std::size_t bytes = std::max(num_rows * row_bytes / 10, bytes_anyway);
    const std::size_t own = 4; // the index
    const std::size_t per_row = bytes / std::max<std::size_t>(num_rows, 1);
    const std::size_t affordable = per_row > own ? (per_row - own) / 2 / 4 * 4 : 0;
    return std::clamp<std::size_t>(std::min(affordable, num_panels), 1, most_groups);
}

// By the system: std::random_device asks the processor, and some repeat themselves (seen: one word
// in 500 was that before it).
void fill_randomly(void* target, std::size_t bytes) {
    constexpr std::size_t at_once = 256; // getentropy gives no more
    for (std::size_t from = 0; from < bytes; from += at_once)
        if (getentropy(static_cast<char*>(target) + from, std::min(at_once, bytes - from)) != 0)
            throw std::system_error(errno, std::generic_category(), "no random numbers");
}

} // namespace

const FingerprintKeys& fingerprint_keys() {
    static const FingerprintKeys keys = [] {
        FingerprintKeys drawn;
        fill_randomly(drawn.products, sizeof drawn.products);
        fill_randomly(&drawn.powers, sizeof drawn.powers);
        drawn.powers %= (std::uint64_t(1) << 61) - 1;
        return drawn;
    }();
    return keys;
}

template <class T>
void PointBounds<T>::start(const DenseRows& points, const Centers<T>& given,
                           std::size_t panel_width, bool remember) {
    num_rows = points.num_rows;
    dimensions = points.dimensions;
    num_centers = given.num_centers;
    const std::size_t num_panels = (num_centers + panel_width - 1) / panel_width;
    const std::size_t groups =
        remember ? groups_for(num_rows, dimensions * sizeof(T), num_panels) : num_panels;
    group_size = (num_panels + groups - 1) / groups * panel_width;
    num_groups = (num_centers + group_size - 1) / group_size;
    row_groups = (num_groups + 3) / 4 * 4;
    if (!remember) {
        order.resize(num_centers);
        std::iota(order.begin(), order.end(), 0);
        return;
    }
    order = CenterOrder<T>(given, dimensions, group_size).order;
    order_groups();
    last_move.assign(num_centers, 0.0);
    lower.assign(num_rows * row_groups, BoundCode::highest);
    cluster_index.assign(num_rows, 0);
    const std::size_t block = BoundedSearch<T>::block_rows(dimensions);
    fingerprints.assign((num_rows + block - 1) / block, 0);
    centers.assign(given.values, given.values + num_centers * dimensions);
    penalties.clear();
    if (given.penalties) penalties.assign(given.penalties, given.penalties + num_centers);
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
void PointBounds<T>::order_groups() {
    group_of.resize(num_centers);
    for (std::size_t place = 0; place < num_centers; ++place)
        group_of[static_cast<std::size_t>(order[place])] =
            static_cast<std::int32_t>(place / group_size);
}

template <class T>
void PointBounds<T>::regroup() {
    std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
        return last_move[static_cast<std::size_t>(a)] < last_move[static_cast<std::size_t>(b)];
    });
    order_groups();
    std::fill(lower.begin(), lower.end(), std::uint16_t(0));
    for (std::size_t row = 0; row < num_rows; ++row)
        for (std::size_t group = num_groups; group < row_groups; ++group)
            lower[row * row_groups + group] = BoundCode::highest;
    drift.assign(num_groups, 0.0);
    drift_up.assign(row_groups, code.lowest());
}

template <class T>
void PointBounds<T>::follow(const Centers<T>& given) {
    const auto penalty = [](const double* values, std::size_t c) {
        return values ? std::sqrt(values[c]) : 0.0;
    };
    const double* const before = penalties.empty() ? nullptr : penalties.data();
    parallel_for(num_groups, static_cast<double>(centers.size()) * 1e-9, [&](std::size_t group) {
        double furthest = 0;
        const std::size_t end = std::min((group + 1) * group_size, num_centers);
        for (std::size_t place = group * group_size; place < end; ++place) {
            const auto c = static_cast<std::size_t>(order[place]);
            // A penalty is the square of one more coordinate.
            const double raised = penalty(given.penalties, c) - penalty(before, c);
            const double moved =
                current_kernels<T>().squared_distance(given.values + c * dimensions,
                                                      centers.data() + c * dimensions, dimensions) +
                raised * raised;
            last_move[c] = moved;
            furthest = std::fmax(furthest, moved);
        }
        drift[group] += std::sqrt(furthest) * (1 + squared_room);
        const double up = (drift[group] + static_cast<double>(code.lowest())) * (1 + 2e-7);
        drift_up[group] = static_cast<float>(std::min(up, 1e38));
    });
    centers.assign(given.values, given.values + num_centers * dimensions);
    penalties.clear();
    if (given.penalties) penalties.assign(given.penalties, given.penalties + num_centers);
}

template <class T>
double share_in_question(const DenseRows& points, const Centers<T>& centers,
                         const PointBounds<T>& bounds) {
    const BlockKernels<T>& kernels = current_kernels<T>();
    constexpr std::size_t sample = 512;
    const std::size_t stride = (points.num_rows + sample - 1) / sample;
    std::vector<T> scratch(points.dimensions);
    std::size_t rows = 0, in_question = 0;
    for (std::size_t row = 0; row < points.num_rows; row += stride, ++rows) {
        const auto own = static_cast<std::size_t>(bounds.cluster_index[row]);
        double distance =
            kernels.squared_distance(load_rows<T>(points, row, 1, scratch.data()).rows,
                                     centers.values + own * points.dimensions, points.dimensions);
        if (centers.penalties) distance += centers.penalties[own];
        in_question += static_cast<std::size_t>(
            std::popcount(bounds.groups_within(kernels, row, std::sqrt(distance))));
    }
    return static_cast<double>(in_question) / static_cast<double>(rows * bounds.num_groups);
}

template <class T>
std::uint64_t PointBounds<T>::groups_within(const BlockKernels<T>& kernels, std::size_t row,
                                            double root) const {
    const auto reach = static_cast<float>(root * (1 + room));
    return kernels.groups_within(lower.data() + row * row_groups, drift_up.data(), row_groups,
                                 code.offset, reach);
}

template <class T>
std::size_t BoundedSearch<T>::block_rows(std::size_t dimensions) {
    return dimensions * sizeof(T) <= 2048 ? 256 : 128;
}

template <class T>
BoundedSearch<T>::BoundedSearch(const DenseRows& points, const Centers<T>& centers,
                                const ExactOrder<T>& order, bool in_bytes, PointBounds<T>& bounds)
    : kernels_(current_kernels<T>()), filter_(in_bytes ? *kernels_.byte_filter : kernels_.filter),
      points_(points), centers_(centers), order_(order), bounds_(bounds),
      remember_(!bounds.lower.empty()),
      num_panels_((centers.num_centers + kernels_.panel_width - 1) / kernels_.panel_width),
      panels_per_group_(bounds.group_size / kernels_.panel_width),
      packed_(filter_, centers, points.dimensions, bounds.order.data(),
              mean_of_centers<T>(centers, points.dimensions)),
      // In bytes products are exact, and the handful of roundings after them is all there is.
      score_error_(in_bytes ? 1e-6 : score_error_unit<T>(points.dimensions + 2)),
      square_error_(score_error_unit<T>(points.dimensions + 4)) {}

template <class T>
struct BoundedSearch<T>::Blocked {
    const T* rows;
    std::ptrdiff_t stride;
    FilterRows<T> prepared;
    FilterOutcome<T> outcome;
    const T* row(std::size_t i) const { return rows + static_cast<std::ptrdiff_t>(i) * stride; }
};

template <class T>
void BoundedSearch<T>::search(const Block<T>& block, std::size_t first, std::size_t count,
                              std::int32_t* cluster_index, double* distances, Scratch& scratch,
                              const T* ahead) {
    const std::size_t dimensions = points_.dimensions;
    std::uint64_t fingerprint = 0, *known = nullptr;
    bool fresh = true;
    if (remember_) {
        fingerprint =
            kernels_.fingerprint(block.rows, block.stride, count, dimensions, fingerprint_keys()) +
            1;
        known = &bounds_.fingerprints[first / block_rows(dimensions)];
        fresh = *known != fingerprint;
        *known = 0; // until the block is done
    }
    if (!fresh) {
        std::copy_n(bounds_.cluster_index.data() + first, count, cluster_index);
        kernels_.update_rows(block.rows, block.stride, count, cluster_index, centers_.values,
                             dimensions, nullptr, distances);
        if (centers_.penalties)
            for (std::size_t i = 0; i < count; ++i)
                distances[i] += centers_.penalties[cluster_index[i]];
    }
    const std::size_t rows = block_rows(dimensions) + 1;
    scratch.values.resize(rows * filter_.row_stride(dimensions) * filter_.value_bytes);
    scratch.shifted.resize(dimensions + 16);
    scratch.thresholds.resize(rows);
    scratch.rest.resize(rows);
    scratch.facts.resize(rows);
    scratch.offsets.resize(rows);
    scratch.groups.resize(rows);
    scratch.num_candidates.assign(rows, 0);
    const std::size_t capacity = bounds_.group_size + 16;
    scratch.candidates.resize(rows * capacity);
    scratch.bounds.resize(rows * capacity);
    scratch.in_group.resize(rows);
    scratch.listed.clear();
    const std::size_t spare = rows - 1;
    scratch.thresholds[spare] = -std::numeric_limits<T>::infinity();
    const Blocked at{block.rows,
                     block.stride,
                     {scratch.values.data(), filter_.row_stride(dimensions), scratch.facts.data(),
                      scratch.thresholds.data(), spare},
                     {scratch.rest.data(), scratch.num_candidates.data(), scratch.candidates.data(),
                      scratch.bounds.data(), capacity}};
    for (std::size_t i = 0; i < count; ++i) {
        if (ahead) prefetch(ahead + static_cast<std::ptrdiff_t>(i) * block.stride, dimensions);
        scratch.groups[i] =
            fresh ? 1
                  : bounds_.groups_within(kernels_, first + i,
                                          order_.limit_of_root(std::sqrt(distances[i])));
        if (scratch.groups[i] == 0) continue;
        if (prepare(at.row(i), i, scratch)) {
            scratch.listed.push_back(static_cast<std::uint16_t>(i));
            if (!fresh) set_threshold(i, distances[i], scratch);
        } else {
            search_plainly(at.row(i), first + i, cluster_index[i], distances[i], scratch);
        }
    }
    if (fresh) guess(at, first, cluster_index, distances, scratch);
    std::size_t panels = 0, compared = 0;
    for (std::size_t group = 0; group < bounds_.num_groups && !scratch.listed.empty(); ++group) {
        std::size_t in_group = 0; // without branches: nobody could predict them
        for (const std::uint16_t i : scratch.listed) {
            scratch.in_group[in_group] = i;
            in_group += fresh ? !(scratch.group_rest[group * spare + i] > scratch.thresholds[i])
                              : scratch.groups[i] >> group & 1;
        }
        if (in_group == 0) continue;
        const std::span<const std::uint16_t> run(scratch.in_group.data(), in_group);
        panels += run_group(group, run, at);
        if (remember_) store_bounds(group, first, run, scratch);
        for (std::size_t listed = 0; listed < in_group; ++listed) {
            const std::size_t i = scratch.in_group[listed];
            if (scratch.num_candidates[i] > 0)
                compared += resolve(at.row(i), i, first + i, group, cluster_index[i], distances[i],
                                    scratch);
        }
    }
    rows_ += count;
    questioned_ += scratch.listed.size();
    panels_ += panels;
    compared_ += compared;
    if (!remember_) return;
    std::copy_n(cluster_index, count, bounds_.cluster_index.data() + first);
    *known = fingerprint;
}

// Runs rows against a group's panels. Returns how many pairs that were.
template <class T>
std::size_t BoundedSearch<T>::run_group(std::size_t group, std::span<const std::uint16_t> rows,
                                        const Blocked& at) const {
    const std::size_t first = group * panels_per_group_;
    const std::size_t last = std::min(first + panels_per_group_, num_panels_);
    filter_.run(packed_.view, first, last, rows.data(), rows.size(), at.prepared, at.outcome);
    return rows.size() * (last - first);
}

// Remembers the lowest bounds that the last run left, for the same rows.
template <class T>
void BoundedSearch<T>::store_bounds(std::size_t group, std::size_t first,
                                    std::span<const std::uint16_t> rows, const Scratch& scratch) {
    filter_.store_bounds(rows.data(), rows.size(), scratch.rest.data(), scratch.offsets.data(),
                         bounds_.drift_up[group], bounds_.code.offset,
                         bounds_.lower.data() + first * bounds_.row_groups + group,
                         bounds_.row_groups);
}

// The listed rows by their lowest group: in_group[group_starts[g]] to in_group[group_starts[g +
// 1]].
template <class T>
void BoundedSearch<T>::sort_by_lowest_group(Scratch& scratch) const {
    auto& starts = scratch.group_starts;
    starts.assign(bounds_.num_groups + 2, 0);
    for (const std::uint16_t i : scratch.listed)
        ++starts[static_cast<std::size_t>(scratch.lowest_group[i]) + 2];
    for (std::size_t group = 2; group < starts.size(); ++group) starts[group] += starts[group - 1];
    for (const std::uint16_t i : scratch.listed)
        scratch.in_group[starts[static_cast<std::size_t>(scratch.lowest_group[i]) + 1]++] = i;
}

// For rows that nothing is known of: the center with the lowest bound, and its exact distance.
// It leaves the lowest bound of each group, by which most groups are done with.
template <class T>
void BoundedSearch<T>::guess(const Blocked& at, std::size_t first, std::int32_t* cluster_index,
                             double* distances, Scratch& scratch) {
    constexpr T none = std::numeric_limits<T>::infinity();
    const std::size_t rows = at.prepared.spare_row;
    scratch.group_rest.resize(rows * bounds_.num_groups);
    scratch.lowest.assign(rows, none);
    scratch.lowest_group.assign(rows, 0);
    std::fill_n(scratch.thresholds.begin(), rows, -none); // no candidates yet
    std::size_t panels = 0;
    for (std::size_t group = 0; group < bounds_.num_groups; ++group) {
        panels += run_group(group, scratch.listed, at);
        if (remember_) store_bounds(group, first, scratch.listed, scratch);
        // Without branches, and of all rows: what is not listed has no meaning.
        const T* const rest = scratch.rest.data();
        T* const lowest = scratch.lowest.data();
        std::int32_t* const lowest_group = scratch.lowest_group.data();
        std::copy_n(rest, rows,
                    scratch.group_rest.begin() + static_cast<std::ptrdiff_t>(group * rows));
        for (std::size_t i = 0; i < rows; ++i) {
            lowest_group[i] =
                rest[i] < lowest[i] ? static_cast<std::int32_t>(group) : lowest_group[i];
            lowest[i] = rest[i] < lowest[i] ? rest[i] : lowest[i];
        }
    }
    for (const std::uint16_t i : scratch.listed) scratch.thresholds[i] = scratch.lowest[i];
    sort_by_lowest_group(scratch);
    for (std::size_t group = 0; group < bounds_.num_groups; ++group) {
        const std::span<const std::uint16_t> run(
            scratch.in_group.data() + scratch.group_starts[group],
            scratch.group_starts[group + 1] - scratch.group_starts[group]);
        if (run.empty()) continue;
        panels += run_group(group, run, at);
        for (const std::uint16_t i : run) {
            const auto place =
                group * bounds_.group_size +
                static_cast<std::size_t>(scratch.candidates[i * at.outcome.capacity]);
            scratch.num_candidates[i] = 0;
            cluster_index[i] = bounds_.order[std::min(place, bounds_.num_centers - 1)];
            distances[i] = exact_distance(at.row(i), cluster_index[i]);
            set_threshold(i, distances[i], scratch);
        }
    }
    panels_ += panels;
    compared_ += scratch.listed.size();
}

// Brings a row into the form of the filter. Returns false for one that the filter is not for:
// values near overflow or not finite, and under cosine a vector of zeros.
template <class T>
bool BoundedSearch<T>::prepare(const T* row, std::size_t at, Scratch& scratch) const {
    const std::size_t dimensions = points_.dimensions;
    if (points_.normalize && is_zero(row, dimensions)) return false;
    RowFacts<T>& facts = scratch.facts[at];
    filter_.prepare(
        row, dimensions, packed_.shift.data(), scratch.shifted.data(),
        scratch.values.data() + at * filter_.row_stride(dimensions) * filter_.value_bytes, &facts);
    const double norm = static_cast<double>(facts.norm), largest = packed_.max_norm;
    constexpr double most = std::numeric_limits<T>::max() / T(1e3);
    if (!(norm * norm + 3 * norm * largest + largest * largest < most)) return false;
    const double underflow =
        static_cast<double>(dimensions + 4) * static_cast<double>(std::numeric_limits<T>::min());
    const double slack = score_error_ * (largest * largest + 3 * norm * largest) +
                         square_error_ * norm * norm + 4 * underflow;
    scratch.offsets[at] = static_cast<T>(static_cast<double>(facts.squares) - slack);
    return true;
}

// What a candidate's score may be at most.
template <class T>
void BoundedSearch<T>::set_threshold(std::size_t at, double distance, Scratch& scratch) const {
    const double threshold = order_.limit(distance) - static_cast<double>(scratch.offsets[at]);
    scratch.thresholds[at] = static_cast<T>(
        threshold + std::fabs(threshold) * static_cast<double>(std::numeric_limits<T>::epsilon()));
}

// Compares a row's candidates of a group exactly. Returns how many there were.
template <class T>
std::size_t BoundedSearch<T>::resolve(const T* row, std::size_t at, std::size_t index,
                                      std::size_t group, std::int32_t& nearest, double& distance,
                                      Scratch& scratch) {
    const std::size_t capacity = bounds_.group_size + 16;
    std::int32_t* const candidates = scratch.candidates.data() + at * capacity;
    T* const candidate_bounds = scratch.bounds.data() + at * capacity;
    const auto num = static_cast<std::size_t>(scratch.num_candidates[at]);
    scratch.num_candidates[at] = 0;
    const auto offset = static_cast<double>(scratch.offsets[at]);
    double others = infinity; // the nearest of the candidates that are not the nearest
    std::size_t compared = 0;
    if (num > 1) { // the most promising first: it may spare the others
        const auto lowest = std::min_element(candidate_bounds, candidate_bounds + num);
        std::swap(candidates[0], candidates[lowest - candidate_bounds]);
        std::swap(candidate_bounds[0], *lowest);
    }
    const double before = distance;
    for (std::size_t i = 0; i < num; ++i) {
        const std::size_t place =
            group * bounds_.group_size + static_cast<std::size_t>(candidates[i]);
        // A threshold that is no number makes candidates of padding: rows may change meanwhile.
        if (place >= bounds_.num_centers) continue;
        const std::int32_t c = bounds_.order[place];
        if (c == nearest) continue;
        const double bound = static_cast<double>(candidate_bounds[i]) + offset;
        if (bound > order_.limit(distance)) {
            others = std::min(others, bound);
            continue;
        }
        const double exact = exact_distance(row, c);
        ++compared;
        if (order_.before(index, row, static_cast<std::size_t>(c), exact,
                          static_cast<std::size_t>(nearest), distance, scratch.exact)) {
            const auto own =
                remember_ ? static_cast<std::size_t>(bounds_.group_of[nearest]) : group;
            if (own == group)
                others = std::min(others, distance);
            else
                lower_bound(index, own, distance);
            nearest = c;
            distance = exact;
        } else {
            others = std::min(others, exact);
        }
    }
    if (distance < before) {
        set_threshold(at, distance, scratch);
        if (remember_)
            scratch.groups[at] &=
                bounds_.groups_within(kernels_, index, order_.limit_of_root(std::sqrt(distance)));
    }
    if (remember_ && others < infinity) lower_bound(index, group, others);
    return compared;
}

// The way for rows that the filter is not for.
template <class T>
void BoundedSearch<T>::search_plainly(const T* row, std::size_t index, std::int32_t& nearest,
                                      double& distance, Scratch& scratch) {
    distance = exact_distance(row, 0);
    nearest = 0;
    // A zero vector has no direction: all centers are equally far, the first is nearest.
    const bool directionless = points_.normalize && is_zero(row, points_.dimensions);
    for (std::size_t c = 1; c < centers_.num_centers && !directionless; ++c) {
        const double exact = exact_distance(row, static_cast<std::int32_t>(c));
        if (order_.before(index, row, c, exact, static_cast<std::size_t>(nearest), distance,
                          scratch.exact)) {
            distance = exact;
            nearest = static_cast<std::int32_t>(c);
        }
    }
    if (!remember_) return;
    for (std::size_t group = 0; group < bounds_.num_groups; ++group) lower_bound(index, group, 0.0);
}

// One more center of a group is known to be no nearer than this.
template <class T>
void BoundedSearch<T>::lower_bound(std::size_t row, std::size_t group, double squared) {
    const double bound = std::sqrt(squared) * (1 - room);
    const double coded =
        (std::min(bound, 1e37) + static_cast<double>(bounds_.drift_up[group])) * (1 - 2e-7);
    std::uint16_t& lower = bounds_.lower[row * bounds_.row_groups + group];
    lower = std::min(lower, bounds_.code.encode(static_cast<float>(coded)));
}

template <class T>
double BoundedSearch<T>::exact_distance(const T* row, std::int32_t center) const {
    const auto c = static_cast<std::size_t>(center);
    const double distance = kernels_.squared_distance(row, centers_.values + c * points_.dimensions,
                                                      points_.dimensions);
    return centers_.penalties ? distance + centers_.penalties[c] : distance;
}

template double share_in_question(const DenseRows&, const Centers<float>&,
                                  const PointBounds<float>&);
template double share_in_question(const DenseRows&, const Centers<double>&,
                                  const PointBounds<double>&);
template struct PointBounds<float>;
template struct PointBounds<double>;
template class BoundedSearch<float>;
template class BoundedSearch<double>;

} // namespace centroids
