// Greedy k-means++ in one pass over the points for each center.
//
// A candidate matters only to the points that it is nearer to than every center so far, soon one in
// a thousand. A lower bound of the distance finds them: in bytes where the instruction set has
// products of bytes, else in float32. Only they are compared exactly, and what each candidate would
// take off the sum is added up on the way; then the winner's points are updated. Reading the
// prepared points is the limit: in bytes that is a quarter of float32 data, and whole groups of
// points are left out (point_panels.h).
//
// In up to three columns the exact distance costs less than a bound: there it is computed at once,
// from columns that are kept apart.
//
// A point that a candidate does not improve adds nothing to its reduction: which points the bound
// spares cannot change a bit. Sums are exact: neither can the order of additions.
//
// Source: Arthur and Vassilvitskii, k-means++: the advantages of careful seeding, SODA 2007; that
// most distances need not be computed: Raff, Exact acceleration of k-means++ and k-means||, IJCAI
// 2021.
#include "api/seeding.h"

#include "seeding/point_panels.h"
#include "seeding/prepared_rows.h"

#include <optional>

namespace centroids {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

// The rows that a candidate is nearer to, counted from the start of a chunk.
using Improved = std::vector<std::uint32_t>;

template <class T>
constexpr ElementType type_of = sizeof(T) == 4 ? ElementType::float32 : ElementType::float64;

template <class T>
DenseRows vectors_like(const DenseRows& points, const T* vectors, std::size_t count) {
    const std::size_t d = points.dimensions;
    return {vectors, type_of<T>, count, d, static_cast<std::ptrdiff_t>(d), 1, points.normalize};
}

} // namespace

template <class T>
struct Seeding<T>::Content : PreparedRows<T> {
    using Base = PreparedRows<T>;
    using Base::points, Base::chunks, Base::few_columns, Base::in_bytes, Base::rounding,
        Base::layout, Base::stride, Base::columns, Base::most_rows;

    explicit Content(const DenseRows& rows)
        : Base(rows), thresholds(few_columns || in_bytes ? 0 : rows.num_rows) {
        if (in_bytes) panels.emplace(*this);
    }

    struct Scratch : Base::Scratch {
        std::vector<T> row;
        std::vector<float> thresholds;
        std::vector<std::uint16_t> masks;  // [panels][most_rows]
        std::vector<std::uint32_t> nearer; // [most_rows]
        std::vector<double> centers;       // [num_candidates][dimensions]
    };

    // What a chunk finds for one candidate.
    struct Found {
        Improved rows;
        WeightTotal reduction;
    };

    // weights: the distances OUT, not their sums
    void start_block(std::size_t first, std::size_t count, const T* center, bool center_is_zero,
                     Scratch& scratch, double* distances, FirstBadRow& bad_row);

    void search(std::size_t chunk, const RowWeights& weights);

    // The same in up to three columns.
    void search_columns(std::size_t chunk, const RowWeights& weights);

    // The same in bytes.
    void search_panels(std::size_t chunk, const RowWeights& weights);

    std::size_t num_chunks() const { return panels ? panels->chunks().count() : chunks.count(); }
    // The row that a chunk's are counted from.
    std::size_t base(std::size_t chunk) const { return panels ? 0 : chunks.begin(chunk); }

    // Compares a row with one candidate.
    void compare(std::size_t chunk, std::size_t index, const T* row, std::size_t c,
                 const RowWeights& weights, Found* of_chunk) const {
        const double distance =
            Base::distance(row, candidates->row(c, points.dimensions), candidates->zero[c]);
        if (!(distance < weights.distance(index))) return;
        of_chunk[c].rows.push_back(static_cast<std::uint32_t>(index - base(chunk)));
        weights.add_difference(of_chunk[c].reduction, index, distance);
    }

    // Which of a block's rows may be improved by which candidate.
    // masks: OUT [panels][most_rows] in `scratch`
    void find(std::size_t first, std::size_t count, std::size_t num_panels, Scratch& scratch) const;

    // Rows, ascending and counted from `base`, go to a candidate.
    void update(const std::uint32_t* rows, std::size_t count, std::size_t base,
                std::size_t candidate, RowWeights& weights);
    // The same for the rows that all chunks of panels found.
    void update_panels(std::size_t candidate, RowWeights& weights);

