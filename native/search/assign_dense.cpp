// Dense assignment: blocks of rows through the fast arg-min of the instruction set, then exact
// re-scoring of the few rows that rounding leaves uncertain, then the update while the block is
// hot.
//
// Over 400 lines: one class, whose steps share what a call knows.
#include "runtime/aligned_vector.h"
#include "runtime/dispatch.h"
#include "search/add_by_cluster.h"
#include "search/chosen_search.h"
#include "search/moved_rows.h"
#include "search/pack_centers.h"
#include "search/weighted_sums.h"
#include "search/work_plan.h"
#include "search/zero_rows.h"

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <utility>

namespace centroids {
namespace {

template <class T>
struct Scratch {
    typename LazyBlock<T>::Scratch rows;
    AlignedVector<T> search, shifted, scores;
    WordScratch words;
    std::vector<T> threshold;
    std::vector<double> distances;
    std::vector<unsigned char> uncertain;
    std::vector<std::int32_t> cells, cluster_index;
    typename BoundedSearch<T>::Scratch bounded;
};

template <class T>
class Assignment {
  public:
    Assignment(const DenseRows& points, const Centers<T>& centers, std::int32_t* cluster_index,
               const Update& update, const Tuning& tuning, AssignmentMemory::Content* memory)
        : kernels_(current_kernels<T>()), points_(points), centers_(centers),
          cluster_index_(cluster_index), update_(update), order_(points, centers),
          chosen_(points, centers, order_, tuning.search, memory), grid_(chosen_.grid()),
          words_(chosen_.words()),
          lanes_(chosen_.choice().search == Search::lanes ||
                 (words_ && plain_search(shape(), kernels_) == Search::lanes)),
          filtered_(chosen_.filters()),
          block_rows_(filtered_ ? PointBounds<T>::block_rows(points.dimensions)
                                : rows_in_block<T>(points.dimensions, tuning.block_rows)),
          in_threads_(!update.weights && sums_fit_threads(centers.num_centers * points.dimensions *
                                                          sizeof(std::int64_t))) {
        if (filtered_) {
            PointBounds<T>& bounds = chosen_.bounds();
            if (chosen_.choice().with_bounds) remembered_ = &bounds;
            search_.emplace(points_, centers_, order_,
                            chosen_.choice().search != Search::float_filter, bounds,
                            chosen_.same_points(), chosen_.words());
        } else if (!grid_ && !words_) {
            pack();
        }
    }

    std::int64_t run() {
        const std::size_t num_clusters = centers_.num_centers;
        const bool had_sums = remembered_ && take_remembered_sums();
        const bool by_moves =
            update_.sums && had_sums && few_moved(remembered_->num_moved, points_);
        if (by_moves) in_threads_ = false;
        if (update_.sums && !update_.weights) {
            window_.emplace(SumWindow<T>::of_points(points_, kernels_));
            *update_.sums =
                ExactSums(num_clusters, points_.dimensions, window_->units(), window_->limbs());
            shared_.emplace(*update_.sums);
        }
        if (!cluster_index_ && update_.sums && !in_threads_ &&
            !remembered_) { // rows are grouped by cluster later
            own_cluster_index_.resize(points_.num_rows);
            cluster_index_ = own_cluster_index_.data();
        }
        // Bounds are kept for whole blocks, and so many points fill the lanes.
        const std::size_t grain = chosen_.choice().with_bounds ? block_rows_
                                  : lanes_ || words_ || grid_  ? 64
                                                               : 8;
        const ShrinkingChunks chunks = cut_rows(points_.num_rows, grain);
        PerThread<Worker> workers;
        parallel_for(chunks.count(), seconds(), [&](std::size_t chunk) {
            Worker& worker = workers.mine([&] {
                static thread_local Scratch<T> scratch;
                auto made = std::make_unique<Worker>(scratch);
                if (update_.sums && in_threads_)
                    made->adder.emplace(*window_, num_clusters, *shared_);
                else if (update_.counts)
                    made->counts.assign(num_clusters, 0);
                return made;
            });
            run_chunk(chunks.begin(chunk), chunks.end(chunk), worker);
        });
        if (bad_row_.get() >= 0) return bad_row_.get();
        chosen_.learn(counts_of_search());
        collect(workers);
        const bool follows =
            remembered_ && follow_moves(workers, had_sums && (by_moves || !update_.sums));
        if (remembered_)
            remembered_->has_sums = follows || (update_.sums && remembered_->may_have_sums());
        if (!update_.sums) return -1;
        if (follows) {
            *update_.sums = remembered_->sums;
            if (update_.weight_sums)
                *update_.weight_sums = add_weights(update_.weights, points_.num_rows, found_index(),
                                                   centers_.num_centers);
            followed_ = static_cast<std::int64_t>(remembered_->num_moved);
            return -1;
        }
        const std::int64_t bad_row = in_threads_ ? -1 : add_all_rows();
        if (remembered_ && remembered_->has_sums) {
            remembered_->has_sums = bad_row < 0;
            remembered_->sums = *update_.sums;
        }
        return bad_row;
    }

