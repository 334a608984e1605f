// Exact sums of rows that weigh: a product w x is two float64 numbers, what it is rounded to and
// the rest. Both are added like rows, each in units of its own.
#pragma once

#include "search/work_plan.h"
#include "sums/row_adder.h"
#include "sums/total_adder.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <vector>

namespace centroids {

// products, rests: OUT [count], whose sums are weight * values. Returns whether a rest is not zero.
template <class T>
bool weigh(const T* values, std::size_t count, double weight, double* products, double* rests) {
    bool any = false;
    for (std::size_t i = 0; i < count; ++i) {
        const auto value = static_cast<double>(values[i]);
        products[i] = weight * value;
        rests[i] = std::fma(weight, value, -products[i]);
        any |= rests[i] != 0;
    }
    return any;
}

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
    // Adds all rows.
    void add_all(const std::int32_t* cluster_index);

    // The first row whose products are not finite, or -1.
    std::int64_t bad_row() const { return bad_row_.get(); }
    ExactSums total() &&;

  private:
    struct Worker {
        RowAdder<double> products, rests;
        std::vector<T> row;
        AlignedVector<double> block; // [2][block_rows][dimensions]
    };
    struct Windows {
        SumWindow<double> products, rests;
    };
    static Windows windows_of(const DenseRows& points, const double* weights);
    void add_segment(const RowsByCluster::Segment& segment,
                     const std::function<std::size_t(std::size_t)>& row_at, Worker& worker);

    const DenseRows& points_;
    const double* const weights_;
    const std::size_t num_clusters_;
    const Windows windows_;
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