    std::vector<float> thresholds;        // [num_rows], only for floats
    std::optional<PointPanels<T>> panels; // only for bytes
    std::vector<T> centers;               // [num_centers][dimensions], only for bytes
    std::optional<Candidates<T>> candidates;
    std::optional<CandidatePanels<T>> candidate_panels; // only for floats
    std::vector<Found> found;                           // [chunks][num_candidates]
};

template <class T>
void Seeding<T>::Content::find(std::size_t first, std::size_t count, std::size_t num_panels,
                               Scratch& scratch) const {
    scratch.masks.resize(num_panels * most_rows);
    if (!(candidate_panels->longest < Rounding::longest)) {
        std::fill(scratch.masks.begin(), scratch.masks.end(), std::uint16_t(0xffff));
        return;
    }
    scratch.values.resize(count * stride);
    scratch.facts.resize(count);
    Base::prepare(first, count, scratch, scratch.values.data(), scratch.facts.data());
    scratch.thresholds.resize(count);
    const float factor = static_cast<float>(3.01 * rounding.by_center * candidate_panels->longest);
    for (std::size_t i = 0; i < count; ++i) {
        const float limit = thresholds[first + i] + factor * scratch.facts[i].norm;
        scratch.thresholds[i] = limit + std::fabs(limit) * 2.4e-7f;
    }
    for (std::size_t panel = 0; panel < num_panels; ++panel)
        layout.run(candidate_panels->view, panel, scratch.values.data(), stride,
                   scratch.facts.data(), scratch.thresholds.data(), count,
                   scratch.masks.data() + panel * most_rows);
}

template <class T>
void Seeding<T>::Content::search(std::size_t chunk, const RowWeights& weights) {
    static thread_local Scratch scratch;
    const std::size_t num = candidates->count;
    Found* const of_chunk = found.data() + chunk * num;
    const std::size_t num_panels = groups_of(layout.width, num);
    scratch.row.resize(points.dimensions);
    Base::for_blocks(chunk, [&](std::size_t first, std::size_t count) {
        find(first, count, num_panels, scratch);
        for (std::size_t panel = 0; panel < num_panels; ++panel) {
            const std::size_t base = panel * layout.width;
            const std::uint16_t* const masks = scratch.masks.data() + panel * most_rows;
            const unsigned valid = (1u << std::min(layout.width, num - base)) - 1u;
            for (std::size_t i = 0; i < count; ++i) {
                unsigned mask = masks[i] & valid;
                if (mask == 0) continue;
                const std::size_t index = first + i;
                const T* const row = load_rows<T>(points, index, 1, scratch.row.data()).rows;
                for (; mask != 0; mask &= mask - 1) {
                    const std::size_t c = base + static_cast<std::size_t>(std::countr_zero(mask));
                    compare(chunk, index, row, c, weights, of_chunk);
                }
            }
        }
    });
}

template <class T>
void Seeding<T>::Content::search_columns(std::size_t chunk, const RowWeights& weights) {
    static thread_local Scratch scratch;
    const std::size_t num = candidates->count, d = points.dimensions;
    Found* const of_chunk = found.data() + chunk * num;
    scratch.row.resize(d);
    scratch.nearer.resize(most_rows);
    scratch.centers.resize(num * d);
    for (std::size_t c = 0; c < num; ++c)
        for (std::size_t j = 0; j < d; ++j)
            scratch.centers[c * d + j] = static_cast<double>(candidates->row(c, d)[j]);
    Base::for_blocks(chunk, [&](std::size_t first, std::size_t count) {
        const std::size_t nearer = Base::kernels.nearer_rows(
            columns.data() + first, points.num_rows, count, scratch.centers.data(), num, d,
            weights.distances() + first, scratch.nearer.data());
        for (std::size_t at = 0; at < nearer; ++at) {
            const std::size_t index = first + scratch.nearer[at];
            for (std::size_t j = 0; j < d; ++j)
                scratch.row[j] = columns[j * points.num_rows + index];
            for (std::size_t c = 0; c < num; ++c)
                compare(chunk, index, scratch.row.data(), c, weights, of_chunk);
        }
    });
}

template <class T>
void Seeding<T>::Content::search_panels(std::size_t chunk, const RowWeights& weights) {
    static thread_local std::vector<T> scratch;
    scratch.resize(points.dimensions);
    Found* const of_chunk = found.data() + chunk * candidates->count;
    const Chunks groups = panels->chunks();
    panels->search(groups.begin(chunk), groups.end(chunk), [&](std::size_t row, std::size_t c) {
        compare(chunk, row, load_rows<T>(points, row, 1, scratch.data()).rows, c, weights,
                of_chunk);
    });
}

