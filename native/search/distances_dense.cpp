// Squared distances to all centers, by direct differences, and the search for values that are not
// finite.
#include "runtime/aligned_vector.h"
#include "runtime/dispatch.h"
#include "search/exact_order.h"
#include "search/work_plan.h"
#include "search/zero_rows.h"

namespace centroids {
namespace {

constexpr std::size_t block_rows = 64;

// Plain centers in panels, for the kernel of differences.
template <class T>
class DifferencePanels {
  public:
    DifferencePanels(const BlockKernels<T>& kernels, const T* centers, std::size_t num_centers,
                     std::size_t dimensions)
        : kernels_(kernels), num_centers_(num_centers), dimensions_(dimensions),
          narrow_(num_centers <= kernels.narrow_panel_width) {
        const std::size_t width = narrow_ ? kernels.narrow_panel_width : kernels.panel_width;
        panels_.assign(round_up(num_centers, width) * dimensions, T(0));
        for (std::size_t c = 0; c < num_centers; ++c)
            for (std::size_t j = 0; j < dimensions; ++j)
                panels_[(c / width * dimensions + j) * width + c % width] =
                    centers[c * dimensions + j];
    }

    void run(const Block<T>& block, std::size_t count, T* distances) const {
        kernels_.distance_block(block.rows, block.stride, count, panels_.data(), num_centers_,
                                dimensions_, narrow_, distances,
                                static_cast<std::ptrdiff_t>(num_centers_));
    }

  private:
    const BlockKernels<T>& kernels_;
    std::size_t num_centers_, dimensions_;
    bool narrow_;
    AlignedVector<T> panels_;
};

double pass_seconds(const DenseRows& points, std::size_t num_centers) {
    return seconds_for(2.0 * static_cast<double>(points.num_rows) *
                       static_cast<double>(points.dimensions) *
                       static_cast<double>(num_centers + 4));
}

// Calls visit(first row, count, block) for each block of [begin, end).
template <class T, class Visit>
void for_each_block(const DenseRows& points, std::size_t begin, std::size_t end,
                    const Visit& visit) {
    static thread_local std::vector<T> scratch;
    scratch.resize(reads_in_place<T>(points) ? 0 : block_rows * points.dimensions);
    for (std::size_t first = begin; first < end; first += block_rows) {
        const std::size_t count = std::min(block_rows, end - first);
        visit(first, count, load_rows<T>(points, first, count, scratch.data()));
    }
}

// From squared chords to cosine distances times two; 2 where a zero vector is involved.
template <class T>
void adjust_for_cosine(const Block<T>& block, std::size_t first, std::size_t count,
                       std::size_t dimensions, const Centers<T>& centers,
                       const ExactOrder<T>& order, T* distances) {
    typename ExactOrder<T>::Scratch scratch;
    for (std::size_t i = 0; i < count; ++i) {
        T* const row = distances + i * centers.num_centers;
        if (is_zero(block.rows + static_cast<std::ptrdiff_t>(i) * block.stride, dimensions)) {
            std::fill_n(row, centers.num_centers, T(2));
            continue;
        }
        if (centers.penalties)
            for (std::size_t c = 0; c < centers.num_centers; ++c)
                row[c] += static_cast<T>(centers.penalties[c]);
        settle_least(dimensions, centers.num_centers, row, 0.0,
                     [&](std::size_t c) { return order.cosine(first + i, c, scratch); });
    }
}

} // namespace

template <class T>
std::int64_t all_distances(const DenseRows& points, const Centers<T>& centers, T* distances) {
    const DifferencePanels<T> panels(current_kernels<T>(), centers.values, centers.num_centers,
                                     points.dimensions);
    const ExactOrder<T> order(points, centers);
    const ShrinkingChunks chunks = cut_rows(points.num_rows);
    FirstBadRow bad_row;
    parallel_for(chunks.count(), pass_seconds(points, centers.num_centers), [&](std::size_t chunk) {
        for_each_block<T>(points, chunks.begin(chunk), chunks.end(chunk),
                          [&](std::size_t first, std::size_t count, const Block<T>& block) {
                              T* const out = distances + first * centers.num_centers;
                              panels.run(block, count, out);
                              if (points.normalize)
                                  adjust_for_cosine(block, first, count, points.dimensions, centers,
                                                    order, out);
                              for (std::size_t at = 0; at < count * centers.num_centers; ++at)
                                  if (!(out[at] <= std::numeric_limits<T>::max())) {
                                      bad_row.report(first + at / centers.num_centers);
                                      break;
                                  }
                          });
    });
    return bad_row.get();
}

bool find_nonfinite(const DenseRows& points, std::int64_t* row, std::int64_t* column) {
    FirstBadRow bad_row;
    const ShrinkingChunks chunks = cut_rows(points.num_rows);
    const auto first_bad_column = [&](const double* values) {
        return std::find_if(values, values + points.dimensions,
                            [](double value) { return !std::isfinite(value); }) -
               values;
    };
    parallel_for(chunks.count(), pass_seconds(points, 0), [&](std::size_t chunk) {
        for_each_block<double>(
            points, chunks.begin(chunk), chunks.end(chunk),
            [&](std::size_t first, std::size_t count, const Block<double>& block) {
                for (std::size_t i = 0; i < count; ++i)
                    if (first_bad_column(block.rows +
                                         static_cast<std::ptrdiff_t>(i) * block.stride) !=
                        static_cast<std::ptrdiff_t>(points.dimensions))
                        bad_row.report(first + i);
            });
    });
    *row = bad_row.get();
    if (*row < 0) return false;
    std::vector<double> scratch(points.dimensions);
    *column = first_bad_column(
        load_rows<double>(points, static_cast<std::size_t>(*row), 1, scratch.data()).rows);
    return true;
}

template std::int64_t all_distances(const DenseRows&, const Centers<float>&, float*);
template std::int64_t all_distances(const DenseRows&, const Centers<double>&, double*);

} // namespace centroids
