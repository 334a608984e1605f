#include "sums/column_sums.h"

#include "runtime/thread_pool.h"
#include "search/work_plan.h"

#include <algorithm>
#include <cmath>

namespace centroids {
namespace {

constexpr std::size_t block_values = 4096; // of rows that are converted at a time
constexpr double seconds_each = 10e-9;

// magnitude * 2^exponent, without the bits below the last one of the total.
void add_to(ExactTotal& total, UInt128 magnitude, int exponent, bool negative) {
    const int below = ExactTotal::last_bit - exponent;
    if (below <= 0)
        total.add(magnitude, exponent, negative);
    else if (below < 128)
        total.add(magnitude >> below, ExactTotal::last_bit, negative);
}

// Returns whether w x^2 is finite.
bool add_value(double value, double weight, std::size_t column, ColumnSums& sums) {
    if (!std::isfinite(weight * value * value) || !std::isfinite(value * value)) return false;
    const Parts x(value), w(weight);
    sums.weights[column].add(weight);
    add_to(sums.values[column], UInt128(x.mantissa) * w.mantissa, x.exponent + w.exponent,
           x.negative);
    // Of 106 bits, which a third factor would make 159.
    const UInt128 square = UInt128(x.mantissa) * x.mantissa;
    const auto low = static_cast<std::uint64_t>(square) & ((std::uint64_t(1) << 53) - 1);
    const int exponent = 2 * x.exponent + w.exponent;
    add_to(sums.squares[column], (square >> 53) * w.mantissa, exponent + 53, false);
    add_to(sums.squares[column], UInt128(low) * w.mantissa, exponent, false);
    return true;
}

struct Worker {
    explicit Worker(std::size_t dimensions, std::size_t rows)
        : sums(dimensions), scratch(rows * dimensions) {}
    void settle() {
        for (auto* const totals : {&sums.weights, &sums.values, &sums.squares})
            for (ExactTotal& total : *totals) total.settle();
    }
    ColumnSums sums;
    std::vector<double> scratch;
};

} // namespace

std::int64_t add_columns(const DenseRows& points, const double* weights, ColumnSums& sums) {
    const std::size_t d = points.dimensions;
    const std::size_t block_rows = std::max<std::size_t>(block_values / d, 1);
    const ShrinkingChunks chunks = cut_rows(points.num_rows, block_rows);
    PerThread<Worker> workers;
    FirstBadRow bad_row;
    const double seconds = static_cast<double>(points.num_rows * d) * seconds_each;
    parallel_for(chunks.count(), seconds, [&](std::size_t chunk) {
        Worker& worker = workers.mine([&] { return std::make_unique<Worker>(d, block_rows); });
        for (std::size_t first = chunks.begin(chunk); first < chunks.end(chunk);
             first += block_rows) {
            const std::size_t count = std::min(block_rows, chunks.end(chunk) - first);
            const Block<double> block =
                load_rows<double>(points, first, count, worker.scratch.data());
            for (std::size_t i = 0; i < count; ++i) {
                const double weight = weights ? weights[first + i] : 1.0;
                const double* const row =
                    block.rows + static_cast<std::ptrdiff_t>(i) * block.stride;
                for (std::size_t j = 0; j < d; ++j)
                    if (!std::isnan(row[j]) && !add_value(row[j], weight, j, worker.sums))
                        bad_row.report(first + i);
            }
            worker.settle();
        }
    });
    if (bad_row.get() >= 0) return bad_row.get();
    for (const auto& [owner, worker] : workers.all())
        for (std::size_t j = 0; j < d; ++j) {
            sums.weights[j].add(worker->sums.weights[j]);
            sums.values[j].add(worker->sums.values[j]);
            sums.squares[j].add(worker->sums.squares[j]);
        }
    return -1;
}

} // namespace centroids