template <class T>
void Seeding<T>::Content::update(const std::uint32_t* rows, std::size_t count, std::size_t base,
                                 std::size_t candidate, RowWeights& weights) {
    if (count == 0) return;
    Scratch scratch;
    scratch.row.resize(points.dimensions);
    const T* const center = candidates->row(candidate, points.dimensions);
    std::size_t touched = (base + rows[0]) / RowWeights::block_rows;
    for (std::size_t at = 0; at < count; ++at) {
        constexpr std::size_t ahead = 4;
        if (at + ahead < count) Base::fetch(base + rows[at + ahead]);
        const std::size_t row = base + rows[at];
        const T* const own = load_rows<T>(points, row, 1, scratch.row.data()).rows;
        const double distance = Base::distance(own, center, candidates->zero[candidate]);
        if (row / RowWeights::block_rows != touched) weights.settle(touched);
        touched = row / RowWeights::block_rows;
        weights.set(row, distance);
        if (panels)
            panels->set_distance(rows[at], distance);
        else if (!few_columns)
            thresholds[row] = Base::threshold(Base::facts_of(row, scratch), distance);
    }
    weights.settle(touched);
}

template <class T>
void Seeding<T>::Content::update_panels(std::size_t candidate, RowWeights& weights) {
    Improved all;
    for (std::size_t at = candidate; at < found.size(); at += candidates->count)
        all.insert(all.end(), found[at].rows.begin(), found[at].rows.end());
    if (!panels->in_order()) std::sort(all.begin(), all.end());
    panels->set_center(all.data(), all.size());
    // Parts that no two of add to the same block of weights.
    std::vector<std::size_t> ends{0};
    const std::size_t each = all.size() / (4 * static_cast<std::size_t>(num_threads())) + 256;
    while (ends.back() < all.size()) {
        std::size_t end = std::min(ends.back() + each, all.size());
        while (end < all.size() &&
               all[end] / RowWeights::block_rows == all[end - 1] / RowWeights::block_rows)
            ++end;
        ends.push_back(end);
    }
    const double seconds =
        seconds_for(static_cast<double>(all.size() * (4 * points.dimensions + 400)));
    parallel_for(ends.size() - 1, seconds, [&](std::size_t part) {
        update(all.data() + ends[part], ends[part + 1] - ends[part], 0, candidate, weights);
    });
    for (const std::uint32_t row : all) panels->renew_group_of(row, weights.distances());
    const T* const center = candidates->row(candidate, points.dimensions);
    centers.insert(centers.end(), center, center + points.dimensions);
    panels->add_center(centers.data(), candidates->values(), candidates->count,
                       weights.distances());
}

template <class T>
void Seeding<T>::Content::start_block(std::size_t first, std::size_t count, const T* center,
                                      bool center_is_zero, Scratch& scratch, double* distances,
                                      FirstBadRow& bad_row) {
    if (!in_bytes && !few_columns) {
        scratch.values.resize(count * stride);
        scratch.facts.resize(count);
        Base::prepare(first, count, scratch, scratch.values.data(), scratch.facts.data());
    }
    const Block<T> block = Base::load_block(first, count, scratch.rows);
    for (std::size_t i = 0; i < count; ++i) {
        const T* const row = block.rows + static_cast<std::ptrdiff_t>(i) * block.stride;
        const double distance = Base::distance(row, center, center_is_zero);
        const bool finite = distance < infinity;
        if (!finite) bad_row.report(first + i);
        // A zero vector is at 2 from everything: no candidate is nearer, and none is to be drawn
        // from among such.
        const bool zero = points.normalize && is_zero(row, points.dimensions);
        distances[first + i] = zero || !finite ? 0.0 : distance;
        if (!in_bytes && !few_columns)
            thresholds[first + i] = zero ? -std::numeric_limits<float>::infinity()
                                         : Base::threshold(scratch.facts[i], distance);
    }
}

template <class T>
Seeding<T>::Seeding(const DenseRows& points) : content_(std::make_unique<Content>(points)) {}

template <class T>
Seeding<T>::~Seeding() = default;

