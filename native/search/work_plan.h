// How the rows of a call are cut into chunks for the available threads. Results never depend
// on it: sums have no order.
#pragma once

#include "runtime/aligned_vector.h"
#include "api/kmeans.h"
#include "runtime/round_up.h"
#include "runtime/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace centroids {

struct Chunks {
    std::size_t num_rows;
    std::size_t rows; // in each chunk but the last
    std::size_t count() const { return groups_of(rows, num_rows); }
    std::size_t begin(std::size_t chunk) const { return chunk * rows; }
    std::size_t end(std::size_t chunk) const { return std::min(num_rows, (chunk + 1) * rows); }
};

// A few for each thread, so that none waits long for the last; more where they stay large.
// grain: chunks begin at its multiples
inline Chunks cut_rows(std::size_t num_rows, std::size_t grain = 8) {
    constexpr std::size_t large = 256;
    const auto threads = static_cast<std::size_t>(num_threads());
    const std::size_t each = std::clamp<std::size_t>(num_rows / (threads * large), 4, 16);
    const std::size_t wanted = groups_of(threads * each, num_rows);
    return {num_rows, std::max(round_up(wanted, grain), grain)};
}

// A rough time for work of so many multiply-adds, only to decide whether to wake threads.
inline double seconds_for(double multiply_adds) { return multiply_adds / 2e10; }

// A sum in eight parts, so that one addition need not wait for the last. The part follows from the
// row alone: blocks of any size give the same bits.
class EightSums {
  public:
    void add(std::size_t row, double value) { parts_[row % 8] += value; }
    // values: IN [count], of consecutive rows. Away from the ends the parts stay in registers.
    void add(std::size_t first_row, const double* values, std::size_t count) {
        std::size_t i = 0;
        for (; i < count && (first_row + i) % 8 != 0; ++i) add(first_row + i, values[i]);
        double parts[8];
        std::copy_n(parts_, 8, parts);
        for (; i + 8 <= count; i += 8)
            for (std::size_t part = 0; part < 8; ++part) parts[part] += values[i + part];
        std::copy_n(parts, 8, parts_);
        for (; i < count; ++i) add(first_row + i, values[i]);
    }
    double total() const {
        return ((parts_[0] + parts_[4]) + (parts_[2] + parts_[6])) +
               ((parts_[1] + parts_[5]) + (parts_[3] + parts_[7]));
    }

  private:
    double parts_[8] = {0, 0, 0, 0, 0, 0, 0, 0};
};

// What each thread that works on a call has for itself, made when it first comes.
template <class T>
class PerThread {
  public:
    // make(): a std::unique_ptr<T>
    template <class Make>
    T& mine(const Make& make) {
        static thread_local const char here = 0;
        const std::lock_guard<std::mutex> lock(mutex_);
        for (const auto& [owner, own] : all_)
            if (owner == &here) return *own;
        all_.emplace_back(&here, make());
        return *all_.back().second;
    }

    // To look at when the work is done.
    const std::vector<std::pair<const char*, std::unique_ptr<T>>>& all() const { return all_; }

  private:
    std::mutex mutex_;
    std::vector<std::pair<const char*, std::unique_ptr<T>>> all_;
};

// The smallest row that has no finite distance.
class FirstBadRow {
  public:
    void report(std::size_t row) {
        std::int64_t seen = row_.load();
        const auto here = static_cast<std::int64_t>(row);
        while ((seen < 0 || here < seen) && !row_.compare_exchange_weak(seen, here)) {
        }
    }
    std::int64_t get() const { return row_.load(); }

  private:
    std::atomic<std::int64_t> row_{-1};
};

// Rows grouped by cluster, a bounded stretch at a time, for sums too large for each thread to have
// all of them.
class RowsByCluster {
  public:
    static constexpr std::size_t stretch = std::size_t(1) << 20;
    static constexpr std::size_t segment_rows = 4096;

    struct Segment {
        std::size_t cluster;
        std::size_t begin, end; // in `order`
    };

    RowsByCluster(const std::int32_t* cluster_index, std::size_t first_row, std::size_t count,
                  std::size_t num_clusters)
        : order(count), first_row_(first_row) {
        std::vector<std::size_t> starts(num_clusters + 1, 0);
        const std::int32_t* const index = cluster_index + first_row;
        for (std::size_t i = 0; i < count; ++i) ++starts[static_cast<std::size_t>(index[i]) + 1];
        for (std::size_t c = 0; c < num_clusters; ++c) starts[c + 1] += starts[c];
        for (std::size_t c = 0; c < num_clusters; ++c)
            for (std::size_t at = starts[c]; at < starts[c + 1]; at += segment_rows)
                segments.push_back({c, at, std::min(starts[c + 1], at + segment_rows)});
        for (std::size_t i = 0; i < count; ++i)
            order[starts[static_cast<std::size_t>(index[i])]++] = static_cast<std::uint32_t>(i);
    }

    std::size_t row(std::size_t position) const { return first_row_ + order[position]; }

    std::vector<std::uint32_t> order;
    std::vector<Segment> segments;

  private:
    std::size_t first_row_;
};

} // namespace centroids
