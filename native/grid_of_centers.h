// Which centers can be nearest to some point of a cell: a table over a box around the points.
#pragma once

#include "centroids/aligned_vector.h"
#include "centroids/block_kernels.h"
#include "centroids/kmeans.h"

#include <cstdint>
#include <vector>

namespace centroids {

constexpr std::size_t grid_dimensions = 3; // at most

namespace grid_detail {
struct Cells;
}

template <class T>
class GridOfCenters {
  public:
    // An empty grid where there can be none: no spread, no finite points, or coordinates so far
    // from the origin that cells are not told apart.
    GridOfCenters(const DenseRows& points, const Centers<T>& centers, std::size_t most_cells);
    GridOfCenters(const GridOfCenters&) = delete;
    GridOfCenters& operator=(const GridOfCenters&) = delete;

    bool empty() const { return table_.empty(); }

    CenterGrid<T> view{};

  private:
    void fill_table(const grid_detail::Cells& cells);
    void sample(const DenseRows& points);

    AlignedVector<std::int32_t> table_, lists_;
    AlignedVector<double> centers_;
    std::vector<T> sample_;
};

} // namespace centroids
