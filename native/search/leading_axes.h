// The leading axes of some centers, and the centers along them: what the filter looks at first.
//
// An orthogonal transform that gathers the spread of the centers in few axes lets a product of a
// quarter of the bytes, and the lengths of what lies beyond, exclude most of the centers:
// embeddings have such axes, and unstructured data has not (see chosen_search.cpp, which tries
// them). Nothing depends on how good the axes are, but the time; what is proven holds for any
// matrix B that is nearly orthonormal.
//
// Source: the truncated first look is from Bei and Gray, An improvement of the minimum distortion
// encoding algorithm for vector quantization (IEEE Transactions on Communications, 1985); axes by
// orthogonal iteration, Halko, Martinsson and Tropp, Finding structure with randomness (SIAM
// Review, 2011).
#pragma once

#include "runtime/aligned_vector.h"
#include "isa/block_kernels.h"
#include "api/kmeans.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace centroids {

inline double dot_product(const double* a, const double* b, std::size_t count) {
    double sums[8] = {};
    std::size_t j = 0;
    for (; j + 8 <= count; j += 8)
        for (std::size_t lane = 0; lane < 8; ++lane) sums[lane] += a[j + lane] * b[j + lane];
    for (; j < count; ++j) sums[0] += a[j] * b[j];
    double sum = 0;
    for (const double part : sums) sum += part;
    return sum;
}

template <class T>
class LeadingAxes {
  public:
    // Axes of centers - shift, as many as the last level needs. shift: IN [dimensions]
    LeadingAxes(const FilterKernels<T>& filter, const Centers<T>& centers, std::size_t dimensions,
                const T* shift, const AxesLevels<T>& wanted);

    // As far as these levels go, of the axes that there are.
    void keep(const AxesLevels<T>& fewer);

    AxesLevels<T> levels;
    std::size_t num_panels;  // of axes
    AlignedVector<T> panels; // [num_panels][dimensions][width]
    // [num_centers], an order of the centers in which those of a panel are near one another
    std::vector<std::int32_t> order;

    std::size_t stride() const { return num_panels * width_; } // of coordinates
    bool is_for(const FilterKernels<T>& filter) const { return &filter == &filter_; }

  private:
    void find(const Centers<T>& centers, const T* shift, std::vector<double>& axes) const;
    void lay_out(const std::vector<double>& axes, AlignedVector<T>& panels) const;
    void measure();
    void find_order(const Centers<T>& centers, const T* shift);

    const FilterKernels<T>& filter_;
    const std::size_t width_, dimensions_;
    std::size_t num_axes_;
};

// Centers in bytes along their leading axes, in panels of the filter's width.
template <class T>
class AxesOfCenters {
  public:
    // order: IN [num_centers], which stays
    AxesOfCenters(const FilterKernels<T>& filter, const LeadingAxes<T>& axes,
                  const Centers<T>& centers, std::size_t dimensions, const std::int32_t* order,
                  const T* shift);
    AxesOfCenters(const AxesOfCenters&) = delete; // views point into it
    AxesOfCenters& operator=(const AxesOfCenters&) = delete;

    // still: IN [num_centers], those that are packed as they are; or null
    void pack(const Centers<T>& centers, const unsigned char* still);

    std::vector<CentersOnAxes<T>> levels;

  private:
    struct Scratch;
    void pack_center(std::size_t place, const T* coordinates, double square);

    const FilterKernels<T>& filter_;
    const LeadingAxes<T>& axes_;
    const std::size_t width_, dimensions_;
    const std::int32_t* const order_;
    const T* const shift_;
    std::size_t panel_stride_ = 0;
    AlignedVector<std::int8_t> bytes_;
    AlignedVector<T> norms_, scales_;
    struct Level {
        AlignedVector<std::int32_t> starts;
        AlignedVector<T> losses, sizes, tails;
    };
    std::vector<Level> facts_;
};

} // namespace centroids
