// Exact sums of the points of each center, as integers: any order of additions gives the same.
//
// Each column has a unit, a power of two; a sum is a multiple of it, in 64 bits while these
// suffice, else in 128. What fits no multiple of the unit, or no 128 bits, is kept apart: digits of
// 32 bits on a grid that is the same for all. Every addition is checked, so that no number of
// points and no value can overflow unseen. A sum that is asked for is rounded once.
#pragma once

#include "sums/fixed_point.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace centroids {

// What no dense sum has room for. Few values are such, or none.
class OddDigits {
  public:
    struct Digit {
        std::uint64_t key; // 128 * (place in the array of sums) + digit of ExactTotal
        std::int64_t value;
    };

    void add(std::size_t index, UInt128 magnitude, int exponent, bool subtract);
    // first: of the array of sums
    void add(const OddDigits& other, bool subtract, std::size_t first = 0);
    void add(Digit digit) { digits_[digit.key] += digit.value; }

    bool empty() const { return digits_.empty(); }
    // Ascending, each from -2^31 to 2^31 - 1, none zero: one form for one number.
    std::vector<Digit> sorted() const;

  private:
    void settle();
    std::unordered_map<std::uint64_t, std::int64_t> digits_;
    std::uint64_t additions_ = 0; // since the last `settle`
};

class ExactSums {
  public:
    ExactSums() = default;
    // Zeros. units: [dimensions], exponents of powers of two; none: 2^0
    ExactSums(std::size_t num_clusters, std::size_t dimensions,
              std::vector<std::int32_t> units = {});

    std::size_t num_clusters() const { return num_clusters_; }
    std::size_t dimensions() const { return dimensions_; }
    bool wide() const { return !wide_.empty(); }

    // Adds to the sums of one cluster multiples of the units: first, or first * 2^shift + second.
    // Room for the result must be known: `widen` makes it.
    // first, second: IN [dimensions]; second may be null
    void collect(std::size_t cluster, const std::int64_t* first, const std::int64_t* second,
                 int shift);
    void widen(); // room for 2^31 points in each cluster and more
    OddDigits& odd() { return odd_; }

    // Throws std::invalid_argument where the shapes differ.
    void add(const ExactSums& other, bool subtract);

    // sums: OUT [num_clusters][dimensions]
    void round(double* sums) const;

    std::string to_bytes() const;
    // Throws std::invalid_argument for bytes that `to_bytes` did not write.
    static ExactSums from_bytes(std::string_view bytes);

  private:
    std::size_t size() const { return num_clusters_ * dimensions_; }
    Int128 dense(std::size_t index) const { return wide() ? wide_[index] : narrow_[index]; }
    void add_aligned(const ExactSums& other, bool subtract);

    std::size_t num_clusters_ = 0, dimensions_ = 0;
    std::vector<std::int32_t> units_;  // [dimensions]
    std::vector<std::int64_t> narrow_; // [num_clusters][dimensions], or empty
    std::vector<Int128> wide_;         // else these
    OddDigits odd_;
};

} // namespace centroids
