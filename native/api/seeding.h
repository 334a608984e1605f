// k-means++: choosing centers one after the other, each the best of a few candidates.
#pragma once

#include "api/row_weights.h"
#include "api/rows.h"

#include <cstddef>
#include <cstdint>
#include <memory>

namespace centroids {

// What every number is, whatever the instruction set, the number of threads and the parts that the
// points are cut into:
//   distance   squared_distance in float64 of two rows as T (L2-normalised first if the points ask
//              for it); then 2 where either is zero, which is cosine distance 1 from everything
//   weights    the least of the distances of a row to the centers so far; 0 for a zero row if the
//              points are normalised, as it has no direction and nothing is near to it
//   reduction  what a candidate would take off the sum of the weights, exactly
//
// The points are read in every call: they must stay where they are, and as they are. Vectors have
// the points' dimensions and are normalised like rows.
template <class T>
class Seeding {
  public:
    explicit Seeding(const DenseRows& points);
    ~Seeding();

    // Takes the first center. center: IN [dimensions]; weights: OUT. Returns the first row that has
    // no finite distance, or -1.
    std::int64_t start(const T* center, RowWeights& weights);

    // candidates: IN [count][dimensions], at least one; reductions: OUT [count], settled
    void propose(const T* candidates, std::size_t count, const RowWeights& weights,
                 WeightTotal* reductions);

    // Takes one of the candidates proposed last; the weights must be the same still.
    void take(std::size_t candidate, RowWeights& weights);

  private:
    struct Content;
    std::unique_ptr<Content> content_;
};

// The distance of each row to a vector of its own, as above.
// vectors: IN [num_vectors][dimensions]; labels: IN [num_rows]; distances: OUT [num_rows]
template <class T>
void distances_to(const DenseRows& points, const T* vectors, std::size_t num_vectors,
                  const std::int32_t* labels, double* distances);

// Goes through rows that were drawn by their distances to the centers so far, and keeps a row as a
// center if its share of that distance is below the one it has now: to the rows kept before it,
// too. drawn: IN [count][dimensions], normalised first if asked; shares: IN [count], from 0 to
// below 1 most: how many to keep at most; kept: OUT [count], places of rows, ascending. Returns how
// many.
template <class T>
std::size_t accept_draws(const T* drawn, std::size_t count, std::size_t dimensions, bool normalize,
                         const double* distances, const double* shares, std::size_t most,
                         std::int64_t* kept);

} // namespace centroids
