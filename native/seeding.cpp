// k-means++ in one pass over the points for each center.
//
// A candidate matters only to the points that it is nearer to than every center so far, soon one in
// a thousand. A lower bound of the distance by the filter, in bytes where the instruction set has
// products of bytes, finds them; only they are compared exactly, and what each candidate would take
// off the sum is added up on the way. The winner's points are then updated. Reading the prepared
// points is the limit: in bytes that is a quarter of the data.
//
// Exact distances are sums of squared differences in float64, and reductions are added in the order
// of the rows within fixed chunks: which points the filter spares cannot change a bit.
//
// Source: Arthur and Vassilvitskii, k-means++: the advantages of careful seeding, SODA 2007; that
// most distances need not be computed: Raff, Exact acceleration of k-means++ and k-means||, IJCAI
// 2021.
#include "centroids/seeding.h"

#include "centroids/aligned_vector.h"
#include "centroids/dispatch.h"
#include "filter_centers.h"
#include "work_plan.h"
#include "zero_rows.h"

#include <numeric>

namespace centroids {
namespace {

constexpr std::size_t block_rows = 256;
constexpr double infinity = std::numeric_limits<double>::infinity();

// A chunk holds whole sampling blocks: no two threads add up the same one.
Chunks whole_blocks(std::size_t num_rows) {
    constexpr std::size_t most_chunks = 64;
    const std::size_t wanted = (num_rows + most_chunks - 1) / most_chunks;
    const std::size_t blocks = (wanted + sampling_block - 1) / sampling_block;
    return {num_rows, std::max<std::size_t>(blocks, 1) * sampling_block};
}

template <class T>
void prefetch(const T* values, std::size_t count) {
    for (std::size_t j = 0; j < count; j += 64 / sizeof(T)) __builtin_prefetch(values + j, 0, 2);
}

} // namespace

template <class T>
struct Seeding<T>::Content {
    explicit Content(const DenseRows& rows)
        : points(rows), kernels(current_kernels<T>()),
          filter(kernels.narrow_byte_filter && rows.dimensions >= 4 && rows.dimensions <= 32768
                     ? *kernels.narrow_byte_filter
                     : kernels.narrow_filter),
          in_bytes(filter.value_bytes == 1), chunks(whole_blocks(rows.num_rows)),
          shift(mean_of_sample()),
          stride(in_bytes ? (rows.dimensions + 15) / 16 * 16 : filter.row_stride(rows.dimensions)) {
        if (in_bytes) quantize();
    }

    struct Scratch {
        std::vector<T> rows, shifted, thresholds, bounds;
        AlignedVector<T> values;
        std::vector<RowFacts<T>> facts;
        std::vector<double> extents;
        std::vector<std::uint16_t> listed;
        std::vector<std::int32_t> candidates, num_candidates;
    };

    // Any point near the middle will do.
    AlignedVector<T> mean_of_sample() const {
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
        AlignedVector<T> mean(points.dimensions);
        for (std::size_t j = 0; j < points.dimensions; ++j)
            mean[j] =
                static_cast<T>(sums[j] / static_cast<double>(std::max<std::size_t>(count, 1)));
        return mean;
    }

    // All rows in bytes, once: a quarter of the data.
    void quantize() {
        values.resize(points.num_rows * stride);
        facts.resize(points.num_rows);
        parallel_for(chunks.count(), pass_seconds(4), [&](std::size_t chunk) {
            std::vector<T> rows(block_rows * points.dimensions), shifted(points.dimensions + 16);
            for_blocks(
                chunk, rows, [&](std::size_t first, std::size_t count, const Block<T>& block) {
                    for (std::size_t i = 0; i < count; ++i)
                        filter.prepare(block.rows + static_cast<std::ptrdiff_t>(i) * block.stride,
                                       points.dimensions, shift.data(), shifted.data(),
                                       values.data() + (first + i) * stride, &facts[first + i]);
                });
        });
    }

    template <class Visit>
    void for_blocks(std::size_t chunk, std::vector<T>& scratch, const Visit& visit) const {
        scratch.resize(reads_in_place<T>(points) ? 0 : block_rows * points.dimensions);
        for (std::size_t first = chunks.begin(chunk); first < chunks.end(chunk);
             first += block_rows) {
            const std::size_t count = std::min(block_rows, chunks.end(chunk) - first);
            visit(first, count, load_rows<T>(points, first, count, scratch.data()));
        }
    }

    double pass_seconds(std::size_t centers) const {
        return seconds_for(static_cast<double>(points.num_rows) *
                           static_cast<double>(points.dimensions) *
                           static_cast<double>(centers + 1));
    }

    double exact_distance(const T* row, const Centers<T>& centers, std::size_t c) const {
        // A zero vector is at cosine distance 1 from everything: twice that as a squared chord.
        if (points.normalize && is_zero(row, points.dimensions)) return 2.0;
        const double distance = kernels.squared_distance(
            row, centers.values + c * points.dimensions, points.dimensions);
        return centers.penalties ? distance + centers.penalties[c] : distance;
    }

