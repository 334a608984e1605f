// Which centers can be nearest to some point of a cell: a table over a box around the points.
#pragma once

#include "runtime/aligned_vector.h"
#include "isa/block_kernels.h"
#include "api/kmeans.h"

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
    // Empty where it does not pay, or where there can be none: no spread, no finite points, or
    // coordinates so far from the origin that cells are not told apart.
    // points: of 1 to 3 dimensions, not normalised; centers: without penalties
    // other_cost: nanoseconds of one thread that the best other kernel takes for all points;
    //     infinity to have a grid at any cost
    GridOfCenters(const DenseRows& points, const Centers<T>& centers, double other_cost);
    GridOfCenters(const GridOfCenters&) = delete;
    GridOfCenters& operator=(const GridOfCenters&) = delete;

    bool empty() const { return table_.empty(); }

    CenterGrid<T> view{};

  private:
    double searching(double fours) const;
    void sample();
    bool copy_centers(const Centers<T>& centers);
    bool place_box(grid_detail::Cells& cells);
    bool fill_table(const grid_detail::Cells& cells, double most_tests);
    double sampled_fours(const grid_detail::Cells& cells) const;

    const DenseRows& points_;
    const std::size_t num_centers_;
    AlignedVector<std::int32_t> table_, lists_;
    AlignedVector<double> centers_;
    std::vector<T> sample_;
};

} // namespace centroids
