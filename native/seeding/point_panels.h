// The points of k-means++ in bytes, in panels that the candidates of a round meet; and groups of
// points, of which most are too far from a candidate to look at.
//
// A group is sixteen places. Once there are a few hundred centers, places are dealt out anew: those
// of one center side by side, the nearest ones first, from a new group on. With the mean m of a
// group, |x - c| >= |m - c| - |x - m|: none of it is nearer to c than to its own center if |m - c|
// is not below the largest D(x) + |x - m|. That falls as the distances D fall.
//
// Source: Raff, Exact acceleration of k-means++ and k-means||, IJCAI 2021, for the triangle
// inequality between candidates and centers.
#pragma once

#include "seeding/byte_panels.h"
#include "seeding/prepared_rows.h"

#include <numeric>
#include <optional>

namespace centroids {

template <class T>
class PointPanels {
  public:
    static constexpr std::size_t group_size = 16;
    static constexpr std::uint32_t nobody = std::numeric_limits<std::uint32_t>::max();
    using Scratch = typename PreparedRows<T>::Scratch;

    explicit PointPanels(const PreparedRows<T>& points) : points_(points) {}

    // All rows in their order, after the first center.
    void start(const double* closest) {
        const std::size_t n = points_.points.num_rows;
        row_of_.resize(round_up(n, group_size));
        std::iota(row_of_.begin(), row_of_.end(), 0u);
        std::fill(row_of_.begin() + static_cast<std::ptrdiff_t>(n), row_of_.end(), nobody);
        center_of_.assign(n, 0);
        num_centers_ = 1;
        next_look_ = least_centers;
        in_order_ = true;
        groups_.reset();
        put_all(closest);
    }

    // Rows come in their own order.
    bool in_order() const { return in_order_; }
    std::size_t num_groups() const { return row_of_.size() / group_size; }
    Chunks chunks() const {
        const std::size_t wanted =
            groups_of(4 * static_cast<std::size_t>(num_threads()), num_groups());
        return {num_groups(), round_up(std::max<std::size_t>(wanted, 1), group_size)};
    }

    // Roughly what a search takes, to decide whether to wake threads.
    double seconds() const {
        const std::size_t looked_at = groups_ ? num_groups() * 4 : row_of_.size();
        return seconds_for(static_cast<double>(looked_at * points_.points.dimensions * count_));
    }

    // Candidates of a round. vectors: IN [count][dimensions], as rows are
    void set_candidates(const T* vectors, std::size_t count) {
        count_ = count;
        candidates_.resize(count * points_.stride);
        facts_.resize(count);
        thresholds_.resize(count);
        Scratch scratch;
        for (std::size_t c = 0; c < count; ++c) {
            points_.prepare_row(vectors + c * points_.points.dimensions, scratch,
                                candidates_.data() + c * points_.stride, &facts_[c]);
            thresholds_[c] = panels_->threshold(facts_[c]);
        }
    }

    // Calls visit(row, candidate) for all pairs in a chunk of groups that no bound excludes.
    template <class Visit>
    void search(std::size_t first, std::size_t last, const Visit& visit) const {
        static thread_local std::vector<std::uint16_t> masks;
        if (!groups_) {
            constexpr std::size_t together = 16;
            for (; first < last; first += together)
                search_run(first, std::min(first + together, last), masks, visit);
            return;
        }
        // A chunk begins at a panel of groups.
        static thread_local std::vector<std::uint16_t> of_groups;
        const std::size_t width = points_.layout.width;
        run(groups_->view(), first / width, groups_of(width, last), of_groups);
        const auto is_near = [&](std::size_t group) {
            const std::uint16_t* const own =
                of_groups.data() + (group / width - first / width) * count_;
            unsigned any = 0;
            for (std::size_t c = 0; c < count_; ++c) any |= own[c];
            return (any >> (group % width) & 1u) != 0;
        };
        constexpr std::size_t most = 16;
        for (std::size_t group = first; group < last; ++group) {
            if (!is_near(group)) continue;
            std::size_t end = group + 1;
            while (end < last && end - group < most && is_near(end)) ++end;
            search_run(group, end, masks, visit);
            group = end - 1;
        }
    }

    // A candidate became a center: the one of these rows, which have new distances.
    // rows: IN, each once; call from one thread for a group at most
    void set_center(const std::uint32_t* rows, std::size_t count) {
        for (std::size_t at = 0; at < count; ++at)
            center_of_[rows[at]] = static_cast<std::uint32_t>(num_centers_);
    }
    void set_distance(std::uint32_t row, double squared) {
        panels_->set_limit(place_of_[row], squared);
    }
    void renew_group_of(std::uint32_t row, const double* closest) {
        if (groups_) renew_group(place_of_[row] / group_size, closest);
    }

