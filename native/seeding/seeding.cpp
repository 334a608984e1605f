// Greedy k-means++ in one pass over the points for each center.
//
// A candidate matters only to the points that it is nearer to than every center so far, soon one in
// a thousand. A lower bound of the distance finds them: in bytes where the instruction set has
// products of bytes, else in float32. Only they are compared exactly, and what each candidate would
// take off the sum is added up on the way; then the winner's points are updated. Reading the
// prepared points is the limit: in bytes that is a quarter of float32 data.
//
// In up to three columns the exact distance costs less than a bound: there it is computed at once,
// from columns that are kept apart.
//
// A point that a candidate does not improve adds nothing to its reduction: which points the bound
// spares cannot change a bit. api/seeding.h says what is added in which order.
//
// Source: Arthur and Vassilvitskii, k-means++: the advantages of careful seeding, SODA 2007; that
// most distances need not be computed: Raff, Exact acceleration of k-means++ and k-means||, IJCAI
// 2021.
#include "api/seeding.h"

#include "runtime/aligned_vector.h"
#include "runtime/dispatch.h"
#include "search/filter_centers.h"
#include "search/work_plan.h"
#include "search/zero_rows.h"

#include <bit>
#include <numeric>

namespace centroids {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

// A chunk holds whole sampling blocks: no two threads add up the same one.
Chunks whole_blocks(std::size_t num_rows) {
    constexpr std::size_t most_chunks = 64;
    const std::size_t wanted = (num_rows + most_chunks - 1) / most_chunks;
    const std::size_t blocks = (wanted + sampling_block - 1) / sampling_block;
    return {num_rows, std::max<std::size_t>(blocks, 1) * sampling_block};
}

// Rounding, for float32 products of t = x - shift and w = c - shift, both rounded to float32:
//   |x - c|^2 >= squares + score - by_square |t|^2 - by_center (|w|^2 + 3 |t| |w|) - underflow,
// squares and score being |t|^2 and |w|^2 - 2tw as computed (in bytes: a lower bound of it).
struct Rounding {
    Rounding(std::size_t dimensions, bool in_bytes)
        : by_square(score_error_unit<float>(dimensions + 4)),
          by_center(in_bytes ? 1e-6 : score_error_unit<float>(dimensions + 2)),
          underflow(4 * static_cast<double>(dimensions + 4) *
                    static_cast<double>(std::numeric_limits<float>::min())) {}

    // Longer vectors than this could overflow, and are compared exactly.
    static constexpr double longest = 1e17;

    const double by_square, by_center, underflow;
};

// The candidates of one call: their rows, and what the bound needs of them.
template <class T>
class Candidates {
  public:
    Candidates(const DenseRows& points, const std::int64_t* rows, std::size_t count,
               const FilterLayout<float>& layout, const AlignedVector<float>& shift,
               const Rounding& rounding)
        : values_(load(points, rows, count)), shifted_(shift_all(points.dimensions, shift)),
          order_(in_order(count)),
          packed_(layout, {shifted_.data(), count, nullptr}, points.dimensions, order_.data(),
                  AlignedVector<float>(points.dimensions, 0.0f)),
          norms_(in_panels(count, layout.width)), losses_(norms_.size()) {
        // What rounding may cost each candidate goes where its own terms are.
        view = packed_.view;
        for (std::size_t c = 0; c < norms_.size(); ++c) {
            const double norm = static_cast<double>(view.norms[c]);
            norms_[c] = c < count ? static_cast<float>(norm - rounding.by_center * norm)
                                  : std::numeric_limits<float>::infinity();
            if (layout.value_bytes == 1)
                losses_[c] = c < count
                                 ? static_cast<float>(static_cast<double>(view.losses[c]) -
                                                      3 * rounding.by_center * std::sqrt(norm))
                                 : 0.0f;
        }
        view.norms = norms_.data();
        if (layout.value_bytes == 1) view.losses = losses_.data();
        longest = packed_.max_norm;
        zero.resize(count);
        for (std::size_t c = 0; c < count; ++c)
            zero[c] = is_zero(row(c, points.dimensions), points.dimensions);
    }