    void add_up(std::size_t block, const double* closest, double* block_sums) const {
        const std::size_t begin = block * sampling_block;
        const std::size_t end = std::min(begin + sampling_block, points.num_rows);
        EightSums sum;
        for (std::size_t row = begin; row < end; ++row) sum.add(row, closest[row]);
        block_sums[block] = sum.total();
    }

    // Which rows of a chunk each candidate is nearer to, and by how much in all.
    // improved: OUT [num_centers], rows; reductions: OUT [num_centers]
    void search_chunk(std::size_t chunk, const Centers<T>& candidates,
                      const CentersInFilter<T>& packed, const double* closest,
                      std::vector<std::uint32_t>* improved, double* reductions) const;

    const DenseRows points;
    const BlockKernels<T>& kernels;
    const FilterKernels<T>& filter;
    const bool in_bytes;
    const Chunks chunks;
    const AlignedVector<T> shift;
    const std::size_t stride; // of prepared rows
    AlignedVector<std::uint8_t> values;
    std::vector<RowFacts<T>> facts;
    std::vector<std::vector<std::uint32_t>> improved; // [chunks][candidates]
};

template <class T>
void Seeding<T>::Content::search_chunk(std::size_t chunk, const Centers<T>& candidates,
                                       const CentersInFilter<T>& packed, const double* closest,
                                       std::vector<std::uint32_t>* improved_rows,
                                       double* reductions) const {
    static thread_local Scratch of_thread;
    Scratch& scratch = of_thread; // found once: in a library that takes a call each time
    const std::size_t num_panels = (candidates.num_centers + filter.width - 1) / filter.width;
    const std::size_t capacity = num_panels * filter.width + 16;
    constexpr std::size_t slots = block_rows + 1;
    scratch.shifted.resize(points.dimensions + 16);
    scratch.thresholds.resize(slots);
    scratch.facts.resize(slots);
    scratch.extents.resize(slots);
    scratch.listed.resize(block_rows);
    scratch.num_candidates.assign(slots, 0);
    scratch.candidates.resize(slots * capacity);
    scratch.bounds.resize(slots * capacity);
    if (!in_bytes) scratch.values.resize(slots * stride);
    const double largest = packed.max_norm;
    const double score_error = in_bytes ? 1e-6 : score_error_unit<T>(points.dimensions + 2);
    const double square_error = score_error_unit<T>(points.dimensions + 4);
    const double underflow = 4 * static_cast<double>(points.dimensions + 4) *
                             static_cast<double>(std::numeric_limits<T>::min());
    constexpr double most = std::numeric_limits<T>::max() / T(1e3);
    constexpr double up = 1 + 1e-9;
    constexpr auto epsilon = static_cast<double>(std::numeric_limits<T>::epsilon());
    scratch.thresholds[block_rows] = -std::numeric_limits<T>::infinity();

    const auto compare = [&](const T* row, std::size_t index, std::size_t c) {
        const double distance = exact_distance(row, candidates, c);
        if (!(distance < closest[index])) return;
        improved_rows[c].push_back(static_cast<std::uint32_t>(index - chunks.begin(chunk)));
        reductions[c] += closest[index] - distance;
    };
    for_blocks(
        chunk, scratch.rows, [&](std::size_t first, std::size_t count, const Block<T>& block) {
            const auto row = [&](std::size_t i) {
                return block.rows + static_cast<std::ptrdiff_t>(i) * block.stride;
            };
            if (in_bytes)
                std::copy_n(facts.data() + first, count, scratch.facts.data());
            else
                for (std::size_t i = 0; i < count; ++i)
                    filter.prepare(row(i), points.dimensions, shift.data(), scratch.shifted.data(),
                                   scratch.values.data() + i * stride, &scratch.facts[i]);
            for (std::size_t i = 0, next = first + block_rows; in_bytes && i < count; ++i)
                if (next + i < points.num_rows)
                    prefetch(values.data() + (next + i) * stride, stride);
            // Plain arithmetic in separate loops: the compiler makes vectors of it.
            for (std::size_t i = 0; i < count; ++i) {
                const auto norm = static_cast<double>(scratch.facts[i].norm);
                const double scale = (largest + 3 * norm) * largest;
                const double threshold =
                    closest[first + i] * up - static_cast<double>(scratch.facts[i].squares) +
                    (score_error * scale + square_error * norm * norm + underflow);
                scratch.thresholds[i] = static_cast<T>(threshold + std::fabs(threshold) * epsilon);
                scratch.extents[i] = norm * norm + scale;
            }
            std::size_t listed = 0;
            for (std::size_t i = 0; i < count; ++i) {
                scratch.listed[listed] = static_cast<std::uint16_t>(i);
                listed += scratch.extents[i] < most;
            }
            const void* const prepared =
                in_bytes ? static_cast<const void*>(values.data() + first * stride)
                         : scratch.values.data();
            filter.run(
                packed.view, 0, num_panels, scratch.listed.data(), listed,
                {prepared, stride, scratch.facts.data(), scratch.thresholds.data(), block_rows},
                {nullptr, scratch.num_candidates.data(), scratch.candidates.data(),
                 scratch.bounds.data(), capacity});
            // The rows to compare lie far apart, and most are in no cache: ask for all of them
            // first.
            for (std::size_t at = 0; at < listed; ++at)
                if (scratch.num_candidates[scratch.listed[at]] > 0 && !points.normalize)
                    prefetch(row(scratch.listed[at]), points.dimensions);
            for (std::size_t at = 0; at < listed; ++at) {
                const std::size_t i = scratch.listed[at];
                for (std::int32_t c = 0; c < scratch.num_candidates[i]; ++c)
                    compare(row(i), first + i,
                            static_cast<std::size_t>(
                                scratch.candidates[i * capacity + static_cast<std::size_t>(c)]));
                scratch.num_candidates[i] = 0;
            }
            if (listed == count) return;
            for (std::size_t i = 0; i < count; ++i) // values near overflow: not for the filter
                if (!std::binary_search(scratch.listed.begin(),
                                        scratch.listed.begin() +
                                            static_cast<std::ptrdiff_t>(listed),
                                        static_cast<std::uint16_t>(i)))
                    for (std::size_t c = 0; c < candidates.num_centers; ++c)
                        compare(row(i), first + i, c);
        });
}

template <class T>
Seeding<T>::Seeding(const DenseRows& points) : content_(std::make_unique<Content>(points)) {}

template <class T>
Seeding<T>::~Seeding() = default;

template <class T>
std::int64_t Seeding<T>::start(const T* center, double* closest, double* block_sums) {
    const Content& all = *content_;
    const double penalty = 1.0;
    const bool zero = all.points.normalize && is_zero(center, all.points.dimensions);
    const Centers<T> first{center, 1, zero ? &penalty : nullptr};
    FirstBadRow bad_row;
    parallel_for(all.chunks.count(), all.pass_seconds(1), [&](std::size_t chunk) {
        std::vector<T> scratch;
        all.for_blocks(
            chunk, scratch, [&](std::size_t from, std::size_t count, const Block<T>& block) {
                for (std::size_t i = 0; i < count; ++i) {
                    closest[from + i] = all.exact_distance(
                        block.rows + static_cast<std::ptrdiff_t>(i) * block.stride, first, 0);
                    if (!(closest[from + i] < infinity)) bad_row.report(from + i);
                }
            });
        for (std::size_t row = all.chunks.begin(chunk); row < all.chunks.end(chunk);
             row += sampling_block)
            all.add_up(row / sampling_block, closest, block_sums);
    });
    return bad_row.get();
}

template <class T>
std::size_t Seeding<T>::add_best(const Centers<T>& candidates, double* closest,
                                 double* block_sums) {
    Content& all = *content_;
    const std::size_t num = candidates.num_centers;
    std::vector<std::int32_t> order(num);
    std::iota(order.begin(), order.end(), 0);
    const CentersInFilter<T> packed(all.filter, candidates, all.points.dimensions, order.data(),
                                    all.shift);
    all.improved.resize(all.chunks.count() * num);
    for (auto& rows : all.improved) rows.clear();
    std::vector<double> reductions(all.chunks.count() * num, 0.0);
    parallel_for(all.chunks.count(), all.pass_seconds(all.in_bytes ? 4 : num),
                 [&](std::size_t chunk) {
                     std::vector<double> own(num, 0.0);
                     all.search_chunk(chunk, candidates, packed, closest,
                                      all.improved.data() + chunk * num, own.data());
                     std::copy(own.begin(), own.end(),
                               reductions.begin() + static_cast<std::ptrdiff_t>(chunk * num));
                 });
    std::vector<double> totals(num, 0.0);
    for (std::size_t at = 0; at < reductions.size(); ++at) totals[at % num] += reductions[at];
    const auto best =
        static_cast<std::size_t>(std::max_element(totals.begin(), totals.end()) - totals.begin());

    parallel_for(all.chunks.count(), 0.0, [&](std::size_t chunk) {
        std::vector<T> scratch(all.points.dimensions);
        std::size_t touched = all.chunks.count() * all.chunks.rows; // no block yet
        for (const std::uint32_t at : all.improved[chunk * num + best]) {
            const std::size_t row = all.chunks.begin(chunk) + at;
            closest[row] = all.exact_distance(load_rows<T>(all.points, row, 1, scratch.data()).rows,
                                              candidates, best);
            if (row / sampling_block == touched) continue;
            if (touched * sampling_block < all.points.num_rows)
                all.add_up(touched, closest, block_sums);
            touched = row / sampling_block;
        }
        if (touched * sampling_block < all.points.num_rows)
            all.add_up(touched, closest, block_sums);
    });
    return best;
}

template class Seeding<float>;
template class Seeding<double>;

} // namespace centroids
