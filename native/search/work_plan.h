// How the rows of a call are cut into chunks, and the order in which partial results are added.
// Both follow from shapes alone, never from the number of threads: that is the whole of
// determinism.
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
#include <vector>

namespace centroids {

struct Chunks {
    std::size_t num_rows;
    std::size_t rows; // in each chunk but the last
    std::size_t count() const { return groups_of(rows, num_rows); }
    std::size_t begin(std::size_t chunk) const { return chunk * rows; }
    std::size_t end(std::size_t chunk) const { return std::min(num_rows, (chunk + 1) * rows); }
};

constexpr std::size_t most_chunks = 64;

inline Chunks cut_rows(std::size_t num_rows, std::size_t most = most_chunks) {
    constexpr std::size_t grain = 256; // a multiple of every block that bounds are kept for
    const std::size_t wanted = groups_of(std::max<std::size_t>(most, 1), num_rows);
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

// What each chunk adds up for itself. No two chunks share a cache line: handing one line to and fro
// between two processors costs more than all the additions.
template <class T>
class ChunkParts {
  public:
    ChunkParts(std::size_t num_chunks, std::size_t length)
        : length_(length), stride_(round_up(length, line)), parts_(num_chunks * stride_, T(0)) {}

    T* of(std::size_t chunk) { return parts_.data() + chunk * stride_; }

    // total: OUT [length], the parts added in the order of the chunks
    void add_up(T* total) const {
        std::fill_n(total, length_, T(0));
        for (std::size_t from = 0; from < parts_.size(); from += stride_)
            for (std::size_t at = 0; at < length_; ++at) total[at] += parts_[from + at];
    }

  private:
    static constexpr std::size_t line = 64 / sizeof(T);
    std::size_t length_, stride_;
    AlignedVector<T> parts_;
};

// counts: OUT [num_clusters], how many rows of each cluster there are
inline void count_rows(const std::int32_t* cluster_index, const Chunks& chunks,
                       std::size_t num_clusters, std::int64_t* counts) {
    ChunkParts<std::int64_t> parts(chunks.count(), num_clusters);
    parallel_for(chunks.count(), static_cast<double>(chunks.num_rows) * 1e-9,
                 [&](std::size_t chunk) {
                     std::int64_t* const own = parts.of(chunk);
                     for (std::size_t i = chunks.begin(chunk); i < chunks.end(chunk); ++i)
                         ++own[cluster_index[i]];
                 });
    parts.add_up(counts);
}

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

// Rows grouped by cluster, a bounded stretch at a time, for centers too large to hold several
// partial sums of: each cluster's rows are added by one thread in row order.
class RowsByCluster {
  public:
    static constexpr std::size_t stretch = std::size_t(1) << 20;
    static constexpr std::size_t segment_rows = 8192;

    struct Segment {
        std::size_t cluster;
        std::size_t begin, end; // in `order`
        bool first;             // of its cluster: adds straight to the result
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
                segments.push_back(
                    {c, at, std::min(starts[c + 1], at + segment_rows), at == starts[c]});
        for (std::size_t i = 0; i < count; ++i)
            order[starts[static_cast<std::size_t>(index[i])]++] = static_cast<std::uint32_t>(i);
    }

    std::size_t row(std::size_t position) const { return first_row_ + order[position]; }

    std::vector<std::uint32_t> order;
    std::vector<Segment> segments;

  private:
    std::size_t first_row_;
};

// Adds every row to the sums of its cluster; add_row(row, the row after it, sums of the cluster).
template <class AddRow>
void add_by_cluster(const std::int32_t* cluster_index, std::size_t num_rows,
                    std::size_t num_clusters, std::size_t dimensions, double seconds, double* sums,
                    const AddRow& add_row) {
    for (std::size_t from = 0; from < num_rows; from += RowsByCluster::stretch) {
        const std::size_t count = std::min(RowsByCluster::stretch, num_rows - from);
        const RowsByCluster rows(cluster_index, from, count, num_clusters);
        std::vector<std::size_t> extra_of(rows.segments.size());
        std::size_t extras = 0;
        for (std::size_t s = 0; s < rows.segments.size(); ++s)
            extra_of[s] = rows.segments[s].first ? 0 : extras++;
        std::vector<double> extra_sums(extras * dimensions, 0.0);
        parallel_for(rows.segments.size(), seconds, [&](std::size_t s) {
            const auto& segment = rows.segments[s];
            double* const target = segment.first ? sums + segment.cluster * dimensions
                                                 : extra_sums.data() + extra_of[s] * dimensions;
            for (std::size_t at = segment.begin; at < segment.end; ++at)
                add_row(rows.row(at), rows.row(std::min(at + 1, count - 1)), target);
        });
        for (std::size_t s = 0; s < rows.segments.size(); ++s) {
            if (rows.segments[s].first) continue;
            double* const target = sums + rows.segments[s].cluster * dimensions;
            const double* const extra = extra_sums.data() + extra_of[s] * dimensions;
            for (std::size_t j = 0; j < dimensions; ++j) target[j] += extra[j];
        }
    }
}

} // namespace centroids
