// What rows are drawn by: a share for each row, whose sums are exact, so that a draw depends on
// the shares alone, never on who added them up, in which order or in how many parts.
#pragma once

#include "runtime/round_up.h"
#include "seeding/weight_total.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace centroids {

// Row i has the share distance[i], or weights[i] * distance[i], to the last bit (of those from
// 2^-1074 on). Blocks of rows have their
// sums, which follow single changes.
class RowWeights {
  public:
    static constexpr std::size_t block_rows = 2048;

    // distances: [num_rows], finite, not negative; the caller's, who changes them through `set` or
    // says `add_up` afterwards. weights: [num_rows], finite, not negative, or null for 1.
    RowWeights(std::size_t num_rows, double* distances, const double* weights)
        : distances_(distances), weights_(weights), num_rows_(num_rows),
          blocks_(groups_of(block_rows, num_rows)) {}

    double distance(std::size_t row) const { return distances_[row]; }
    const double* distances() const { return distances_; }
    double* distances() { return distances_; }

    // Row by row, from one thread for each block.
    void set(std::size_t row, double distance) {
        WeightTotal& block = blocks_[row / block_rows];
        weigh_off(block, row, distances_[row]);
        distances_[row] = distance;
        weigh(block, row, distance);
    }
    void settle(std::size_t block) { blocks_[block].settle(); }

    // What a row would weigh less at a smaller distance.
    void add_difference(WeightTotal& sum, std::size_t row, double smaller) const {
        weigh(sum, row, distances_[row]);
        weigh_off(sum, row, smaller);
    }

    // After distances have changed otherwise: the sums of blocks [first, last).
    void add_up(std::size_t first, std::size_t last);
    void add_up();

    WeightTotal total() const;

    // The rows that the targets fall on: the weights of all rows before it are at most the target,
    // and with its own they are more.
    // targets: IN [count], below the total; rows: OUT [count]
    void find(const WeightTotal* targets, std::size_t count, std::int64_t* rows) const;

  private:
    void weigh(WeightTotal& sum, std::size_t row, double distance) const {
        if (weights_ == nullptr)
            sum.add(distance);
        else
            sum.add(distance, weights_[row]);
    }
    void weigh_off(WeightTotal& sum, std::size_t row, double distance) const {
        if (weights_ == nullptr)
            sum.take_off(distance);
        else
            sum.add(distance, weights_[row], true);
    }
    double nearly(std::size_t row) const {
        return weights_ == nullptr ? distances_[row] : distances_[row] * weights_[row];
    }
    std::size_t find_in_block(std::size_t block, WeightTotal before,
                              const WeightTotal& target) const;

    double* distances_;
    const double* weights_;
    std::size_t num_rows_;
    std::vector<WeightTotal> blocks_; // settled
};

} // namespace centroids
