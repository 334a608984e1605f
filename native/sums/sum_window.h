// In which units the columns of some points are added, and which values fit them.
//
// A value x goes into a sum by one addition of float64 and one of integers: the anchor
// A = 1.5 * 2^(52 + u) rounds x + A to a multiple of the unit 2^u, and its bits, read as an
// integer, are those of A and that multiple. Values below 2^(u + 49) whose last bit is not below
// the unit lose nothing. Where these are too few, and for float64, what the first anchor has
// rounded off goes to a second limb, 50 bits below. What does not fit is found by its exponent and
// added one by one: the window decides on speed alone.
#pragma once

#include "runtime/aligned_vector.h"
#include "isa/block_kernels.h"
#include "api/rows.h"
#include "sums/exact_sums.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <type_traits>
#include <vector>

namespace centroids {

template <class T>
class SumWindow {
  public:
    using Word = BitsOf<T>;

    // most: [dimensions], the largest of some values' bits without their signs
    // bits: that a value has below its first one
    SumWindow(const std::vector<Word>& most, int limbs, int bits = FloatBits<T>::mantissa_bits);

    // Of the points of a call, from a sample.
    static SumWindow of_points(const DenseRows& points, const BlockKernels<T>& kernels);

    std::size_t dimensions() const { return units_.size(); }
    int limbs() const { return limbs_; }
    const std::vector<std::int32_t>& units() const { return units_; } // of the last limb
    const double* anchors() const { return anchors_.data(); }         // [limbs][dimensions]
    const Word* least() const { return least_.data(); } // as `rows_outside` takes them
    const Word* most() const { return most_.data(); }
    bool holds(T value, std::size_t column) const {
        const Word size = std::bit_cast<Word>(value) & size_bits;
        return size <= most_[column] && (size == 0 || size >= least_[column]);
    }

    // In whose multiples values of this size, and 8 times as large, fit so many limbs. Others that
    // nobody has looked at may be larger.
    static int unit_for(Word size, int limbs) {
        constexpr int margin = 3;
        const int width = limb_bits + (limbs - 1) * limb_distance;
        const int top = static_cast<int>(size >> mantissa_bits) - bias + 1 + margin;
        const int highest = 971 + limb_bits - width; // or the first anchor were not finite
        return std::clamp(top - width, least_unit, highest);
    }

    static constexpr Word size_bits = static_cast<Word>(~Word(0)) >> 1;

  private:
    static constexpr int mantissa_bits = FloatBits<T>::mantissa_bits, bias = FloatBits<T>::bias;
    static constexpr int least_unit = FloatBits<T>::least_exponent;

    // Bits of the power of two.
    static Word power(int exponent) {
        return static_cast<Word>(static_cast<Word>(exponent + bias) << mantissa_bits);
    }

    int limbs_;
    std::vector<std::int32_t> units_;
    AlignedVector<double> anchors_;
    AlignedVector<Word> least_, most_; // repeated for sixteen rows where these are short
};

template <class T>
SumWindow<T>::SumWindow(const std::vector<Word>& most, int limbs, int bits)
    : limbs_(limbs), units_(most.size()), anchors_(most.size() * static_cast<std::size_t>(limbs)) {
    const std::size_t dimensions = most.size();
    const std::size_t repeated = dimensions * rows_of_bounds(dimensions);
    const int width = limb_bits + (limbs - 1) * limb_distance;
    least_.resize(repeated);
    most_.resize(repeated);
    const Word all = *std::max_element(most.begin(), most.end());
    for (std::size_t j = 0; j < dimensions; ++j) {
        const Word size = most[j] ? most[j] : all; // nothing is known of a column of zeros
        const int unit = unit_for(size, limbs);
        units_[j] = unit;
        for (int limb = 0; limb < limbs; ++limb)
            anchors_[static_cast<std::size_t>(limb) * dimensions + j] =
                std::ldexp(1.5, 52 + unit + (limbs - 1 - limb) * limb_distance);
        const Word largest = power(std::min(unit + width, bias + 1)) - 1;
        // No value has bits below the least unit.
        const Word smallest = unit == least_unit ? Word(1) : power(unit + bits);
        for (std::size_t at = j; at < repeated; at += dimensions) {
            most_[at] = largest;
            least_[at] = smallest;
        }
    }
}

// float64 has digits below any single limb; float32 where its values differ much in size.
template <class T>
SumWindow<T> SumWindow<T>::of_points(const DenseRows& points, const BlockKernels<T>& kernels) {
    constexpr std::size_t most_rows = 256; // of few points fewer: looking takes time, too
    const std::size_t wanted = std::clamp<std::size_t>(points.num_rows / 16, 16, most_rows);
    const std::size_t d = points.dimensions, step = (points.num_rows + wanted - 1) / wanted;
    const std::size_t count = step ? (points.num_rows + step - 1) / step : 0;
    const bool in_place = reads_in_place<T>(points);
    std::vector<T> copied(in_place ? 0 : count * d);
    for (std::size_t i = 0; i < count && !in_place; ++i)
        load_rows<T>(points, i * step, 1, copied.data() + i * d);
    const Block<T> sample = in_place
                                ? Block<T>{load_rows<T>(points, 0, 1, nullptr).rows,
                                           points.row_stride * static_cast<std::ptrdiff_t>(step)}
                                : Block<T>{copied.data(), static_cast<std::ptrdiff_t>(d)};
    std::vector<Word> most(d, 0);
    kernels.largest_bits(sample.rows, sample.stride, count, d, most.data());
    if constexpr (sizeof(T) == 8) return SumWindow(most, 2);
    SumWindow window(most, 1);
    unsigned char outside[most_rows];
    if (!kernels.rows_outside(sample.rows, sample.stride, count, d, window.least(), window.most(),
                              outside))
        return window;
    const auto rows = static_cast<std::size_t>(std::count(outside, outside + count, 1));
    return 8 * rows > count ? SumWindow(most, 2) : window;
}

} // namespace centroids
