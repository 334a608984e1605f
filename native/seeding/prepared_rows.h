// The points of k-means++ as its passes read them: blocks of rows, prepared for the bound of
// distances or kept apart by column, and the distance itself.
#pragma once

#include "runtime/dispatch.h"
#include "runtime/prefetch.h"
#include "api/rows.h"
#include "api/row_weights.h"
#include "seeding/candidates.h"
#include "search/work_plan.h"

namespace centroids {

template <class T>
struct PreparedRows {
    static constexpr std::size_t most_rows = 256; // in a block

    struct Scratch {
        std::vector<T> rows;
        std::vector<float> narrowed, shifted;
        AlignedVector<float> values;
        std::vector<RowFacts<float>> facts;
    };

    explicit PreparedRows(const DenseRows& rows)
        : points(rows), kernels(current_kernels<T>()), layout(choose_kernels(rows)),
          few_columns(rows.dimensions <= 3), in_bytes(!few_columns && layout.value_bytes == 1),
          in_place(reads_in_place<T>(rows)), rounding(rows.dimensions, in_bytes),
          chunks(whole_blocks(rows.num_rows)),
          // Prepared floats of a block should stay in the second-level cache.
          block_rows(std::clamp<std::size_t>(65536 / std::max<std::size_t>(rows.dimensions, 1), 16,
                                             most_rows)),
          shift(mean_of_sample()),
          stride(in_bytes ? round_up(rows.dimensions, 16) : layout.row_stride(rows.dimensions)) {
        if (few_columns) keep_columns();
    }

    // A few chunks for each thread, of whole blocks of weights: no two threads add up the same one.
    static Chunks whole_blocks(std::size_t num_rows) {
        constexpr std::size_t most_rows_of_chunk = WeightTotal::most_additions / 4;
        const std::size_t enough = 4 * static_cast<std::size_t>(num_threads());
        const std::size_t wanted = std::min(groups_of(enough, num_rows), most_rows_of_chunk);
        return {num_rows,
                std::max(round_up(wanted, RowWeights::block_rows), RowWeights::block_rows)};
    }

    static const CandidateKernels<float>& choose_kernels(const DenseRows& rows) {
        // Longer rows could overflow int32 sums; below four dimensions bytes are mostly padding;
        // places are of 32 bits.
        const BlockKernels<float>& narrow = current_kernels<float>();
        return narrow.byte_candidates && rows.dimensions >= 4 && rows.dimensions <= 32768 &&
                       rows.num_rows < std::size_t(1) << 31
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
        const Block<T> block = load_block(first, count, scratch.rows);
        for (std::size_t i = 0; i < count; ++i)
            prepare_row(block.rows + static_cast<std::ptrdiff_t>(i) * block.stride, scratch,
                        static_cast<char*>(out) + i * stride * layout.value_bytes, out_facts + i);
    }

    // The same for any vector. out: OUT [stride]
    void prepare_row(const T* row, Scratch& scratch, void* out, RowFacts<float>* out_facts) const {
        const std::size_t d = points.dimensions;
        scratch.shifted.resize(d + 16);
        if constexpr (sizeof(T) == 4) {
            layout.prepare(row, d, shift.data(), scratch.shifted.data(), out, out_facts);
        } else {
            scratch.narrowed.assign(2 * d, 0.0f); // the row, and no shift
            for (std::size_t j = 0; j < d; ++j)
                scratch.narrowed[j] = static_cast<float>(row[j] - static_cast<double>(shift[j]));
            layout.prepare(scratch.narrowed.data(), d, scratch.narrowed.data() + d,
                           scratch.shifted.data(), out, out_facts);
        }
    }

    // Lets a row come that will be read soon.
    void fetch(std::size_t row) const {
        if (in_place)
            prefetch_beginning(load_rows<T>(points, row, 1, nullptr).rows, points.dimensions);
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

    // The facts of one row, prepared anew.
    RowFacts<float> facts_of(std::size_t row, Scratch& scratch) const {
        scratch.values.resize(stride);
        scratch.facts.resize(1);
        prepare(row, 1, scratch, scratch.values.data(), scratch.facts.data());
        return scratch.facts[0];
    }

    const DenseRows points;
    const BlockKernels<T>& kernels;
    const CandidateKernels<float>& layout;
    const bool few_columns, in_bytes, in_place;
    const Rounding rounding;
    const Chunks chunks;
    const std::size_t block_rows;
    const AlignedVector<float> shift;
    const std::size_t stride; // of prepared rows, in values
    AlignedVector<T> columns; // [dimensions][num_rows], only where they are few
};

} // namespace centroids