    Report report() const {
        const SearchCounts counts = counts_of_search();
        return {.search = chosen_.choice().search,
                .with_bounds = chosen_.choice().with_bounds,
                .rows = counts.rows,
                .questioned = counts.questioned,
                .panels = counts.panels,
                .compared = counts.compared,
                .followed = followed_,
                .read = counts.read};
    }

  private:
    Shape shape() const { return {points_.num_rows, points_.dimensions, centers_.num_centers}; }

    void pack() {
        packed_ = std::make_unique<const CentersInPanels<T>>(
            centers_, points_.dimensions, kernels_.panel_width, !lanes_, points_.normalize);
    }

    SearchCounts counts_of_search() const { return search_ ? search_->counts() : SearchCounts{}; }

    double seconds() const {
        return seconds_for(static_cast<double>(points_.num_rows) *
                           static_cast<double>(points_.dimensions) *
                           static_cast<double>(centers_.num_centers + 8));
    }

    // What a thread has for itself.
    struct Worker {
        Scratch<T>& scratch;              // which stays for the next call
        std::optional<RowAdder<T>> adder; // where sums are taken at once
        std::vector<std::int64_t> counts; // [num_centers] where it is not; or empty
        InertiaAdder inertia;
        explicit Worker(Scratch<T>& kept) : scratch(kept) {}
        std::vector<MovedRow> moved;
    };

    void run_chunk(std::size_t begin, std::size_t end, Worker& worker) {
        Scratch<T>& scratch = worker.scratch;
        scratch.distances.resize(block_rows_);
        if (!cluster_index_) scratch.cluster_index.resize(block_rows_);
        scratch.bounded.exact.forget();
        scratch.bounded.moved.clear();
        for (std::size_t first = begin; first < end; first += block_rows_) {
            const std::size_t count = std::min(block_rows_, end - first);
            LazyBlock<T> block(points_, first, count, scratch.rows);
            std::int32_t* const cluster_index =
                cluster_index_ ? cluster_index_ + first : scratch.cluster_index.data();
            if (filtered_)
                search_block(block, cluster_index, worker);
            else
                scan_block(block.all(), first, count, cluster_index, worker);
            if (!worker.counts.empty())
                for (std::size_t i = 0; i < count; ++i)
                    ++worker.counts[static_cast<std::size_t>(cluster_index[i])];
            if (!worker.adder && !update_.inertia) continue;
            worker.inertia.add(scratch.distances.data(),
                               update_.weights ? update_.weights + first : nullptr, count,
                               [&](std::size_t i) { bad_row_.report(first + i); });
        }
        const std::vector<MovedRow>& moved = scratch.bounded.moved;
        worker.moved.insert(worker.moved.end(), moved.begin(), moved.end());
    }

