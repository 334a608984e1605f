// Adds rows to the sums of their clusters, for one thread: in fixed point where they fit the
// window, value by value where they do not. Integers have no order: whatever thread adds a row, and
// when, the sums are the same.
#pragma once

#include "runtime/dispatch.h"
#include "sums/exact_sums.h"
#include "sums/sum_window.h"

#include <mutex>

namespace centroids {

// The sums of a call, to which its threads hand over theirs.
struct SharedSums {
    explicit SharedSums(ExactSums& target) : sums(target) {}
    ExactSums& sums;
    std::mutex in_use, odd_in_use;
};

template <class T>
class RowAdder {
  public:
    RowAdder(const SumWindow<T>& window, std::size_t num_clusters, SharedSums& shared)
        : kernels_(current_kernels<T>()), window_(window), shared_(shared),
          size_(num_clusters * window.dimensions()),
          digits_(size_ * static_cast<std::size_t>(window.limbs()), 0), counts_(num_clusters, 0),
          pending_(num_clusters, 0), fixed_{digits_.data(), window.anchors(),
                                            window.limbs() == 2 ? size_ : 0, pending_.data()} {}

    // cluster_index: IN [count]
    // centers: IN [num_clusters][dimensions], or null; distances: OUT [count], with centers: the
    // squared distances to these
    void add(const Block<T>& block, std::size_t count, const std::int32_t* cluster_index,
             const T* centers, double* distances) {
        constexpr std::size_t most = 1024; // far less than `most_additions`
        for (std::size_t i = 0; i < count; i += most)
            add_some({block.rows + static_cast<std::ptrdiff_t>(i) * block.stride, block.stride},
                     std::min(most, count - i), cluster_index + i, centers,
                     distances ? distances + i : nullptr);
    }

    // For kernels that add rows by themselves, at most 1024: what they add to.
    const FixedSums& sums_with_room(std::size_t rows) {
        if (room_ < rows) make_room();
        room_ -= rows;
        return fixed_;
    }
    // Adds a value that does not fit.
    void add_odd(std::size_t cluster, std::size_t column, double value) {
        odd_.add(cluster * window_.dimensions() + column, value);
    }

    std::size_t num_clusters() const { return pending_.size(); }

    // How many rows of a cluster there were.
    std::int64_t count(std::size_t cluster) const { return counts_[cluster] + pending_[cluster]; }

    // Adds what there is of one cluster to that of the shared sums, which must have room for it,
    // and which no other thread may write to meanwhile. No rows of it may follow.
    void hand_over(std::size_t cluster) { hand_over(cluster, cluster); }
    // Lends its array to shared sums that have none; `hand_over` does the rest. Returns whether.
    bool lend() {
        if (fixed_.second || shared_.sums.made()) return false;
        shared_.sums.adopt(std::move(digits_));
        return lent_ = true;
    }
    // What was added value by value, of all clusters.
    void hand_over_odd() { hand_over_odd(0); }

    // All there is of an adder of a single cluster, to one of the shared sums.
    void hand_over_to(std::size_t to_cluster) {
        const std::lock_guard<std::mutex> lock(shared_.in_use);
        hand_over(0, to_cluster);
        clear(0);
        hand_over_odd(to_cluster);
        room_ = most_additions;
    }

  private:
    void add_some(const Block<T>& block, std::size_t count, const std::int32_t* cluster_index,
                  const T* centers, double* distances);
    void add_odd_row(const T* row, std::int32_t cluster);
    void make_room();
    // The anchors of so many rows. Only their highest 13 bits are not 0; bits wrap around, there
    // and back.
    void take_off(std::int64_t* digits, const double* anchors, std::int32_t rows) const {
        for (std::size_t j = 0; j < window_.dimensions(); ++j) {
            const auto top =
                static_cast<std::uint32_t>(std::bit_cast<std::uint64_t>(anchors[j]) >> 51);
            const std::uint64_t all =
                static_cast<std::uint64_t>(top) * static_cast<std::uint32_t>(rows);
            digits[j] =
                static_cast<std::int64_t>(static_cast<std::uint64_t>(digits[j]) - (all << 51));
        }
    }
    void hand_over(std::size_t cluster, std::size_t to_cluster);
    void clear(std::size_t cluster) {
        for (std::size_t at = cluster * window_.dimensions(); at < digits_.size(); at += size_)
            std::fill_n(digits_.data() + at, window_.dimensions(), 0);
    }
    void hand_over_odd(std::size_t first_cluster) {
        if (!odd_.empty())
            shared_.sums.odd().add(odd_, false, first_cluster * window_.dimensions());
        odd_ = {};
    }

