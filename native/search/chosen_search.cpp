#include "search/chosen_search.h"

#include "runtime/dispatch.h"
#include "search/try_axes.h"
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
    : kernels_(current_kernels<T>()), asked_(asked), points_(points), centers_(centers),
      order_(order), memory_(memory), choice_(choose(asked)) {}

template <class T>
Choice ChosenSearch<T>::choose(Search asked) {
    const Shape shape{points_.num_rows, points_.dimensions, centers_.num_centers};
    if (asked == Search::grid || asked == Search::automatic) {
        grid_ =
            make_grid(asked == Search::grid ? HUGE_VAL : nanoseconds_in_lanes(shape, sizeof(T)));
        if (grid_) return {Search::grid, false};
        if (asked == Search::grid) return {Search::lanes, false};
    } else {
        if (asked == Search::words && memory_)
            return {kernels_.byte_filter ? Search::byte_filter : Search::float_filter, true};
        const bool in_bytes = asked == Search::byte_filter || asked == Search::axes_filter;
        const bool filter = asked == Search::float_filter || in_bytes;
        if (asked == Search::axes_filter && kernels_.byte_filter)
            axes_ = some_axes(*kernels_.byte_filter, centers_, points_.dimensions);
        return with_words({in_bytes && !kernels_.byte_filter        ? Search::float_filter
                           : asked == Search::axes_filter && !axes_ ? Search::byte_filter
                                                                    : asked,
                           filter && memory_});
    }
    Experience none, &experience = memory_ ? memory_->experience : none;
    const Choice choice = choose_search<T>(shape, kernels_, memory_, experience);
    const bool known =
        memory_ && memory_->bounds<T>().fits(points_, centers_, kernels_.panel_width);
    if (choice.search != Search::byte_filter) return with_words(choice);
    if (!known && !sample_approves(shape)) {
        experience.bytes_disappointed = true;
        return with_words(choose_search<T>(shape, kernels_, memory_, experience));
    }
    // The first centers may be rows, which are further away than the means that follow.
    if (known && experience.calls == 1 && !experience.axes_flat && axes_may_pay(shape, true))
        axes_ = try_axes_again();
    const bool on_axes = axes_ || (known && memory_->bounds<T>().axes);
    return {on_axes ? Search::axes_filter : Search::byte_filter, choice.with_bounds};
}