    // Adds up what the threads have.
    void collect(const PerThread<Worker>& workers) {
        if (update_.inertia) *update_.inertia = {};
        if (update_.inertia)
            for (const auto& [owner, worker] : workers.all())
                worker->inertia.add_to(*update_.inertia);
        const auto count = [&](std::size_t c) {
            std::int64_t sum = 0;
            for (const auto& [owner, worker] : workers.all())
                sum += worker->adder ? worker->adder->count(c) : worker->counts[c];
            return sum;
        };
        if (update_.counts)
            for (std::size_t c = 0; c < centers_.num_centers; ++c) update_.counts[c] = count(c);
        if (!update_.sums || !in_threads_) return;
        if (workers.all().empty() || !workers.all()[0].second->adder->lend()) update_.sums->make();
        const std::size_t num_workers = workers.all().size();
        const std::size_t together =
            std::clamp<std::size_t>(centers_.num_centers / (8 * num_workers + 1), 1, 4);
        const double additions =
            static_cast<double>(num_workers * centers_.num_centers * points_.dimensions);
        parallel_for(
            groups_of(together, centers_.num_centers), additions * 1e-9, [&](std::size_t task) {
                const std::size_t end = std::min((task + 1) * together, centers_.num_centers);
                for (const auto& [owner, worker] : workers.all())
                    for (std::size_t c = task * together; c < end; ++c) worker->adder->hand_over(c);
            });
        for (const auto& [owner, worker] : workers.all()) worker->adder->hand_over_odd();
    }

    // Whether the remembered sums are of the same weights; they stay where the call ends well.
    bool take_remembered_sums() {
        const std::uint64_t before = std::exchange(
            remembered_->weights,
            update_.weights ? fingerprint_of_weights(update_.weights, points_.num_rows) : 0);
        return std::exchange(remembered_->has_sums, false) && before == remembered_->weights;
    }

    const std::int32_t* found_index() const { // null where there are no rows
        return cluster_index_ || points_.num_rows == 0 ? cluster_index_
                                                       : remembered_->cluster_index.data();
    }

    // Returns the first row whose products with its weight are not finite, or -1.
    std::int64_t add_all_rows() {
        if (!update_.weights) {
            add_rows_by_cluster(points_, found_index(), centers_.num_centers, *window_, *shared_);
            return -1;
        }
        WeightedSums<T> sums(points_, update_.weights, centers_.num_centers);
        sums.add_all(found_index(), update_.weight_sums);
        if (sums.bad_row() < 0) *update_.sums = std::move(sums).total();
        return sums.bad_row();
    }

    void report_bad(const double* distances, std::size_t first, std::size_t count) {
        for (std::size_t i = 0; i < count; ++i)
            if (!(distances[i] < std::numeric_limits<double>::infinity()))
                bad_row_.report(first + i);
    }

    // By the filter, with or without bounds.
    void search_block(LazyBlock<T>& block, std::int32_t* cluster_index, Worker& worker) {
        Scratch<T>& scratch = worker.scratch;
        const std::size_t first = block.first(), count = block.count();
        double* const distances = scratch.distances.data();
        const bool more = reads_in_place<T>(points_) && first + 2 * count <= points_.num_rows;
        search_->search(block, cluster_index, distances, scratch.bounded, more);
        report_bad(distances, first, count);
        if (points_.normalize)
            for (std::size_t i = 0; i < count; ++i)
                distances[i] = cosine_adjusted(distances[i], [&] { return block.row(i); });
        if (worker.adder) worker.adder->add(block.all(), count, cluster_index, nullptr, nullptr);
    }

    // By comparing every point with every center, or every center of its cell.
    void scan_block(const Block<T>& block, std::size_t first, std::size_t count,
                    std::int32_t* cluster_index, Worker& worker) {
        Scratch<T>& scratch = worker.scratch;
        if (grid_) {
            scratch.cells.resize(3 * block_rows_ + 32);
            const std::size_t open = kernels_.assign_grid(
                block.rows, block.stride, count, grid_->view, scratch.cells.data(), cluster_index);
            for (std::size_t at = 0; at < open; ++at) {
                const auto i = static_cast<std::size_t>(scratch.cells[at]);
                cluster_index[i] = nearest_in_list(row_of(block, i), first + i, cluster_index[i]);
            }
        } else if (!words_ || !compare_words(block, first, count, cluster_index, scratch)) {
            compare_all(block, first, count, cluster_index, scratch);
        }
        // A zero vector has no direction: all centers are equally far, the first is nearest.
        if (points_.normalize)
            for (std::size_t i = 0; i < count; ++i)
                if (is_zero(row_of(block, i), points_.dimensions)) cluster_index[i] = 0;
        if (worker.adder || update_.inertia) update_block(block, count, cluster_index, worker);
    }

