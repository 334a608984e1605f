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

// Chunks of one size.
struct Chunks {
    std::size_t num_rows;
    std::size_t rows; // in each chunk but the last
    std::size_t count() const { return groups_of(rows, num_rows); }
    std::size_t begin(std::size_t chunk) const { return chunk * rows; }
    std::size_t end(std::size_t chunk) const { return std::min(num_rows, (chunk + 1) * rows); }
};

// Large chunks first, small ones last, so that no thread waits long for another one's last chunk:
// each round deals out half of the rows that are left (Hummel, Schonberg and Flynn, Factoring,
// CACM 1992).
class ShrinkingChunks {
  public:
    // grain: chunks begin at its multiples
    ShrinkingChunks(std::size_t num_rows, std::size_t threads, std::size_t grain) {
        constexpr std::size_t usual = 256, small = 32; // of smaller chunks a row takes longer
        const std::size_t share = num_rows / threads;
        // Rows of one stretch may take longer than others: it must not be one thread's.
        const std::size_t most = std::max(share / 8, usual);
        const std::size_t least = std::max(std::min(share / 4, small), share / 64);
        for (std::size_t end = 0; end < num_rows;) {
            const std::size_t half = groups_of(2 * threads, num_rows - end);
            const std::size_t rows = round_up(std::clamp(half, least, most), grain);
            for (std::size_t thread = 0; thread < threads && end < num_rows; ++thread)
                ends_.push_back(end = std::min(end + std::max(rows, grain), num_rows));
        }
    }
    std::size_t count() const { return ends_.size() - 1; }
    std::size_t begin(std::size_t chunk) const { return ends_[chunk]; }
    std::size_t end(std::size_t chunk) const { return ends_[chunk + 1]; }

  private:
    std::vector<std::size_t> ends_{0};
};

inline ShrinkingChunks cut_rows(std::size_t num_rows, std::size_t grain = 8) {
    return {num_rows, static_cast<std::size_t>(num_threads()), grain};
}

// A rough time for work of so many multiply-adds, only to decide whether to wake threads.
inline double seconds_for(double multiply_adds) { return multiply_adds / 2e10; }

// parallel_for where there are several parts and enough work for a thread: a few nanoseconds where
// not. seconds_each: for each of so many elements
template <class Task>
void for_each_part(std::size_t parts, std::size_t elements, double seconds_each, const Task& task) {
    const double seconds = static_cast<double>(elements) * seconds_each;
    if (parts > 1 && seconds > 20e-6)
        parallel_for(parts, seconds, task);
    else
        for (std::size_t part = 0; part < parts; ++part) task(part);
}

// What each thread that works on a call has for itself, made when it first comes.
template <class T>
class PerThread {
  public:
    // make(): a std::unique_ptr<T>
    template <class Make>
    T& mine(const Make& make) {
        static thread_local const char here = 0;
        if (T* const own = find(&here)) return *own;
        auto made = make(); // not under the lock: others would go to sleep
        const std::lock_guard<std::mutex> lock(mutex_);
        return *all_.emplace_back(&here, std::move(made)).second;
    }

    // To look at when the work is done.
    const std::vector<std::pair<const char*, std::unique_ptr<T>>>& all() const { return all_; }

  private:
    T* find(const char* thread) {
        const std::lock_guard<std::mutex> lock(mutex_);
        for (const auto& [owner, own] : all_)
            if (owner == thread) return own.get();
        return nullptr;
    }

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
        const Chunks parts = cut_for_counts(count, num_clusters);
        const double seconds = static_cast<double>(count) * 2e-9;
        const std::int32_t* const index = cluster_index + first_row;
        // Of each part and cluster how many rows there are, then where the next one goes.
        std::vector<std::size_t> places(parts.count() * num_clusters, 0);
        parallel_for(parts.count(), seconds / 2, [&](std::size_t part) {
            std::size_t* const own = places.data() + part * num_clusters;
            for (std::size_t i = parts.begin(part); i < parts.end(part); ++i)
                ++own[static_cast<std::size_t>(index[i])];
        });
        std::size_t next = 0;
        for (std::size_t c = 0; c < num_clusters; ++c) {
            std::size_t begin = next;
            for (std::size_t at = c; at < places.size(); at += num_clusters)
                next += std::exchange(places[at], next);
            for (; begin < next; begin += segment_rows)
                segments.push_back({c, begin, std::min(next, begin + segment_rows)});
        }
        parallel_for(parts.count(), seconds / 2, [&](std::size_t part) {
            std::size_t* const own = places.data() + part * num_clusters;
            for (std::size_t i = parts.begin(part); i < parts.end(part); ++i)
                order[own[static_cast<std::size_t>(index[i])]++] = static_cast<std::uint32_t>(i);
        });
    }

    std::size_t row(std::size_t position) const { return first_row_ + order[position]; }

    std::vector<std::uint32_t> order;
    std::vector<Segment> segments;

  private:
    // Parts that have counts of their own: few enough that looking at these takes less time.
    static Chunks cut_for_counts(std::size_t count, std::size_t num_clusters) {
        const std::size_t most = std::min<std::size_t>(static_cast<std::size_t>(num_threads()), 16);
        const std::size_t parts = std::clamp<std::size_t>(count / (2 * num_clusters), 1, most);
        return {count, std::max<std::size_t>(groups_of(parts, count), 1)};
    }

    std::size_t first_row_;
};

} // namespace centroids
