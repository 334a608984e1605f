// Which kernel a dense assignment runs, from its shape and from what earlier ones with the same
// points showed; and what it leaves to the next. Results never depend on it.
#pragma once

#include "search/bounded_search.h"
#include "search/centers_in_words.h"
#include "search/choose_search.h"
#include "search/grid_of_centers.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

namespace centroids {

struct AssignmentMemory::Content {
    std::mutex in_use;
    // Of the points: the next one begins with each call that does not promise the same.
    std::atomic<std::uint64_t> generation{0};
    std::uint64_t current = 0; // that of the call that is under way
    PointBounds<float> float32;
    PointBounds<double> float64;
    Experience experience;

    template <class T>
    PointBounds<T>& bounds() {
        if constexpr (sizeof(T) == 4)
            return float32;
        else
            return float64;
    }

    // After a search that was not finished.
    void forget() {
        float32 = PointBounds<float>();
        float64 = PointBounds<double>();
        experience = Experience();
    }
};

template <class T>
class ChosenSearch {
  public:
    // memory: or null
    ChosenSearch(const DenseRows& points, const Centers<T>& centers, const ExactOrder<T>& order,
                 Search asked, AssignmentMemory::Content* memory);

    const Choice& choice() const { return choice_; }
    const GridOfCenters<T>* grid() const { return grid_.get(); } // null: not chosen
    // Likewise; or, after `bounds` gave such that say nothing yet, words that find them.
    const PackedWords<T>* words() const { return words_.get(); }
    bool filters() const {
        return choice_.search == Search::float_filter || choice_.search == Search::byte_filter ||
               choice_.search == Search::axes_filter;
    }
    // For a search that filters: of earlier calls, brought up to date, or such that say nothing.
    PointBounds<T>& bounds();
    // Whether what these know of blocks holds, as the points are promised to be the same, and it
    // pays to look at some of them alone.
    bool same_points() const { return same_points_; }
    // What this call showed decides on the next one's kernel.
    void learn(const SearchCounts& counts);

  private:
    Choice choose(Search asked);
    std::unique_ptr<const GridOfCenters<T>> make_grid(double nanoseconds) const;
    bool sample_approves(const Shape& shape);
    template <class Distance>
    std::unique_ptr<LeadingAxes<T>> try_axes(std::size_t samples, std::size_t rows,
                                             const Distance& distance_of) const;
    std::unique_ptr<LeadingAxes<T>> try_axes_again() const;
    void follow_axes(PointBounds<T>& bounds);
    Choice with_words(Choice choice);
    bool words_find_bounds() const;
    void pack_words_for(const PointBounds<T>& bounds);

    const BlockKernels<T>& kernels_;
    const Search asked_;
    const DenseRows& points_;
    const Centers<T>& centers_;
    const ExactOrder<T>& order_;
    AssignmentMemory::Content* const memory_;
    PointBounds<T> passing_; // in place of a memory
    bool same_points_ = false;
    std::unique_ptr<const GridOfCenters<T>> grid_;
    std::unique_ptr<const PackedWords<T>> words_;
    std::unique_ptr<LeadingAxes<T>> axes_; // for bounds that start; null: none
    Choice choice_;
    double tight_ = 1; // share of the pairs that tight bounds would leave in question
};

} // namespace centroids
