// The candidates of one round of k-means++, as the bound of their distances takes them.
#pragma once

#include "runtime/aligned_vector.h"
#include "api/rows.h"
#include "runtime/round_up.h"
#include "search/filter_centers.h"
#include "search/zero_rows.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace centroids {

// Rounding, for float32 products of t = x - shift and w = c - shift, both rounded to float32:
//   |x - c|^2 >= squares + score - by_square |t|^2 - by_center (|w|^2 + 3 |t| |w|) - underflow,
// squares and score being |t|^2 and |w|^2 - 2tw as computed (in bytes: a lower bound of it).
struct Rounding {
    Rounding(std::size_t dimensions, bool in_bytes)
        : by_square(score_error_unit<float>(dimensions + 4)),
          by_center(in_bytes ? 1e-6 : score_error_unit<float>(dimensions + 2)),
          underflow(4 * static_cast<double>(dimensions + 4) *
                    static_cast<double>(std::numeric_limits<float>::min())) {}

    // Longer vectors than this could overflow, and are compared exactly.
    static constexpr double longest = 1e17;

    const double by_square, by_center, underflow;
};

// Their vectors.
template <class T>
class Candidates {
  public:
    const std::size_t count;

    explicit Candidates(const DenseRows& vectors)
        : count(vectors.num_rows), values_(load(vectors)), zero(count) {
        for (std::size_t c = 0; c < count; ++c)
            zero[c] = is_zero(row(c, vectors.dimensions), vectors.dimensions);
    }

    const T* values() const { return values_.data(); }
    const T* row(std::size_t c, std::size_t dimensions) const {
        return values_.data() + c * dimensions;
    }

  private:
    static std::vector<T> load(const DenseRows& vectors) {
        std::vector<T> values(vectors.num_rows * vectors.dimensions);
        const T* const rows = load_rows<T>(vectors, 0, vectors.num_rows, values.data()).rows;
        if (rows != values.data()) std::copy_n(rows, values.size(), values.data());
        return values;
    }

    const std::vector<T> values_;

  public:
    std::vector<bool> zero; // [count]
};

// What the bound in floats needs of them.
template <class T>
class CandidatePanels {
  public:
    CandidatePanels(const Candidates<T>& candidates, std::size_t dimensions,
                    const FilterLayout<float>& layout, const AlignedVector<float>& shift,
                    const Rounding& rounding)
        : shifted_(shift_all(candidates, dimensions, shift)), order_(in_order(candidates.count)),
          packed_(layout, {shifted_.data(), candidates.count, nullptr}, dimensions, order_.data(),
                  AlignedVector<float>(dimensions, 0.0f)),
          norms_(round_up(candidates.count, layout.width)) {
        // What rounding may cost each candidate goes where its own terms are.
        view = packed_.view;
        for (std::size_t c = 0; c < norms_.size(); ++c) {
            const double norm = static_cast<double>(view.norms[c]);
            norms_[c] = c < candidates.count ? static_cast<float>(norm - rounding.by_center * norm)
                                             : std::numeric_limits<float>::infinity();
        }
        view.norms = norms_.data();
        longest = packed_.max_norm;
    }

  private:
    static std::vector<float> shift_all(const Candidates<T>& candidates, std::size_t dimensions,
                                        const AlignedVector<float>& shift) {
        std::vector<float> shifted(candidates.count * dimensions);
        for (std::size_t at = 0; at < shifted.size(); ++at)
            shifted[at] =
                static_cast<float>(std::clamp(static_cast<double>(candidates.values()[at]) -
                                                  static_cast<double>(shift[at % dimensions]),
                                              -1e30, 1e30)); // beyond `longest`
        return shifted;
    }

    static std::vector<std::int32_t> in_order(std::size_t count) {
        std::vector<std::int32_t> order(count);
        std::iota(order.begin(), order.end(), 0);
        return order;
    }

    const std::vector<float> shifted_;
    const std::vector<std::int32_t> order_;
    const CentersInFilter<float> packed_;
    AlignedVector<float> norms_;

  public:
    FilterCenters<float> view;
    double longest; // the largest |c - shift|
};

} // namespace centroids