    // After a center was added: deals out places anew if that promises to spare most groups.
    // centers: IN [num_centers][dimensions]; vectors: IN [count][dimensions], the last candidates
    void add_center(const T* centers, const T* vectors, std::size_t count, const double* closest) {
        ++num_centers_;
        if (num_centers_ < next_look_) return;
        next_look_ *= 2;
        if (num_centers_ * 2 * group_size > points_.points.num_rows) return;
        if (share_near(centers, vectors, count, closest) > most_near) return;
        deal_out(closest);
        put_all(closest);
    }

  private:
    static constexpr std::size_t least_centers = 256;
    static constexpr double most_near = 0.5; // of the rows that are looked at

    void run(const FilterCenters<float>& view, std::size_t first_panel, std::size_t last_panel,
             std::vector<std::uint16_t>& masks) const {
        masks.resize((last_panel - first_panel) * count_);
        points_.layout.run_panels(view, first_panel, last_panel, candidates_.data(), points_.stride,
                                  facts_.data(), thresholds_.data(), count_, masks.data());
    }

    template <class Visit>
    void search_run(std::size_t first_group, std::size_t last_group,
                    std::vector<std::uint16_t>& masks, const Visit& visit) const {
        const std::size_t width = points_.layout.width, panels = group_size / width;
        run(panels_->view(), first_group * panels, last_group * panels, masks);
        fetch_rows(first_group * panels, masks);
        for (std::size_t at = 0; at < masks.size(); ++at) {
            for (unsigned mask = masks[at]; mask != 0; mask &= mask - 1) {
                const std::size_t place = (first_group * panels + at / count_) * width +
                                          static_cast<std::size_t>(std::countr_zero(mask));
                if (row_of_[place] != nobody) visit(row_of_[place], at % count_);
            }
        }
    }

    // Rows to look at lie apart: they come while the first ones are compared.
    void fetch_rows(std::size_t first_panel, const std::vector<std::uint16_t>& masks) const {
        std::size_t place = first_panel * points_.layout.width;
        for (std::size_t at = 0; at < masks.size(); at += count_) {
            unsigned any = 0;
            for (std::size_t c = 0; c < count_; ++c) any |= masks[at + c];
            for (; any != 0; any &= any - 1) {
                const std::size_t lane = static_cast<std::size_t>(std::countr_zero(any));
                if (row_of_[place + lane] != nobody) points_.fetch(row_of_[place + lane]);
            }
            place += points_.layout.width;
        }
    }

    // The places of all rows, and in groups if they were dealt out.
    void put_all(const double* closest) {
        const std::size_t d = points_.points.dimensions, places = row_of_.size();
        place_of_.resize(points_.points.num_rows);
        panels_.emplace(points_.layout, d, places, points_.rounding);
        if (!in_order_) {
            groups_.emplace(points_.layout, d, num_groups(), points_.rounding);
            reach_.assign(places, 0.0f);
        }
        const Chunks parts = chunks();
        parallel_for(parts.count(), points_.pass_seconds(8), [&](std::size_t part) {
            Room room(points_);
            for (std::size_t group = parts.begin(part); group < parts.end(part); ++group) {
                put_group(group, closest, room);
                if (groups_) measure_group(group, closest, room);
            }
        });
    }

    struct Room {
        explicit Room(const PreparedRows<T>& points)
            : row(points.points.dimensions), mean(row), sums(row.size()), bytes(points.stride) {}
        Scratch scratch;
        std::vector<T> row, mean;
        std::vector<double> sums;
        AlignedVector<std::uint8_t> bytes;
        RowFacts<float> facts;
    };

    void put_group(std::size_t group, const double* closest, Room& room) {
        for (std::size_t place = group * group_size; place < (group + 1) * group_size; ++place) {
            const std::uint32_t row = row_of_[place];
            if (row == nobody) continue;
            place_of_[row] = static_cast<std::uint32_t>(place);
            const T* const own = load_rows<T>(points_.points, row, 1, room.row.data()).rows;
            points_.prepare_row(own, room.scratch, room.bytes.data(), &room.facts);
            panels_->put(place, room.bytes.data(), room.facts);
            panels_->set_limit(place, closest[row]);
        }
    }