    const T* row(std::size_t c, std::size_t dimensions) const {
        return values_.data() + c * dimensions;
    }

  private:
    static std::vector<T> load(const DenseRows& points, const std::int64_t* rows,
                               std::size_t count) {
        std::vector<T> values(count * points.dimensions), scratch(points.dimensions);
        for (std::size_t c = 0; c < count; ++c)
            std::copy_n(
                load_rows<T>(points, static_cast<std::size_t>(rows[c]), 1, scratch.data()).rows,
                points.dimensions, values.data() + c * points.dimensions);
        return values;
    }

    std::vector<float> shift_all(std::size_t dimensions, const AlignedVector<float>& shift) const {
        std::vector<float> shifted(values_.size());
        for (std::size_t at = 0; at < shifted.size(); ++at)
            shifted[at] = static_cast<float>(std::clamp(
                static_cast<double>(values_[at]) - static_cast<double>(shift[at % dimensions]),
                -1e30, 1e30)); // beyond `longest`
        return shifted;
    }

    static std::vector<std::int32_t> in_order(std::size_t count) {
        std::vector<std::int32_t> order(count);
        std::iota(order.begin(), order.end(), 0);
        return order;
    }

    static std::size_t in_panels(std::size_t count, std::size_t width) {
        return (count + width - 1) / width * width;
    }

    const std::vector<T> values_;
    const std::vector<float> shifted_;
    const std::vector<std::int32_t> order_;
    const CentersInFilter<float> packed_;
    AlignedVector<float> norms_, losses_;

  public:
    FilterCenters<float> view;
    double longest;         // the largest |c - shift|
    std::vector<bool> zero; // [count]
};

// The rows that a candidate is nearer to, counted from the start of a chunk.
using Improved = std::vector<std::uint32_t>;

} // namespace

template <class T>
struct Seeding<T>::Content {
    static constexpr std::size_t most_rows = 256; // in a block

    explicit Content(const DenseRows& rows)
        : points(rows), kernels(current_kernels<T>()), layout(choose_kernels(rows.dimensions)),
          few_columns(rows.dimensions <= 3), in_bytes(!few_columns && layout.value_bytes == 1),
          rounding(rows.dimensions, in_bytes), chunks(whole_blocks(rows.num_rows)),
          // Prepared floats of a block should stay in the second-level cache.
          block_rows(std::clamp<std::size_t>(65536 / std::max<std::size_t>(rows.dimensions, 1), 16,
                                             most_rows)),
          shift(mean_of_sample()),
          stride(in_bytes ? (rows.dimensions + 15) / 16 * 16 : layout.row_stride(rows.dimensions)),
          thresholds(few_columns ? 0 : rows.num_rows) {
        if (few_columns) keep_columns();
        if (!in_bytes) return;
        values.resize(points.num_rows * stride);
        facts.resize(points.num_rows);
        parallel_for(chunks.count(), pass_seconds(4), [&](std::size_t chunk) {
            Scratch scratch;
            for_blocks(chunk, [&](std::size_t first, std::size_t count) {
                prepare(first, count, scratch, values.data() + first * stride,
                        facts.data() + first);
            });
        });
    }

    struct Scratch {
        std::vector<T> rows, row;
        std::vector<float> narrowed, shifted, thresholds;
        AlignedVector<float> values;
        std::vector<RowFacts<float>> facts;
        std::vector<std::uint16_t> masks;  // [panels][most_rows]
        std::vector<std::uint32_t> nearer; // [most_rows]
        std::vector<double> centers;       // [num_candidates][dimensions]
    };

    static const CandidateKernels<float>& choose_kernels(std::size_t dimensions) {
        // Longer rows could overflow int32 sums; below four dimensions bytes are mostly padding.
        const BlockKernels<float>& narrow = current_kernels<float>();
        return narrow.byte_candidates && dimensions >= 4 && dimensions <= 32768
                   ? *narrow.byte_candidates
                   : narrow.candidates;
    }

