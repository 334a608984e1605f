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

// Above: `Steps`, see plain_steps.h.
#include "generic/eight.h"
#include "generic/tile.h"

#include "generic/best_two.h"

#include "generic/transpose.h"

#include "generic/assign_grid.h"
#include "generic/assign_lanes.h"
#include "generic/assign_panels.h"
#include "generic/distances.h"
#include "generic/finish_sums.h"
#include "generic/move_center.h"
#include "generic/row_sums.h"
#include "generic/pack_center.h"

#include "generic/add_weighted_rows.h"
#include "generic/value_range.h"

#include "generic/fingerprint.h"

#include "generic/groups_within.h"

#include "generic/quantize_rows.h"

#include "generic/assign_words.h"

#include "generic/filter.h"
#include "generic/filter_axes.h"
#include "generic/filter_boxes.h"

#include "generic/candidate_bounds.h"
#include "generic/nearer_rows.h"

#include "generic/convert_rows.h"
#include "generic/sparse_products.h"
#include "generic/weigh_rows.h"

template <class V, TileSizes sizes>
constexpr BlockKernels<typename V::T>
make_kernels(const FilterKernels<typename V::T>* byte_filter = nullptr,
             const CandidateKernels<typename V::T>* byte_candidates = nullptr,
             BytesPay bytes_pay = {}, const WordKernels<typename V::T>* words = nullptr,
             PaysFrom words_pay = {}) {
    using T = typename V::T;
    constexpr int rows = sizes.rows, vectors = sizes.vectors;
    using Panels = AssignPanels<V, rows, vectors>;
    using Lanes = AssignLanes<V, sizes.lane_vectors>;
    return {.panel_width = Panels::width,
            .narrow_panel_width = V::lanes,
            .panels_scratch = &Panels::scratch,
            .lanes_scratch = &Lanes::scratch,
            .pack_center = &pack_center<T>,
            .assign_panels = &Panels::assign,
            .assign_lanes = &Lanes::assign,
            .assign_grid = &AssignGrid<T>::assign,
            .filter_boxes = &filter_boxes,
            .score_row = &Panels::score_row,
            .squared_distance = &squared_distance<T>,
            .update_rows = &update_rows<T>,
            .distance_block = &distance_block<V, rows, vectors>,
            .convert_rows = &convert_rows<T>,
            .add_rows = &add_rows<T>,
            .add_weighted_rows = &add_weighted_rows<T>,
            .weigh_rows = &weigh_rows<T>,
            .add_eights = &add_eights,
            .take_off_anchors = &take_off_anchors,
            .join_limbs = &join_limbs,
            .round_sums = &round_sums,
            .round_wide_sums = &round_wide_sums,
            .move_center = &move_center<T>,
            .rows_outside = &rows_outside<T>,
            .largest_bits = &largest_bits<T>,
            .fingerprint = &fingerprint<T>,
            .groups_within = &groups_within,
            .nearer_rows = &nearer_rows<T>,
            .filter = Filter<V, FloatProducts<V, vectors>, rows, vectors>::kernels(),
            .candidates = CandidateBounds<V, FloatProducts<V, 1>, rows>::kernels(),
            .byte_filter = byte_filter,
            .byte_candidates = byte_candidates,
            .bytes_pay = bytes_pay,
            .lanes_pay = sizes.lanes_pay,
            .words = words,
            .words_pay = words_pay,
            .sparse_products = &sparse_products<V>};
}