template <class T>
std::int64_t Seeding<T>::start(const T* center, RowWeights& weights) {
    Content& all = *content_;
    const std::size_t d = all.points.dimensions;
    std::vector<T> scratch_row(d);
    const T* const chosen =
        load_rows<T>(vectors_like(all.points, center, 1), 0, 1, scratch_row.data()).rows;
    const bool chosen_is_zero = is_zero(chosen, d);
    FirstBadRow bad_row;
    parallel_for(all.chunks.count(), all.pass_seconds(1), [&](std::size_t chunk) {
        typename Content::Scratch scratch;
        all.for_blocks(chunk, [&](std::size_t first, std::size_t count) {
            all.start_block(first, count, chosen, chosen_is_zero, scratch, weights.distances(),
                            bad_row);
        });
    });
    weights.add_up();
    if (all.panels) {
        all.centers.assign(chosen, chosen + d);
        all.panels->start(weights.distances());
    }
    return bad_row.get();
}

template <class T>
void Seeding<T>::propose(const T* candidates, std::size_t count, const RowWeights& weights,
                         WeightTotal* reductions) {
    Content& all = *content_;
    all.candidates.emplace(vectors_like(all.points, candidates, count));
    if (all.panels)
        all.panels->set_candidates(all.candidates->values(), count);
    else if (!all.few_columns)
        all.candidate_panels.emplace(*all.candidates, all.points.dimensions, all.layout, all.shift,
                                     all.rounding);
    all.found.resize(all.num_chunks() * count);
    for (auto& found : all.found) {
        // The lists of the first centers hold every row: what they took is given back.
        if (found.rows.capacity() > 4 * found.rows.size() + 1024) Improved().swap(found.rows);
        found.rows.clear();
        found.reduction = WeightTotal();
    }
    const double seconds = all.panels ? all.panels->seconds() : all.pass_seconds(count);
    parallel_for(all.num_chunks(), seconds, [&](std::size_t chunk) {
        if (all.panels)
            all.search_panels(chunk, weights);
        else if (all.few_columns)
            all.search_columns(chunk, weights);
        else
            all.search(chunk, weights);
    });
    std::fill_n(reductions, count, WeightTotal());
    for (std::size_t at = 0; at < all.found.size(); ++at) {
        all.found[at].reduction.settle();
        reductions[at % count].add(all.found[at].reduction);
    }
    for (std::size_t c = 0; c < count; ++c) reductions[c].settle();
}

template <class T>
void Seeding<T>::take(std::size_t candidate, RowWeights& weights) {
    Content& all = *content_;
    if (all.panels) {
        all.update_panels(candidate, weights);
        return;
    }
    std::size_t num_improved = 0;
    for (std::size_t chunk = 0; chunk < all.chunks.count(); ++chunk)
        num_improved += all.found[chunk * all.candidates->count + candidate].rows.size();
    const double seconds =
        seconds_for(static_cast<double>(num_improved * (4 * all.points.dimensions + 100)));
    parallel_for(all.chunks.count(), seconds, [&](std::size_t chunk) {
        const Improved& rows = all.found[chunk * all.candidates->count + candidate].rows;
        all.update(rows.data(), rows.size(), all.chunks.begin(chunk), candidate, weights);
    });
}

template <class T>
void distances_to(const DenseRows& points, const T* vectors, std::size_t num_vectors,
                  const std::int32_t* labels, double* distances) {
    const std::size_t d = points.dimensions;
    std::vector<T> scratch_vectors(num_vectors * d);
    const T* const centers = load_rows<T>(vectors_like(points, vectors, num_vectors), 0,
                                          num_vectors, scratch_vectors.data())
                                 .rows;
    const Chunks chunks = PreparedRows<T>::whole_blocks(points.num_rows);
    const double work = static_cast<double>(points.num_rows) * static_cast<double>(d);
    parallel_for(chunks.count(), seconds_for(4 * work), [&](std::size_t chunk) {
        std::vector<T> scratch(d);
        const auto distance = current_kernels<T>().squared_distance;
        for (std::size_t i = chunks.begin(chunk); i < chunks.end(chunk); ++i) {
            const T* const row = load_rows<T>(points, i, 1, scratch.data()).rows;
            const T* const center = centers + static_cast<std::size_t>(labels[i]) * d;
            const bool zero = points.normalize && (is_zero(row, d) || is_zero(center, d));
            distances[i] = zero ? 2.0 : distance(row, center, d);
        }
    });
}

template class Seeding<float>;
template class Seeding<double>;
template void distances_to<float>(const DenseRows&, const float*, std::size_t, const std::int32_t*,
                                  double*);
template void distances_to<double>(const DenseRows&, const double*, std::size_t,
                                   const std::int32_t*, double*);

} // namespace centroids