    void keep_columns() {
        const std::size_t d = points.dimensions;
        columns.resize(points.num_rows * d);
        parallel_for(chunks.count(), pass_seconds(1), [&](std::size_t chunk) {
            Scratch scratch;
            for_blocks(chunk, [&](std::size_t first, std::size_t count) {
                const Block<T> block = load_block(first, count, scratch.rows);
                for (std::size_t i = 0; i < count; ++i)
                    for (std::size_t j = 0; j < d; ++j)
                        columns[j * points.num_rows + first + i] =
                            block.rows[static_cast<std::ptrdiff_t>(i) * block.stride +
                                       static_cast<std::ptrdiff_t>(j)];
            });
        });
    }

    // Any point near the middle will do.
    AlignedVector<float> mean_of_sample() const {
        constexpr std::size_t sample = 4096;
        const std::size_t step = std::max<std::size_t>(points.num_rows / sample, 1);
        std::vector<double> sums(points.dimensions, 0.0);
        std::vector<T> scratch(points.dimensions);
        std::size_t count = 0;
        for (std::size_t row = 0; row < points.num_rows; row += step, ++count) {
            const T* const own = load_rows<T>(points, row, 1, scratch.data()).rows;
            for (std::size_t j = 0; j < points.dimensions; ++j)
                sums[j] += static_cast<double>(own[j]);
        }
        AlignedVector<float> mean(points.dimensions);
        for (std::size_t j = 0; j < points.dimensions; ++j)
            mean[j] =
                static_cast<float>(sums[j] / static_cast<double>(std::max<std::size_t>(count, 1)));
        return mean;
    }

    // Calls visit(first row, count) for each block of the chunk.
    template <class Visit>
    void for_blocks(std::size_t chunk, const Visit& visit) const {
        for (std::size_t first = chunks.begin(chunk); first < chunks.end(chunk);
             first += block_rows)
            visit(first, std::min(block_rows, chunks.end(chunk) - first));
    }

    Block<T> load_block(std::size_t first, std::size_t count, std::vector<T>& scratch) const {
        scratch.resize(reads_in_place<T>(points) ? 0 : count * points.dimensions);
        return load_rows<T>(points, first, count, scratch.data());
    }

    // out: OUT [count][stride], in bytes or floats; out_facts: OUT [count]
    void prepare(std::size_t first, std::size_t count, Scratch& scratch, void* out,
                 RowFacts<float>* out_facts) const {
        const std::size_t d = points.dimensions;
        const Block<T> block = load_block(first, count, scratch.rows);
        scratch.shifted.resize(d + 16);
        scratch.narrowed.assign(sizeof(T) == 4 ? 0 : 2 * d, 0.0f); // a row, and no shift
        for (std::size_t i = 0; i < count; ++i) {
            const T* const row = block.rows + static_cast<std::ptrdiff_t>(i) * block.stride;
            const float *narrow_row, *narrow_shift = shift.data();
            if constexpr (sizeof(T) == 4) {
                narrow_row = row;
            } else {
                for (std::size_t j = 0; j < d; ++j)
                    scratch.narrowed[j] =
                        static_cast<float>(row[j] - static_cast<double>(shift[j]));
                narrow_row = scratch.narrowed.data();
                narrow_shift = narrow_row + d;
            }
            layout.prepare(narrow_row, d, narrow_shift, scratch.shifted.data(),
                           static_cast<char*>(out) + i * stride * layout.value_bytes,
                           out_facts + i);
        }
    }

    double pass_seconds(std::size_t centers) const {
        return seconds_for(static_cast<double>(points.num_rows) *
                           static_cast<double>(points.dimensions) *
                           static_cast<double>(centers + 1));
    }

    double distance(const T* row, const T* center, bool center_is_zero) const {
        if (points.normalize && (center_is_zero || is_zero(row, points.dimensions))) return 2.0;
        return kernels.squared_distance(row, center, points.dimensions);
    }