    void measure_group(std::size_t group, const double* closest, Room& room) {
        const std::size_t d = room.row.size(), first = group * group_size;
        std::fill(room.sums.begin(), room.sums.end(), 0.0);
        double count = 0;
        for (std::size_t place = first; place < first + group_size; ++place) {
            if (row_of_[place] == nobody) continue;
            const T* const own =
                load_rows<T>(points_.points, row_of_[place], 1, room.row.data()).rows;
            for (std::size_t j = 0; j < d; ++j) room.sums[j] += static_cast<double>(own[j]);
            ++count;
        }
        for (std::size_t j = 0; j < d; ++j)
            room.mean[j] = static_cast<T>(room.sums[j] / std::max(count, 1.0));
        for (std::size_t place = first; place < first + group_size; ++place) {
            if (row_of_[place] == nobody) continue;
            const T* const own =
                load_rows<T>(points_.points, row_of_[place], 1, room.row.data()).rows;
            const double squared = points_.kernels.squared_distance(own, room.mean.data(), d);
            reach_[place] = static_cast<float>(upper_root(squared) * (1 + 1e-6));
        }
        points_.prepare_row(room.mean.data(), room.scratch, room.bytes.data(), &room.facts);
        groups_->put(group, room.bytes.data(), room.facts);
        renew_group(group, closest);
    }

    void renew_group(std::size_t group, const double* closest) {
        double most = 0;
        for (std::size_t place = group * group_size; place < (group + 1) * group_size; ++place) {
            const std::uint32_t row = row_of_[place];
            if (row == nobody || !(closest[row] > 0)) continue;
            most = std::max(most, upper_root(closest[row]) + static_cast<double>(reach_[place]));
        }
        groups_->set_limit(group, most * most);
    }

    // Of a square of which the least may have been lost.
    static double upper_root(double squared) { return std::sqrt(squared) * (1 + 1e-9) + 1e-150; }

    // The share of a sample of rows that the triangle inequality with their own centers leaves.
    double share_near(const T* centers, const T* vectors, std::size_t count,
                      const double* closest) const {
        constexpr std::size_t sample = 4096;
        const std::size_t n = center_of_.size(), d = points_.points.dimensions;
        const std::size_t step = std::max<std::size_t>(n / sample, 1);
        std::vector<double> to_centers(num_centers_);
        std::size_t near = 0, all = 0;
        for (std::size_t c = 0; c < count; ++c) {
            for (std::size_t center = 0; center < num_centers_; ++center)
                to_centers[center] =
                    points_.kernels.squared_distance(vectors + c * d, centers + center * d, d);
            for (std::size_t row = 0; row < n; row += step, ++all)
                near += to_centers[center_of_[row]] < 4 * closest[row];
        }
        return static_cast<double>(near) / static_cast<double>(all);
    }

    void deal_out(const double* closest) {
        const std::size_t n = center_of_.size();
        std::vector<std::size_t> ends(num_centers_ + 1, 0);
        for (const std::uint32_t center : center_of_) ++ends[center + 1];
        for (std::size_t c = 1; c <= num_centers_; ++c)
            ends[c] = ends[c - 1] + round_up(ends[c], group_size);
        row_of_.assign(ends[num_centers_], nobody);
        std::vector<std::size_t> next(ends.begin(), ends.end() - 1);
        for (std::size_t row = 0; row < n; ++row)
            row_of_[next[center_of_[row]]++] = static_cast<std::uint32_t>(row);
        parallel_for(num_centers_, static_cast<double>(n) * 50e-9, [&](std::size_t c) {
            std::sort(row_of_.begin() + static_cast<std::ptrdiff_t>(ends[c]),
                      row_of_.begin() + static_cast<std::ptrdiff_t>(next[c]),
                      [&](std::uint32_t a, std::uint32_t b) { return closest[a] < closest[b]; });
        });
        in_order_ = false;
    }

    const PreparedRows<T>& points_;
    std::vector<std::uint32_t> row_of_, place_of_, center_of_; // [places], [num_rows] twice
    std::size_t num_centers_ = 0, next_look_ = 0;
    bool in_order_ = true;
    std::optional<BytePanels> panels_, groups_;
    std::vector<float> reach_; // [places], |x - m| and a little more

    std::size_t count_ = 0;
    AlignedVector<std::uint8_t> candidates_; // [count][stride]
    std::vector<RowFacts<float>> facts_;
    std::vector<float> thresholds_;
};

} // namespace centroids