    const BlockKernels<T>& kernels_;
    const SumWindow<T>& window_;
    SharedSums& shared_;
    const std::size_t size_;
    AlignedVector<std::int64_t> digits_; // [limbs][num_clusters][dimensions], anchors included
    std::vector<std::int64_t> counts_;   // [num_clusters], rows that were handed over
    std::vector<std::int32_t> pending_;  // [num_clusters], rows in `digits_`
    std::size_t room_ = most_additions;  // so many rows may come before one of these is too many
    const FixedSums fixed_;
    bool lent_ = false;
    OddDigits odd_;
    std::vector<T> fitting_; // a row
    std::vector<unsigned char> outside_;
};

template <class T>
void RowAdder<T>::add_some(const Block<T>& block, std::size_t count,
                           const std::int32_t* cluster_index, const T* centers, double* distances) {
    if (room_ < count) make_room();
    room_ -= count;
    const std::size_t dimensions = window_.dimensions();
    if (outside_.size() < count) outside_.resize(count);
    const bool odd = kernels_.rows_outside(block.rows, block.stride, count, dimensions,
                                           window_.least(), window_.most(), outside_.data());
    if (centers)
        kernels_.update_rows(block.rows, block.stride, count, cluster_index, centers, dimensions,
                             odd ? nullptr : &fixed_, distances);
    else if (!odd)
        kernels_.add_rows(block.rows, block.stride, count, cluster_index, dimensions, fixed_);
    for (std::size_t i = 0; odd && i < count; ++i) {
        const T* const row = block.rows + static_cast<std::ptrdiff_t>(i) * block.stride;
        if (outside_[i])
            add_odd_row(row, cluster_index[i]);
        else
            kernels_.add_rows(row, block.stride, 1, cluster_index + i, dimensions, fixed_);
    }
}

template <class T>
void RowAdder<T>::add_odd_row(const T* row, std::int32_t cluster) {
    const std::size_t dimensions = window_.dimensions();
    fitting_.assign(row, row + dimensions);
    for (std::size_t j = 0; j < dimensions; ++j) {
        if (window_.holds(row[j], j)) continue;
        fitting_[j] = T(0);
        if (!std::isfinite(row[j])) continue; // refused elsewhere
        odd_.add(static_cast<std::size_t>(cluster) * dimensions + j, static_cast<double>(row[j]));
    }
    kernels_.add_rows(fitting_.data(), 0, 1, &cluster, dimensions, fixed_);
}

// Hands over the clusters that have many rows.
template <class T>
void RowAdder<T>::make_room() {
    std::int32_t most = 0;
    for (std::size_t c = 0; c < pending_.size(); ++c) {
        if (pending_[c] > most_additions / 2) {
            const std::lock_guard<std::mutex> lock(shared_.in_use);
            shared_.sums.make();
            hand_over(c);
            clear(c);
        }
        most = std::max(most, pending_[c]);
    }
    room_ = static_cast<std::size_t>(most_additions - most);
}

template <class T>
void RowAdder<T>::hand_over(std::size_t cluster, std::size_t to_cluster) {
    if (pending_[cluster] == 0) return;
    const std::size_t dimensions = window_.dimensions();
    std::int64_t* const first = lent_ ? shared_.sums.start(cluster, pending_[cluster])
                                      : digits_.data() + cluster * dimensions;
    take_off(first, window_.anchors(), pending_[cluster]);
    if (!lent_) {
        std::int64_t* const second = fixed_.second ? first + fixed_.second : nullptr;
        if (second) take_off(second, window_.anchors() + dimensions, pending_[cluster]);
        shared_.sums.collect(to_cluster, pending_[cluster], first, second, shared_.odd_in_use);
    }
    counts_[cluster] += pending_[cluster];
    pending_[cluster] = 0;
}

} // namespace centroids
