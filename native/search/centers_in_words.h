// Centers prepared for points in lanes, in words of 16 bits: shifted to their mean, in panels.
#pragma once

#include "runtime/aligned_vector.h"
#include "isa/block_kernels.h"
#include "api/kmeans.h"
#include "search/pack_centers.h"
#include "search/work_plan.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

namespace centroids {

// Of more centers or dimensions, places or sums might not fit.
constexpr std::size_t most_centers_in_words = std::size_t(1) << 16, most_dimensions_in_words = 1024;

template <class T>
class PackedWords {
  public:
    // cosine: of unit vectors, whose distances are those of exact_order.h
    // order: IN [num_centers], centers by their place; null: as they are
    PackedWords(const WordKernels<T>& kernels, const Centers<T>& centers, std::size_t dimensions,
                bool cosine, const std::int32_t* order = nullptr)
        : shift_(mean_of_centers<T>(centers, dimensions)) {
        const std::size_t k = centers.num_centers, width = kernels.width;
        const std::size_t num_panels = groups_of(width, k), num_pairs = (dimensions + 1) / 2;
        if (k > most_centers_in_words || dimensions > most_dimensions_in_words) return;
        std::vector<double> squares(k);
        for_each_panel(num_panels, k * dimensions, [&](std::size_t panel) {
            const std::size_t end = std::min((panel + 1) * width, k);
            for (std::size_t place = panel * width; place < end; ++place) {
                const std::size_t c = center_at(order, place);
                squares[place] = current_kernels<T>().squared_distance(
                                     centers.values + c * dimensions, shift_.data(), dimensions) +
                                 (centers.penalties ? centers.penalties[c] : 0.0);
            }
        });
        const double square = *std::max_element(squares.begin(), squares.end());
        // Squares of rows of this length, and products of scales, are far from the ends of float.
        usable = square > 1e-24 && square < 1e24;
        if (!usable) return;
        const auto scale = static_cast<float>(std::sqrt(square) / 31999);
        const double unit = static_cast<double>(scale);
        words_.assign(num_panels * num_pairs * width, 0);
        norms_.assign(num_panels * width, 0.0f);
        std::vector<WordFacts> facts(k);
        for_each_panel(num_panels, k * dimensions, [&](std::size_t panel) {
            const std::size_t end = std::min((panel + 1) * width, k);
            for (std::size_t place = panel * width; place < end; ++place) {
                kernels.pack(centers.values + center_at(order, place) * dimensions, shift_.data(),
                             dimensions, 1 / unit,
                             words_.data() + panel * num_pairs * width + place % width,
                             &facts[place]);
                norms_[place] = static_cast<float>(squares[place] / (2 * unit * unit));
            }
        });
        double lost = 0, size = 0;
        for (const WordFacts& fact : facts) {
            lost = std::max(lost, fact.lost);
            size = std::max(size, fact.size);
        }
        constexpr double up = 1 + 1e-6;
        const ScoreReach reach =
            reach_of_scores(0.0, square, cosine ? cosine_margin<T>(dimensions) : 0.0);
        view = {.num_centers = k,
                .dimensions = dimensions,
                .num_pairs = num_pairs,
                .shift = shift_.data(),
                .words = words_.data(),
                .norms = norms_.data(),
                .scale = scale,
                .lost = static_cast<float>(up * std::sqrt(lost) + 1e-6),
                .size = static_cast<float>(up * std::sqrt(size)),
                .places = static_cast<std::int32_t>(std::bit_ceil(k) - 1),
                .reach_fixed = static_cast<float>(up * reach.fixed),
                .reach_by_norm = static_cast<float>(up * reach.by_norm),
                .reach_by_square = static_cast<float>(up * reach.by_square)};
    }
    PackedWords(const PackedWords&) = delete; // `view` points into it
    PackedWords& operator=(const PackedWords&) = delete;

    bool usable = false; // centers are of a size that words can hold
    CentersInWords<T> view;

  private:
    static std::size_t center_at(const std::int32_t* order, std::size_t place) {
        return order ? static_cast<std::size_t>(order[place]) : place;
    }

    template <class Task>
    static void for_each_panel(std::size_t panels, std::size_t elements, const Task& task) {
        for_each_part(panels, elements, 1e-9, task);
    }

    AlignedVector<T> shift_;
    AlignedVector<std::int32_t> words_;
    AlignedVector<float> norms_;
};

} // namespace centroids
