// k-means++: choosing centers one after the other, each the best of a few candidates.
#pragma once

#include "api/rows.h"

#include <cstddef>
#include <cstdint>
#include <memory>

namespace centroids {

constexpr std::size_t sampling_block = 2048;

// What every number is, whatever the instruction set and the number of threads:
//   distance    squared_distance in float64 of two rows as T (L2-normalised first if the points ask
//               for it); then 2 where either is zero, which is cosine distance 1 from everything
//   closest     the least of the distances of a row to the centers so far; 0 for a zero row if the
//               points are normalised, as it has no direction and nothing is near to it
//   block_sums  sums of `closest` over blocks of rows, in the eight parts of EightSums
//   reduction   what a candidate would take off the sum of `closest`: closest - distance where that
//               is positive, added in row order in each chunk of whole sampling blocks, the chunks
//               (at most 64) in order. The largest wins, the first of equals.
//
// The points are read in every call: they must stay where they are, and as they are. So must
// `closest` between calls.
// closest: [num_rows]; block_sums: [ceil(num_rows / sampling_block)]
template <class T>
class Seeding {
  public:
    explicit Seeding(const DenseRows& points);
    ~Seeding();

    // Takes a row as the first center. closest, block_sums: OUT. Returns the first row that has no
    // finite distance, or -1.
    std::int64_t start(std::size_t center, double* closest, double* block_sums);

    // Takes the best of the candidates and returns its place among them.
    // candidates: IN [num_candidates], rows, at least one; closest, block_sums: IN OUT
    std::size_t add_best(const std::int64_t* candidates, std::size_t num_candidates,
                         double* closest, double* block_sums);

  private:
    struct Content;
    std::unique_ptr<Content> content_;
};

} // namespace centroids