    // Scores up to here may belong to a distance below `closest`.
    float threshold(const RowFacts<float>& row, double closest) const {
        const auto norm = static_cast<double>(row.norm);
        if (!(norm < Rounding::longest)) return std::numeric_limits<float>::infinity();
        const double exact = closest * (1 + 1e-9) - static_cast<double>(row.squares) +
                             rounding.by_square * norm * norm + rounding.underflow;
        return static_cast<float>(std::min(exact + std::fabs(exact) * 1.2e-7, 1e38));
    }

    // The facts of one row, prepared anew in floats.
    RowFacts<float> facts_of(std::size_t row, Scratch& scratch) const {
        if (in_bytes) return facts[row];
        scratch.values.resize(stride);
        scratch.facts.resize(1);
        prepare(row, 1, scratch, scratch.values.data(), scratch.facts.data());
        return scratch.facts[0];
    }

    void add_up(std::size_t block, const double* closest, double* block_sums) const {
        const std::size_t begin = block * sampling_block;
        const std::size_t end = std::min(begin + sampling_block, points.num_rows);
        EightSums sum;
        for (std::size_t row = begin; row < end; ++row) sum.add(row, closest[row]);
        block_sums[block] = sum.total();
    }

    // improved, reductions: OUT [num_candidates]
    void search_chunk(std::size_t chunk, const Candidates<T>& candidates, const double* closest,
                      Improved* improved, double* reductions) const;

    // The same in up to three columns.
    void search_columns(std::size_t chunk, const Candidates<T>& candidates, const double* closest,
                        Improved* improved, double* reductions) const;

    // Compares a row with one candidate.
    void compare(std::size_t chunk, std::size_t index, const T* row, std::size_t c,
                 const Candidates<T>& candidates, const double* closest, Improved* improved_rows,
                 double* reductions) const {
        const double found =
            distance(row, candidates.row(c, points.dimensions), candidates.zero[c]);
        if (!(found < closest[index])) return;
        improved_rows[c].push_back(static_cast<std::uint32_t>(index - chunks.begin(chunk)));
        reductions[c] += closest[index] - found;
    }

    // Which of a block's rows may be improved by which candidate.
    // masks: OUT [panels][most_rows] in `scratch`
    void find(std::size_t first, std::size_t count, const Candidates<T>& candidates,
              std::size_t num_panels, Scratch& scratch) const;

    void update_chunk(std::size_t chunk, const Improved& improved, const T* center,
                      bool center_is_zero, double* closest, double* block_sums);

    const DenseRows points;
    const BlockKernels<T>& kernels;
    const CandidateKernels<float>& layout;
    const bool few_columns, in_bytes;
    const Rounding rounding;
    const Chunks chunks;
    const std::size_t block_rows;
    const AlignedVector<float> shift;
    const std::size_t stride;      // of prepared rows, in values
    std::vector<float> thresholds; // [num_rows]
    AlignedVector<T> columns;      // [dimensions][num_rows], only where they are few
    // Only in bytes: all rows, prepared once.
    AlignedVector<std::uint8_t> values;
    std::vector<RowFacts<float>> facts;
    std::vector<Improved> improved; // [chunks][num_candidates]
};

