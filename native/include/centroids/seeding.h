// k-means++: choosing centers one after the other, each the best of a few candidates.
#pragma once

#include "centroids/kmeans.h"

#include <cstddef>
#include <cstdint>
#include <memory>

namespace centroids {

constexpr std::size_t sampling_block = 2048;

// The points are read in every call: they must stay where they are, and as they are.
// closest: [num_rows], the squared distance of each point to the nearest center so far
// block_sums: [ceil(num_rows / sampling_block)], sums of `closest` over blocks of rows
template <class T>
class Seeding {
  public:
    explicit Seeding(const DenseRows& points);
    ~Seeding();

    // Takes the first center. closest, block_sums: OUT. Returns the first row that has no finite
    // distance, or -1.
    std::int64_t start(const T* center, double* closest, double* block_sums);

    // Takes the candidate that lowers the sum of `closest` most, the first of equals, and returns
    // its index. closest, block_sums: IN OUT
    std::size_t add_best(const Centers<T>& candidates, double* closest, double* block_sums);

  private:
    struct Content;
    std::unique_ptr<Content> content_;
};

} // namespace centroids
