// Exact sums of rows that weigh: a product w x is two float64 numbers, what it is rounded to and
// the rest. Two limbs have room for both if x is float32 and sizes differ little; else they are
// added like rows, each in units of its own. Labels do not depend on weights: this is a pass after
// the search.
#pragma once

#include "search/work_plan.h"
#include "sums/row_adder.h"
#include "sums/total_adder.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace centroids {

// Equal for equal weights, and all but never for others; not 0.
std::uint64_t fingerprint_of_weights(const double* weights, std::size_t count);

template <class T>
class WeightedSums {
  public:
    WeightedSums(const DenseRows& points, const double* weights, std::size_t num_clusters);

    // Adds rows, those of a cluster together.
    // row_at: the number of a row, for the positions of the segments
    void add(const std::vector<RowsByCluster::Segment>& segments,
             const std::function<std::size_t(std::size_t)>& row_at);
    // Adds all rows. cluster_index: IN [num_rows]; weight_sums: OUT as add_weights gives it, or
    // null
    void add_all(const std::int32_t* cluster_index, ExactSums* weight_sums);

    // The first row whose products are not finite, or -1.
    std::int64_t bad_row() const { return bad_row_.get(); }
    ExactSums total() &&;

  private:
    struct Windows {
        SumWindow<double> products, rests;
        bool together; // the first is one of both
    };
    // Of one thread, for the sums of all clusters, or of one after the other.
    struct Worker {
        RowAdder<double> products;
        std::optional<RowAdder<double>> rests;   // where there are any, and not together
        std::optional<RowAdder<double>> weights; // where they are asked for
        AlignedVector<T> rows, fitting;
    };
    static Windows windows_of(const DenseRows& points, const double* weights);
    static bool fit_together(const std::vector<T>& rows, const std::vector<double>& weights,
                             const SumWindow<double>& window);

    std::unique_ptr<Worker> make_worker(std::size_t num_clusters);
    void add_segment(const RowsByCluster::Segment& segment,
                     const std::function<std::size_t(std::size_t)>& row_at, Worker& worker);
    void add_in_passing(const std::int32_t* cluster_index, ExactSums* weight_sums);
    void add_rows(const Block<T>& block, std::size_t first, std::size_t count,
                  const std::int32_t* cluster_index, Worker& worker);
    void add_odd_row(const T* row, std::size_t index, std::int32_t cluster, Worker& worker);
    RowAdder<double>& make_rests(Worker& worker);
    WeightedTarget target_of(Worker& worker, std::size_t rows) const;
    void hand_over(const PerThread<Worker>& workers);

    const BlockKernels<T>& kernels_;
    const DenseRows& points_;
    const double* const weights_;
    const std::size_t num_clusters_, block_rows_;
    const Windows windows_;
    const SumWindow<double> weight_window_;
    ExactSums products_, rests_; // of which the second stays unmade while there are none
    SharedSums shared_products_{products_}, shared_rests_{rests_};
    FirstBadRow bad_row_;
};

// The sum of squared distances, times weights or not, for one thread.
class InertiaAdder {
  public:
    // weights: IN [count] or null; bad(i): called for what is not finite
    template <class Bad>
    void add(const double* distances, const double* weights, std::size_t count, const Bad& bad) {
        if (weights ? add_products(distances, weights, count) : sums_.add(distances, count)) return;
        for (std::size_t i = 0; i < count; ++i)
            if (!std::isfinite(weights ? weights[i] * distances[i] : distances[i])) bad(i);
    }
    void add_to(ExactTotal& total) {
        total.add(sums_.total());
        if (weighted_) total.add(rests_.total());
    }

  private:
    bool add_products(const double* distances, const double* weights, std::size_t count);

    TotalAdder sums_, rests_;
    bool weighted_ = false;
};

} // namespace centroids
