// Exact sums of the points of each center, as integers: any order of additions gives the same.
//
// Each column has a unit, a power of two; a sum is a multiple of it, in 64 bits where these suffice
// for the rows of a cluster, else in 128. What fits no multiple of the unit, or no 128 bits, is
// kept apart: digits of 32 bits on a grid that is the same for all. Every addition is checked, so
// that no number of points and no value can overflow unseen. A sum that is asked for is rounded
// once.
#pragma once

#include "isa/block_kernels.h"
#include "runtime/aligned_vector.h"
#include "sums/fixed_point.h"

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace centroids {

// |x| / 2^u of what is added to a dense sum is at most 2^49, so that 2^13 of them fit 63 bits.
constexpr int limb_bits = 49;
constexpr std::int64_t most_additions = 8192;

// What no dense sum has room for: digits of ExactTotal by their place. Of most data these are few.
class OddDigits {
  public:
    struct Digit {
        std::uint64_t key; // 128 * (place in the array of sums) + digit of ExactTotal
        std::int64_t value;
    };

    void add(std::size_t index, UInt128 magnitude, int exponent, bool subtract);
    void add(std::size_t index, double value) {
        const Parts parts(value);
        add(index, parts.mantissa, parts.exponent, parts.negative);
    }
    // first: of the array of sums
    void add(const OddDigits& other, bool subtract, std::size_t first = 0);
    void add(Digit digit);

    bool empty() const { return used_ == 0; }
    // Ascending, each from -2^31 to 2^31 - 1, none zero: one form for one number.
    std::vector<Digit> sorted() const;

  private:
    void put(Digit digit);
    void grow();
    void settle();

    static constexpr std::uint64_t free = ~std::uint64_t(0);
    std::vector<Digit> table_; // a power of two of places; from that of its hash on
    std::size_t used_ = 0;
    std::uint64_t additions_ = 0; // since the last `settle`
};

class ExactSums {
  public:
    ExactSums() = default;
    // Zeros, for which `make` makes memory. units: [dimensions], exponents of powers of two; none:
    // 2^0; limbs: of what is collected
    ExactSums(std::size_t num_clusters, std::size_t dimensions,
              std::vector<std::int32_t> units = {}, int limbs = 1);

    std::size_t num_clusters() const { return num_clusters_; }
    std::size_t dimensions() const { return dimensions_; }

    void make() {
        if (low_.empty()) low_.assign(size(), 0);
        if (limbs_ == 2) high_.resize(size());
    }
    bool made() const { return !low_.empty(); }
    // Makes it of an array of sums in 64 bits. Their rows are told by `start`.
    void adopt(AlignedVector<std::int64_t>&& sums) { low_ = std::move(sums); }

    // Adds so many rows to the sums of one cluster: as multiples of the units first, or
    // first * 2^limb_distance + second. Several threads may do so for different clusters.
    // rows: at most most_additions; first, second: IN [dimensions]; second may be null
    // in_use: for what all clusters share
    void collect(std::size_t cluster, std::int64_t rows, const std::int64_t* first,
                 const std::int64_t* second, std::mutex& in_use);
    // Of up to most_additions rows, for a cluster that has no others: to be written to.
    std::int64_t* start(std::size_t cluster, std::int64_t rows) {
        rows_[cluster] = rows;
        return low_.data() + cluster * dimensions_;
    }
    OddDigits& odd() { return odd_; }

    // Throws std::invalid_argument where the shapes differ, or beyond 2^63 rows.
    void add(const ExactSums& other, bool subtract);

    // sums: OUT [num_clusters][dimensions]
    void round(double* sums) const;

    std::string to_bytes() const;
    // Throws std::invalid_argument for bytes that `to_bytes` did not write.
    static ExactSums from_bytes(std::string_view bytes);

  private:
    bool wide(std::size_t cluster) const { return wide_[cluster] != 0; }
    Int128 dense(std::size_t cluster, std::size_t column) const {
        const std::size_t index = cluster * dimensions_ + column;
        return wide(cluster) ? static_cast<Int128>(high_[index]) << 64 |
                                   static_cast<std::uint64_t>(low_[index])
                             : static_cast<Int128>(low_[index]);
    }
    void set(std::size_t cluster, std::size_t column, Int128 value) {
        const std::size_t index = cluster * dimensions_ + column;
        low_[index] = static_cast<std::int64_t>(value);
        high_[index] = static_cast<std::int64_t>(value >> 64);
    }
    std::size_t size() const { return num_clusters_ * dimensions_; }
    bool may_be_sum(std::size_t cluster, std::size_t column) const;
    void make_high() {
        if (high_.empty()) high_.resize(size());
    }
    void widen(std::size_t cluster); // after `make_high`
    void add_aligned(const ExactSums& other, std::size_t cluster, bool subtract);

    std::size_t num_clusters_ = 0, dimensions_ = 0;
    std::vector<std::int32_t> units_;  // [dimensions]
    std::vector<std::int64_t> rows_;   // [num_clusters], additions that `low_` was made by
    AlignedVector<std::int64_t> low_;  // [num_clusters][dimensions]
    AlignedVector<std::int64_t> high_; // [num_clusters][dimensions], or empty while none is wide
    std::vector<unsigned char> wide_;  // [num_clusters], whether `high_` counts
    int limbs_ = 1;
    OddDigits odd_;
};

} // namespace centroids