// The choice, or floats where it is words and these cannot hold the centers.
template <class T>
Choice ChosenSearch<T>::with_words(Choice choice) {
    if (choice.search != Search::words) return choice;
    const std::size_t d = points_.dimensions;
    if (kernels_.words)
        words_ = PackedWords<T>::of(*kernels_.words, centers_, d, points_.normalize, nullptr);
    if (words_) return choice;
    return {plain_search(Shape{points_.num_rows, d, centers_.num_centers}, kernels_), false};
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
bool ChosenSearch<T>::sample_approves(const Shape& shape) {
    passing_.start(points_, centers_, kernels_, false, nullptr);
    BoundedSearch<T> search(points_, centers_, order_, true, passing_, false, nullptr);
    const std::size_t samples = std::clamp<std::size_t>(num_threads(), 8, 32);
    const std::size_t rows = std::min<std::size_t>(512 / samples, points_.num_rows);
    struct Sample {
        typename BoundedSearch<T>::Scratch scratch;
        typename LazyBlock<T>::Scratch copies;
        std::vector<std::int32_t> nearest;
    };
    PerThread<Sample> all;
    std::vector<double> distances(samples * rows);
    const std::size_t work = samples * rows * points_.dimensions * centers_.num_centers;
    parallel_for(samples, seconds_for(static_cast<double>(work)), [&](std::size_t at) {
        Sample& own = all.mine([] { return std::make_unique<Sample>(); });
        own.nearest.resize(rows);
        const std::size_t first = (points_.num_rows - rows) / samples * at;
        LazyBlock<T> block(points_, first, rows, own.copies);
        search.search(block, own.nearest.data(), distances.data() + at * rows, own.scratch, false);
    });
    if (!comparisons_pay(search.counts().rows, search.counts().compared, centers_.num_centers))
        return false;
    if (!axes_may_pay(shape, memory_ != nullptr)) return true;
    axes_ = try_axes(samples, rows, [&](std::size_t row, const T*) {
        const std::size_t each = (points_.num_rows - rows) / samples;
        return distances[row / each * rows + row % each];
    });
    return true;
}

// Tries leading axes on the first 128 / samples rows of so many blocks of so many rows.
// distance_of(row, values): no less than the squared distance to its nearest center
template <class T>
template <class Distance>
std::unique_ptr<LeadingAxes<T>> ChosenSearch<T>::try_axes(std::size_t samples, std::size_t rows,
                                                          const Distance& distance_of) const {
    const std::size_t tried = 128 / samples, each = (points_.num_rows - rows) / samples;
    std::vector<TriedRow<T>> sample;
    std::vector<T> copies(samples * tried * points_.dimensions);
    for (std::size_t at = 0; at < samples * tried; ++at) {
        const std::size_t row = at / tried * each + at % tried;
        const T* const values =
            load_rows<T>(points_, row, 1, &copies[at * points_.dimensions]).rows;
        sample.push_back({values, distance_of(row, values)});
    }
    bool flat;
    auto found = axes_that_pay(*kernels_.byte_filter, centers_, points_.dimensions, sample, &flat);
    if (memory_) memory_->experience.axes_flat = flat;
    return found;
}

// With centers that have become means; null where there is nothing better than there was.
template <class T>
std::unique_ptr<LeadingAxes<T>> ChosenSearch<T>::try_axes_again() const {
    const PointBounds<T>& bounds = memory_->bounds<T>();
    const std::size_t rows = std::min<std::size_t>(64, points_.num_rows);
    auto found = try_axes(8, rows, [&](std::size_t row, const T* values) {
        const auto own = static_cast<std::size_t>(bounds.cluster_index[row]);
        const double distance = kernels_.squared_distance(
            values, centers_.values + own * points_.dimensions, points_.dimensions);
        return centers_.penalties ? distance + centers_.penalties[own] : distance;
    });
    return found && bounds.axes && found->levels.same_ends(bounds.axes->levels) ? nullptr
                                                                                : std::move(found);
}

template <class T>
void ChosenSearch<T>::learn(const SearchCounts& counts) {
    if (!memory_) return;
    Experience& experience = memory_->experience;
    ++experience.calls;
    if (words_ && words_->failed()) experience.words_disappointed = true;
    if (!choice_.with_bounds) return;
    if (choice_.search == Search::axes_filter) {
        const auto whole = static_cast<double>(points_.dimensions + work_aside);
        const double pairs = static_cast<double>(
            counts.rows * groups_of(kernels_.panel_width, centers_.num_centers));
        experience.axes_share =
            (static_cast<double>(counts.looked) / whole + static_cast<double>(counts.panels)) /
            pairs;
        experience.axes_loss += std::max(experience.axes_share - tight_, 0.0);
    }
    const Shape shape{points_.num_rows, points_.dimensions, centers_.num_centers};
    const bool alone =
        choice_.search != Search::float_filter && bytes_pay_at_once(shape, kernels_.bytes_pay);
    if (!alone && experience.regroupings >= 2) {
        experience.plain_until =
            experience.calls + (words_find_bounds() ? calls_after_words : calls_after_failure);
        experience.regroupings = 0;
    }
    if (comparisons_pay(counts.rows, counts.compared, centers_.num_centers)) return;
    (choice_.search != Search::float_filter ? experience.bytes_disappointed
                                            : experience.filter_disappointed) = true;
}

template <class T>
PointBounds<T>& ChosenSearch<T>::bounds() {
    if (!choice_.with_bounds) {
        passing_.start(points_, centers_, kernels_, false, std::move(axes_));
        return passing_;
    }
    PointBounds<T>& bounds = memory_->bounds<T>();
    const bool same = std::exchange(bounds.generation, memory_->current) == memory_->current;
    if (!bounds.fits(points_, centers_, kernels_.panel_width)) {
        bounds.start(points_, centers_, kernels_, true, std::move(axes_));
        pack_words_for(bounds);
        return bounds;
    }
    bounds.follow(centers_);
    follow_axes(bounds);
    Experience& experience = memory_->experience;
    const Outlook expected = outlook(points_, centers_, bounds, false);
    same_points_ = same && expected.looked_at < most_looked_at;
    const bool useless =
        !bounds.axes &&
        expected.in_question > most_in_question(experience, choice_.search, words_find_bounds());
    experience.regroupings = useless ? experience.regroupings + 1 : 0;
    if (useless) {
        bounds.regroup();
        pack_words_for(bounds);
    }
    return bounds;
}

// Whether a search of all rows is for words.
template <class T>
bool ChosenSearch<T>::words_find_bounds() const {
    const Shape shape{points_.num_rows, points_.dimensions, centers_.num_centers};
    if (asked_ != Search::automatic) return asked_ == Search::words && kernels_.words;
    return centroids::words_find_bounds(shape, kernels_) && !memory_->experience.words_disappointed;
}

template <class T>
void ChosenSearch<T>::pack_words_for(const PointBounds<T>& bounds) {
    if (!words_find_bounds() || bounds.axes) return;
    words_ = PackedWords<T>::of(*kernels_.words, centers_, points_.dimensions, points_.normalize,
                                bounds.order.data());
}

// Looks along axes leave loose bounds, which the next iteration finds in question again. What tight
// ones would have saved is added up, and when it would have paid for a search in full, there is
// one: whatever comes, that is at most twice what knowing it before would have taken.
template <class T>
void ChosenSearch<T>::follow_axes(PointBounds<T>& bounds) {
    Experience& experience = memory_->experience;
    if (axes_) {
        bounds.take_axes(std::move(axes_));
        experience.axes_loss = 0;
    } else if (bounds.axes && choice_.search == Search::axes_filter &&
               experience.axes_loss > 1 - experience.axes_share) {
        bounds.drop_axes();
        choice_.search = Search::byte_filter;
    }
    tight_ = bounds.axes ? outlook(points_, centers_, bounds, true).in_question : 1;
}

template class ChosenSearch<float>;
template class ChosenSearch<double>;

} // namespace centroids
