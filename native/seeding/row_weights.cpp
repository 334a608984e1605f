#include "api/row_weights.h"

#include "runtime/thread_pool.h"

#include <algorithm>
#include <limits>

namespace centroids {

void RowWeights::add_up(std::size_t first, std::size_t last) {
    for (std::size_t block = first; block < last; ++block) {
        WeightTotal sum;
        const std::size_t end = std::min((block + 1) * block_rows, num_rows_);
        for (std::size_t row = block * block_rows; row < end; ++row)
            weigh(sum, row, distances_[row]);
        sum.settle();
        blocks_[block] = sum;
    }
}

void RowWeights::add_up() {
    parallel_for(blocks_.size(), static_cast<double>(num_rows_) * 3e-9,
                 [&](std::size_t block) { add_up(block, block + 1); });
}

WeightTotal RowWeights::total() const {
    WeightTotal sum;
    for (const WeightTotal& block : blocks_) sum.add(block);
    sum.settle();
    return sum;
}

void RowWeights::find(const WeightTotal* targets, std::size_t count, std::int64_t* rows) const {
    std::vector<WeightTotal> ends(blocks_);
    for (std::size_t block = 1; block < ends.size(); ++block) {
        ends[block].add(ends[block - 1]);
        ends[block].settle();
    }
    for (std::size_t at = 0; at < count; ++at) {
        const auto found = std::upper_bound(ends.begin(), ends.end(), targets[at]);
        const auto block =
            std::min(static_cast<std::size_t>(found - ends.begin()), ends.size() - 1);
        const WeightTotal before = block == 0 ? WeightTotal() : ends[block - 1];
        rows[at] = static_cast<std::int64_t>(find_in_block(block, before, targets[at]));
    }
}

// Sums in float64 skip the rows that are before the target for sure; the rest is exact.
std::size_t RowWeights::find_in_block(std::size_t block, WeightTotal before,
                                      const WeightTotal& target) const {
    const std::size_t first = block * block_rows;
    const std::size_t last = std::min(first + block_rows, num_rows_) - 1;
    WeightTotal rest = target;
    rest.subtract(before);
    rest.settle();
    const double limit = std::min(rest.rounded(), std::numeric_limits<double>::max()) * (1 - 4e-12);
    double sum = 0;
    std::size_t row = first;
    for (; row < last; ++row) {
        const double next = sum + nearly(row);
        if (!(next < limit)) break;
        sum = next;
    }
    WeightTotal end;
    for (std::size_t at = first; at < row; ++at) weigh(end, at, distances_[at]);
    for (; row < last; ++row) {
        weigh(end, row, distances_[row]);
        end.settle();
        if (rest < end) return row;
    }
    return last;
}

} // namespace centroids