    // For a row that the grid leaves open. entry: of its table
    std::int32_t nearest_in_list(const T* row, std::size_t index, std::int32_t entry) {
        const std::int32_t* const list = grid_->view.lists + (~entry >> 1);
        const std::span<const std::int32_t> centers(list + 1, static_cast<std::size_t>(*list) * 4);
        Best best;
        typename ExactOrder<T>::Scratch none; // not of unit vectors
        for (const std::int32_t c : centers) {
            const auto center = static_cast<std::size_t>(c);
            if (center < centers_.num_centers) offer(row, index, center, best, none);
        }
        return settled(best, index);
    }

    // The nearest center of those that were looked at, and its squared distance in float64.
    struct Best {
        std::size_t center = 0;
        double distance = std::numeric_limits<double>::infinity();
    };

    void offer(const T* row, std::size_t index, std::size_t c, Best& best,
               typename ExactOrder<T>::Scratch& scratch) const {
        double distance = kernels_.squared_distance(row, centers_.values + c * points_.dimensions,
                                                    points_.dimensions);
        if (centers_.penalties) distance += centers_.penalties[c];
        if (order_.before(index, row, c, distance, best.center, best.distance, scratch))
            best = {c, distance};
    }

    std::int32_t settled(const Best& best, std::size_t index) {
        if (!(best.distance < std::numeric_limits<double>::infinity())) bad_row_.report(index);
        return static_cast<std::int32_t>(best.center);
    }

    // Returns false, for floats to do it again, where words leave too much open.
    bool compare_words(const Block<T>& block, std::size_t first, std::size_t count,
                       std::int32_t* cluster_index, Scratch<T>& scratch) {
        if (words_->failed()) return false;
        words_->assign(block, count, scratch.words, cluster_index, nullptr);
        std::size_t compared = 0;
        return words_->for_open_rows(count, scratch.words, compared,
                                     [&](std::size_t i, std::span<const std::int32_t> centers) {
                                         cluster_index[i] = nearest_of(row_of(block, i), first + i,
                                                                       centers, scratch);
                                     });
    }

    std::int32_t nearest_of(const T* row, std::size_t index, std::span<const std::int32_t> centers,
                            Scratch<T>& scratch) {
        Best best;
        for (const std::int32_t c : centers)
            offer(row, index, static_cast<std::size_t>(c), best, scratch.bounded.exact);
        return settled(best, index);
    }

    void compare_all(const Block<T>& block, std::size_t first, std::size_t count,
                     std::int32_t* cluster_index, Scratch<T>& scratch) {
        if (words_) std::call_once(packed_once_, [this] { pack(); });
        scratch.search.resize(lanes_ ? kernels_.lanes_scratch(points_.dimensions)
                                     : kernels_.panels_scratch(block_rows_, points_.dimensions));
        scratch.threshold.resize(block_rows_);
        scratch.uncertain.resize(block_rows_);
        const BlockResult<T> result{cluster_index, scratch.threshold.data(),
                                    scratch.uncertain.data()};
        (lanes_ ? kernels_.assign_lanes : kernels_.assign_panels)(
            block.rows, block.stride, count, packed_->view, scratch.search.data(), result);
        for (std::size_t i = 0; i < count; ++i)
            if (result.uncertain[i])
                cluster_index[i] =
                    rescore(row_of(block, i), first + i, result.threshold[i], scratch);
    }

    static const T* row_of(const Block<T>& block, std::size_t i) {
        return block.rows + static_cast<std::ptrdiff_t>(i) * block.stride;
    }

    // The candidates within reach of the best score, by exact_order.h.
    std::int32_t rescore(const T* row, std::size_t index, T threshold, Scratch<T>& scratch) {
        const PackedCenters<T>& packed = packed_->view;
        if (!lanes_) {
            scratch.shifted.resize(points_.dimensions);
            scratch.scores.resize(packed.num_panels * kernels_.panel_width);
            kernels_.score_row(row, packed, scratch.shifted.data(), scratch.scores.data());
        }
        Best best;
        for (std::size_t c = 0; c < packed.num_centers; ++c)
            if (lanes_ || !(scratch.scores[c] > threshold))
                offer(row, index, c, best, scratch.bounded.exact);
        return settled(best, index);
    }

