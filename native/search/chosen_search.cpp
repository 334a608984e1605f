#include "search/chosen_search.h"

#include "runtime/dispatch.h"
#include "search/work_plan.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace centroids {

AssignmentMemory::AssignmentMemory() : content(std::make_unique<Content>()) {}
AssignmentMemory::~AssignmentMemory() = default;

template <class T>
ChosenSearch<T>::ChosenSearch(const DenseRows& points, const Centers<T>& centers,
                              const ExactOrder<T>& order, Search asked,
                              AssignmentMemory::Content* memory)
    : kernels_(current_kernels<T>()), points_(points), centers_(centers), order_(order),
      memory_(memory), choice_(choose(asked)) {}

template <class T>
Choice ChosenSearch<T>::choose(Search asked) {
    const Shape shape{points_.num_rows, points_.dimensions, centers_.num_centers};
    if (asked == Search::grid || asked == Search::automatic) {
        grid_ =
            make_grid(asked == Search::grid ? HUGE_VAL : nanoseconds_in_lanes(shape, sizeof(T)));
        if (grid_) return {Search::grid, false};
        if (asked == Search::grid) return {Search::lanes, false};
    } else {
        const bool filter = asked == Search::float_filter || asked == Search::byte_filter;
        return {asked == Search::byte_filter && !kernels_.byte_filter ? Search::float_filter
                                                                      : asked,
                filter && memory_};
    }
    Experience none, &experience = memory_ ? memory_->experience : none;
    const Choice choice = choose_search<T>(shape, kernels_, memory_, experience);
    const bool known =
        memory_ && memory_->bounds<T>().fits(points_, centers_, kernels_.panel_width);
    if (choice.search != Search::byte_filter || known || sample_approves()) return choice;
    experience.bytes_disappointed = true;
    return choose_search<T>(shape, kernels_, memory_, experience);
}

// A grid of cells where it takes less time than this; else null.
template <class T>
std::unique_ptr<const GridOfCenters<T>> ChosenSearch<T>::make_grid(double nanoseconds) const {
    if (points_.dimensions == 0 || points_.dimensions > grid_dimensions) return nullptr;
    if (points_.num_rows == 0 || points_.normalize || centers_.penalties) return nullptr;
    auto grid = std::make_unique<const GridOfCenters<T>>(points_, centers_, nanoseconds);
    return grid->empty() ? nullptr : std::move(grid);
}

// Tries the filter in bytes on a few blocks of rows: data that it is not for shows there.
template <class T>
bool ChosenSearch<T>::sample_approves() {
    passing_.start(points_, centers_, kernels_.panel_width, false);
    BoundedSearch<T> search(points_, centers_, order_, true, passing_, false);
    const std::size_t rows = std::min<std::size_t>(64, points_.num_rows);
    struct Sample {
        typename BoundedSearch<T>::Scratch scratch;
        typename LazyBlock<T>::Scratch copies;
        std::vector<std::int32_t> nearest;
        std::vector<double> distances;
    };
    PerThread<Sample> all;
    constexpr std::size_t samples = 8;
    const std::size_t work = samples * rows * points_.dimensions * centers_.num_centers;
    parallel_for(samples, seconds_for(static_cast<double>(work)), [&](std::size_t at) {
        Sample& own = all.mine([] { return std::make_unique<Sample>(); });
        own.nearest.resize(rows);
        own.distances.resize(rows);
        const std::size_t first = (points_.num_rows - rows) / samples * at;
        LazyBlock<T> block(points_, first, rows, own.copies);
        search.search(block, own.nearest.data(), own.distances.data(), own.scratch, false);
    });
    return pays(search.counts());
}

template <class T>
bool ChosenSearch<T>::pays(const SearchCounts& counts) const {
    return static_cast<double>(counts.compared) <=
           most_compared * static_cast<double>(counts.rows * centers_.num_centers);
}

template <class T>
void ChosenSearch<T>::learn(const SearchCounts& counts) {
    if (!memory_) return;
    Experience& experience = memory_->experience;
    ++experience.calls;
    if (!choice_.with_bounds) return;
    const Shape shape{points_.num_rows, points_.dimensions, centers_.num_centers};
    const bool alone =
        choice_.search == Search::byte_filter && bytes_pay_alone(shape, kernels_.bytes_pay);
    if (!alone && experience.regroupings >= 2) {
        experience.plain_until = experience.calls + calls_after_failure;
        experience.regroupings = 0;
    }
    if (pays(counts)) return;
    (choice_.search == Search::byte_filter ? experience.bytes_disappointed
                                           : experience.filter_disappointed) = true;
}

template <class T>
PointBounds<T>& ChosenSearch<T>::bounds() {
    if (!choice_.with_bounds) {
        passing_.start(points_, centers_, kernels_.panel_width, false);
        return passing_;
    }
    PointBounds<T>& bounds = memory_->bounds<T>();
    const bool same = std::exchange(bounds.generation, memory_->current) == memory_->current;
    if (!bounds.fits(points_, centers_, kernels_.panel_width)) {
        bounds.start(points_, centers_, kernels_.panel_width, true);
        return bounds;
    }
    bounds.follow(centers_);
    Experience& experience = memory_->experience;
    const Outlook expected = outlook(points_, centers_, bounds);
    same_points_ = same && expected.looked_at < most_looked_at;
    const bool useless = expected.in_question > most_in_question(experience);
    experience.regroupings = useless ? experience.regroupings + 1 : 0;
    if (useless) bounds.regroup();
    return bounds;
}

template class ChosenSearch<float>;
template class ChosenSearch<double>;

} // namespace centroids