template <class T>
void Seeding<T>::Content::find(std::size_t first, std::size_t count,
                               const Candidates<T>& candidates, std::size_t num_panels,
                               Scratch& scratch) const {
    scratch.masks.resize(num_panels * most_rows);
    if (!(candidates.longest < Rounding::longest)) {
        std::fill(scratch.masks.begin(), scratch.masks.end(), std::uint16_t(0xffff));
        return;
    }
    const void* prepared = values.data() + (in_bytes ? first * stride : 0);
    const RowFacts<float>* row_facts = facts.data() + (in_bytes ? first : 0);
    const float* limits = thresholds.data() + first;
    if (!in_bytes) {
        scratch.values.resize(count * stride);
        scratch.facts.resize(count);
        prepare(first, count, scratch, scratch.values.data(), scratch.facts.data());
        prepared = scratch.values.data();
        row_facts = scratch.facts.data();
        scratch.thresholds.resize(count);
        const float factor = static_cast<float>(3.01 * rounding.by_center * candidates.longest);
        for (std::size_t i = 0; i < count; ++i) {
            const float limit = limits[i] + factor * row_facts[i].norm;
            scratch.thresholds[i] = limit + std::fabs(limit) * 2.4e-7f;
        }
        limits = scratch.thresholds.data();
    }
    for (std::size_t panel = 0; panel < num_panels; ++panel)
        layout.run(candidates.view, panel, prepared, stride, row_facts, limits, count,
                   scratch.masks.data() + panel * most_rows);
}

template <class T>
void Seeding<T>::Content::search_chunk(std::size_t chunk, const Candidates<T>& candidates,
                                       const double* closest, Improved* improved_rows,
                                       double* reductions) const {
    static thread_local Scratch scratch;
    const std::size_t num = candidates.zero.size();
    const std::size_t num_panels = (num + layout.width - 1) / layout.width;
    scratch.row.resize(points.dimensions);
    for_blocks(chunk, [&](std::size_t first, std::size_t count) {
        find(first, count, candidates, num_panels, scratch);
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
                    compare(chunk, index, row, c, candidates, closest, improved_rows, reductions);
                }
            }
        }
    });
}

template <class T>
void Seeding<T>::Content::search_columns(std::size_t chunk, const Candidates<T>& candidates,
                                         const double* closest, Improved* improved_rows,
                                         double* reductions) const {
    static thread_local Scratch scratch;
    const std::size_t num = candidates.zero.size(), d = points.dimensions;
    scratch.row.resize(d);
    scratch.nearer.resize(most_rows);
    scratch.centers.resize(num * d);
    for (std::size_t c = 0; c < num; ++c)
        for (std::size_t j = 0; j < d; ++j)
            scratch.centers[c * d + j] = static_cast<double>(candidates.row(c, d)[j]);
    for_blocks(chunk, [&](std::size_t first, std::size_t count) {
        const std::size_t found = kernels.nearer_rows(columns.data() + first, points.num_rows,
                                                      count, scratch.centers.data(), num, d,
                                                      closest + first, scratch.nearer.data());
        for (std::size_t at = 0; at < found; ++at) {
            const std::size_t index = first + scratch.nearer[at];
            for (std::size_t j = 0; j < d; ++j)
                scratch.row[j] = columns[j * points.num_rows + index];
            for (std::size_t c = 0; c < num; ++c)
                compare(chunk, index, scratch.row.data(), c, candidates, closest, improved_rows,
                        reductions);
        }
    });
}

template <class T>
void Seeding<T>::Content::update_chunk(std::size_t chunk, const Improved& rows, const T* center,
                                       bool center_is_zero, double* closest, double* block_sums) {
    Scratch scratch;
    scratch.row.resize(points.dimensions);
    constexpr std::size_t none = std::numeric_limits<std::size_t>::max();
    std::size_t touched = none;
    for (const std::uint32_t at : rows) {
        const std::size_t row = chunks.begin(chunk) + at;
        closest[row] =
            distance(load_rows<T>(points, row, 1, scratch.row.data()).rows, center, center_is_zero);
        if (!few_columns) thresholds[row] = threshold(facts_of(row, scratch), closest[row]);
        if (row / sampling_block == touched) continue;
        if (touched != none) add_up(touched, closest, block_sums);
        touched = row / sampling_block;
    }
    if (touched != none) add_up(touched, closest, block_sums);
}

template <class T>
Seeding<T>::Seeding(const DenseRows& points) : content_(std::make_unique<Content>(points)) {}

template <class T>
Seeding<T>::~Seeding() = default;

