// Centers prepared for points in lanes, in words of 16 bits: shifted to their mean, in panels.
#pragma once

#include "runtime/aligned_vector.h"
#include "isa/block_kernels.h"
#include "api/kmeans.h"
#include "search/choose_search.h"
#include "search/pack_centers.h"
#include "search/work_plan.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <memory>
#include <span>
#include <vector>

namespace centroids {

// Of more centers or dimensions, places or sums might not fit.
constexpr std::size_t most_centers_in_words = std::size_t(1) << 16, most_dimensions_in_words = 1024;

// Of a block of rows: its words, the points that they leave open, and what those may be nearest to.
struct WordScratch {
    AlignedVector<std::byte> words;
    std::vector<std::uint32_t> open;
    std::vector<std::int32_t> candidates;
};

template <class T>
class PackedWords {
  public:
    // cosine: of unit vectors, whose distances are those of exact_order.h
    // order: IN [num_centers], centers by their place; null: as they are
    PackedWords(const WordKernels<T>& kernels, const Centers<T>& centers, std::size_t dimensions,
                bool cosine, const std::int32_t* order)
        : kernels_(kernels), shift_(mean_of_centers<T>(centers, dimensions)) {
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
        usable_ = square > 1e-24 && square < 1e24;
        if (!usable_) return;
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
        view_ = {.num_centers = k,
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
    PackedWords(const PackedWords&) = delete; // `view_` points into it
    PackedWords& operator=(const PackedWords&) = delete;

    // Null where words cannot hold the centers.
    static std::unique_ptr<const PackedWords> of(const WordKernels<T>& kernels,
                                                 const Centers<T>& centers, std::size_t dimensions,
                                                 bool cosine, const std::int32_t* order) {
        auto packed =
            std::make_unique<const PackedWords>(kernels, centers, dimensions, cosine, order);
        return packed->usable_ ? std::move(packed) : nullptr;
    }

    // places: OUT [count], of the nearest centers, where they are proven; bounds: or null
    void assign(const Block<T>& block, std::size_t count, WordScratch& scratch,
                std::int32_t* places, const GroupBounds* bounds) const {
        scratch.words.resize(kernels_.scratch_bytes(count, view_));
        scratch.open.resize(groups_of(kernels_.points, count));
        scratch.candidates.resize(view_.num_centers);
        kernels_.assign(block.rows, block.stride, count, view_, scratch.words.data(), places,
                        scratch.open.data(), bounds);
    }

    // Calls visit(i, places of the centers it may be nearest to) for each row that `assign` left
    // open. Adds to `compared`. Returns false, from then on, where that is too much.
    template <class Visit>
    bool for_open_rows(std::size_t count, WordScratch& scratch, std::size_t& compared,
                       const Visit& visit) const {
        const std::size_t points = kernels_.points;
        for (std::size_t from = 0; from < count; from += points)
            for (std::uint32_t open = scratch.open[from / points]; open; open &= open - 1) {
                const std::size_t i = from + static_cast<std::size_t>(std::countr_zero(open));
                const std::size_t found = kernels_.find_candidates(
                    view_, scratch.words.data(), count, i, scratch.candidates.data());
                compared += 1 + found;
                if (!comparisons_pay(count, compared, view_.num_centers)) {
                    failed_.store(true, std::memory_order_relaxed);
                    return false;
                }
                visit(i, std::span<const std::int32_t>(scratch.candidates.data(), found));
            }
        return true;
    }

    // Whether they left too much open, in any thread.
    bool failed() const { return failed_.load(std::memory_order_relaxed); }

  private:
    static std::size_t center_at(const std::int32_t* order, std::size_t place) {
        return order ? static_cast<std::size_t>(order[place]) : place;
    }

    template <class Task>
    static void for_each_panel(std::size_t panels, std::size_t elements, const Task& task) {
        for_each_part(panels, elements, 1e-9, task);
    }

    const WordKernels<T>& kernels_;
    bool usable_ = false; // centers are of a size that words can hold
    CentersInWords<T> view_;
    mutable std::atomic<bool> failed_{false};
    AlignedVector<T> shift_;
    AlignedVector<std::int32_t> words_;
    AlignedVector<float> norms_;
};

} // namespace centroids
