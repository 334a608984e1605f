// Everything that is compiled once per instruction set. An isa/*.cpp file defines its vector types
// and tile sizes, includes this inside its own namespace, and fills in one table.
//
// No include guard: each instruction set includes it once, in a namespace of its own.

template <class T>
constexpr double unit_roundoff();
template <>
constexpr double unit_roundoff<float>() {
    return 1.2e-7;
}
template <>
constexpr double unit_roundoff<double>() {
    return 2.3e-16;
}

static inline float square_root(float a) { return __builtin_sqrtf(a); }
static inline double square_root(double a) { return __builtin_sqrt(a); }

#include "generic/eight.h"
#include "generic/tile.h"

#include "generic/best_two.h"

#include "generic/transpose.h"

#include "generic/assign_grid.h"
#include "generic/assign_lanes.h"
#include "generic/assign_panels.h"
#include "generic/distances.h"
#include "generic/row_sums.h"
#include "generic/value_range.h"

#include "generic/fingerprint.h"

#include "generic/groups_within.h"

#include "generic/quantize_rows.h"

#include "generic/filter.h"
#include "generic/filter_boxes.h"

#include "generic/candidate_bounds.h"
#include "generic/nearer_rows.h"

#include "generic/convert_rows.h"
#include "generic/sparse_products.h"

// rows x vectors: the tile; lane_vectors: registers of points in the points-in-lanes kernel.
template <class V, int rows, int vectors, int lane_vectors>
constexpr BlockKernels<typename V::T>
make_kernels(const FilterKernels<typename V::T>* byte_filter = nullptr,
             const CandidateKernels<typename V::T>* byte_candidates = nullptr,
             BytesPay bytes_pay = {}) {
    using T = typename V::T;
    using Panels = AssignPanels<V, rows, vectors>;
    using Lanes = AssignLanes<V, lane_vectors>;
    return {Panels::width,
            V::lanes,
            rows,
            Lanes::points,
            &Panels::scratch,
            &Lanes::scratch,
            &Panels::assign,
            &Lanes::assign,
            &AssignGrid<T>::assign,
            &filter_boxes,
            &Panels::score_row,
            &squared_distance<T>,
            &update_rows<T>,
            [](const T* points, std::ptrdiff_t stride, std::size_t count, const T* panels,
               std::size_t num_centers, std::size_t dimensions, bool narrow, T* distances,
               std::ptrdiff_t distance_stride) {
                if (narrow)
                    DistanceBlock<V, rows, 1>::run(points, stride, count, panels, num_centers,
                                                   dimensions, distances, distance_stride);
                else
                    DistanceBlock<V, rows, vectors>::run(points, stride, count, panels, num_centers,
                                                         dimensions, distances, distance_stride);
            },
            &convert_rows<T>,
            &add_rows<T>,
            &rows_outside<T>,
            &largest_bits<T>,
            &fingerprint<T>,
            &groups_within,
            &nearer_rows<T>,
            Filter<V, FloatProducts<V, vectors>, rows, vectors>::kernels(),
            CandidateBounds<V, FloatProducts<V, 1>, rows>::kernels(),
            byte_filter,
            byte_candidates,
            bytes_pay,
            &sparse_products<V>};
}