template <class T>
std::int64_t Seeding<T>::start(std::size_t center, double* closest, double* block_sums) {
    Content& all = *content_;
    std::vector<T> center_row(all.points.dimensions);
    const T* const chosen = load_rows<T>(all.points, center, 1, center_row.data()).rows;
    const bool chosen_is_zero = is_zero(chosen, all.points.dimensions);
    FirstBadRow bad_row;
    parallel_for(all.chunks.count(), all.pass_seconds(1), [&](std::size_t chunk) {
        typename Content::Scratch scratch;
        all.for_blocks(chunk, [&](std::size_t first, std::size_t count) {
            const RowFacts<float>* facts = all.facts.data() + (all.in_bytes ? first : 0);
            if (!all.in_bytes && !all.few_columns) {
                scratch.values.resize(count * all.stride);
                scratch.facts.resize(count);
                all.prepare(first, count, scratch, scratch.values.data(), scratch.facts.data());
                facts = scratch.facts.data();
            }
            const Block<T> block = all.load_block(first, count, scratch.rows);
            for (std::size_t i = 0; i < count; ++i) {
                const T* const row = block.rows + static_cast<std::ptrdiff_t>(i) * block.stride;
                const double found = all.distance(row, chosen, chosen_is_zero);
                if (!(found < infinity)) bad_row.report(first + i);
                // A zero vector is at 2 from everything: no candidate is nearer, and none is to be
                // drawn from among such.
                const bool zero = all.points.normalize && is_zero(row, all.points.dimensions);
                closest[first + i] = zero ? 0.0 : found;
                if (!all.few_columns)
                    all.thresholds[first + i] = zero ? -std::numeric_limits<float>::infinity()
                                                     : all.threshold(facts[i], found);
            }
        });
        for (std::size_t row = all.chunks.begin(chunk); row < all.chunks.end(chunk);
             row += sampling_block)
            all.add_up(row / sampling_block, closest, block_sums);
    });
    return bad_row.get();
}

template <class T>
std::size_t Seeding<T>::add_best(const std::int64_t* rows, std::size_t num, double* closest,
                                 double* block_sums) {
    Content& all = *content_;
    const Candidates<T> candidates(all.points, rows, num, all.layout, all.shift, all.rounding);
    const std::size_t num_chunks = all.chunks.count();
    all.improved.resize(num_chunks * num);
    for (Improved& list : all.improved) list.clear();
    std::vector<double> reductions(num_chunks * num, 0.0);
    parallel_for(num_chunks, all.pass_seconds(all.in_bytes ? 4 : num), [&](std::size_t chunk) {
        std::vector<double> own(num, 0.0);
        Improved* const improved = all.improved.data() + chunk * num;
        if (all.few_columns)
            all.search_columns(chunk, candidates, closest, improved, own.data());
        else
            all.search_chunk(chunk, candidates, closest, improved, own.data());
        std::copy(own.begin(), own.end(),
                  reductions.begin() + static_cast<std::ptrdiff_t>(chunk * num));
    });
    std::vector<double> totals(num, 0.0);
    for (std::size_t at = 0; at < reductions.size(); ++at) totals[at % num] += reductions[at];
    const auto best =
        static_cast<std::size_t>(std::max_element(totals.begin(), totals.end()) - totals.begin());

    std::size_t num_improved = 0;
    for (std::size_t chunk = 0; chunk < num_chunks; ++chunk)
        num_improved += all.improved[chunk * num + best].size();
    const double seconds =
        seconds_for(static_cast<double>(num_improved * (4 * all.points.dimensions + 100)));
    parallel_for(num_chunks, seconds, [&](std::size_t chunk) {
        all.update_chunk(chunk, all.improved[chunk * num + best],
                         candidates.row(best, all.points.dimensions), candidates.zero[best],
                         closest, block_sums);
    });
    // The lists of the first centers hold every row: what they took is given back.
    for (Improved& list : all.improved)
        if (list.capacity() > 4 * list.size() + 1024) Improved().swap(list);
    return best;
}

template class Seeding<float>;
template class Seeding<double>;

} // namespace centroids