    void update_block(const Block<T>& block, std::size_t count, const std::int32_t* cluster_index,
                      Worker& worker) {
        double* const distances = worker.scratch.distances.data();
        if (worker.adder)
            worker.adder->add(block, count, cluster_index, centers_.values, distances);
        else
            kernels_.update_rows(block.rows, block.stride, count, cluster_index, centers_.values,
                                 points_.dimensions, nullptr, distances);
        if (!points_.normalize) return;
        for (std::size_t i = 0; i < count; ++i) {
            if (centers_.penalties) distances[i] += centers_.penalties[cluster_index[i]];
            distances[i] = cosine_adjusted(distances[i], [&] { return row_of(block, i); });
        }
    }

    // Twice the cosine distance; 1 where a zero vector is involved.
    template <class Row>
    double cosine_adjusted(double distance, const Row& row) const {
        // Only a zero row is this near 1: the quick test spares the others a look.
        return std::fabs(distance - 1) < 1e-3 && is_zero(row(), points_.dimensions) ? 2.0
                                                                                    : distance;
    }

    // Counts the rows that have moved, and takes the remembered sums on by them where these are
    // known and it pays. Returns whether they hold now.
    bool follow_moves(const PerThread<Worker>& workers, bool known) {
        const std::size_t fresh = search_->counts().fresh;
        std::vector<MovedRow> moved;
        for (const auto& [owner, worker] : workers.all())
            moved.insert(moved.end(), worker->moved.begin(), worker->moved.end());
        remembered_->num_moved = moved.size() + fresh;
        if (!known || fresh > 0 || !few_moved(moved.size(), points_)) return false;
        if (moved.empty()) return true;
        if (update_.weights) {
            follow_moved_rows<T>(points_, update_.weights, std::move(moved), remembered_->sums);
            return true;
        }
        if (!window_) window_.emplace(SumWindow<T>::of_points(points_, kernels_));
        follow_moved_rows(points_, *window_, std::move(moved), remembered_->sums);
        return true;
    }

    const BlockKernels<T>& kernels_;
    const DenseRows& points_;
    const Centers<T>& centers_;
    std::int32_t* cluster_index_; // null: not asked for, and each block's are forgotten
    std::vector<std::int32_t> own_cluster_index_;
    const Update& update_;
    const ExactOrder<T> order_;
    ChosenSearch<T> chosen_;
    const GridOfCenters<T>* const grid_;   // null: not chosen
    PointBounds<T>* remembered_ = nullptr; // null: nothing is
    std::int64_t followed_ = -1;           // as in Report
    const PackedWords<T>* const words_;    // null: not chosen
    const bool lanes_, filtered_;
    const std::size_t block_rows_;
    bool in_threads_;                                  // each thread takes sums of its own
    std::unique_ptr<const CentersInPanels<T>> packed_; // for panels and lanes
    std::once_flag packed_once_;                       // where words are given up
    std::optional<BoundedSearch<T>> search_;
    std::optional<SumWindow<T>> window_; // where sums are asked for
    std::optional<SharedSums> shared_;
    FirstBadRow bad_row_;
};

} // namespace

template <class T>
std::int64_t assign(const DenseRows& points, const Centers<T>& centers, std::int32_t* cluster_index,
                    const Update& update, const Tuning& tuning, AssignmentMemory* memory,
                    bool same_points, Report* report) {
    AssignmentMemory::Content* content = memory ? memory->content.get() : nullptr;
    std::unique_lock<std::mutex> held;
    if (content) {
        const std::uint64_t generation =
            same_points ? content->generation.load() : ++content->generation;
        held = std::unique_lock(content->in_use, std::try_to_lock);
        if (held)
            content->current = generation;
        else
            content = nullptr; // another thread's call has it: do without
    }
    Assignment<T> assignment(points, centers, cluster_index, update, tuning, content);
    try {
        const std::int64_t bad_row = assignment.run();
        if (report) *report = assignment.report();
        return bad_row;
    } catch (...) { // no memory left: what is remembered may be half of the old, half of the new
        if (content) content->forget();
        throw;
    }
}

template std::int64_t assign(const DenseRows&, const Centers<float>&, std::int32_t*, const Update&,
                             const Tuning&, AssignmentMemory*, bool, Report*);
template std::int64_t assign(const DenseRows&, const Centers<double>&, std::int32_t*, const Update&,
                             const Tuning&, AssignmentMemory*, bool, Report*);

} // namespace centroids
