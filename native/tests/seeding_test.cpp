// What k-means++ leaves out, at every level of this machine, under the sanitizers: bounds of points
// in panels of bytes, groups of points from 256 centers on, and draws that are kept or not. Against
// plain loops in long double and in whole numbers.
#include "api/seeding.h"
#include "runtime/dispatch.h"
#include "runtime/thread_pool.h"
#include "seeding/byte_panels.h"
#include "tests/expect.h"

#include <array>
#include <cmath>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

using namespace centroids;

namespace {

template <class T>
DenseRows rows_of(const std::vector<T>& values, std::size_t d) {
    return {values.data(),
            sizeof(T) == 4 ? ElementType::float32 : ElementType::float64,
            values.size() / d,
            d,
            std::ptrdiff_t(d),
            1,
            false};
}

// Points around a few places, a row of zeros, and one far away.
template <class T>
std::vector<T> grouped(std::size_t n, std::size_t d, double scale, unsigned seed) {
    std::mt19937 random(seed);
    std::normal_distribution<double> normal;
    std::vector<double> places(40 * d);
    for (double& value : places) value = 8 * normal(random);
    std::vector<T> points(n * d);
    for (std::size_t i = 0; i < n; ++i) {
        const std::size_t place = random() % 40;
        for (std::size_t j = 0; j < d; ++j) {
            const double value = places[place * d + j] + 0.3 * normal(random);
            points[i * d + j] = static_cast<T>(scale * (i == n / 3 ? 1e4 * value : value));
        }
    }
    std::fill_n(points.begin() + static_cast<std::ptrdiff_t>(n / 2 * d), d, T(0));
    return points;
}

// Rows in the form of a layout. Each array exactly as large as it has to be: one element read past
// an end is an error.
struct Prepared {
    std::vector<std::uint8_t> bytes;
    std::vector<RowFacts<float>> facts;
    std::size_t stride;

    Prepared(const CandidateKernels<float>& layout, const std::vector<float>& values, std::size_t d,
             const std::vector<float>& shift)
        : bytes(values.size() / d * round_up(d, 16)), facts(values.size() / d),
          stride(round_up(d, 16)) {
        std::vector<float> scratch(d + 16);
        for (std::size_t i = 0; i < facts.size(); ++i)
            layout.prepare(values.data() + i * d, d, shift.data(), scratch.data(),
                           bytes.data() + i * stride, &facts[i]);
    }
};

// Bits depend on neither the other candidates nor the other panels of a call.
void test_calls_of_their_own(const CandidateKernels<float>& layout,
                             const FilterCenters<float>& points, const Prepared& candidates,
                             const std::vector<float>& thresholds, std::size_t panels,
                             const std::vector<std::uint16_t>& masks, const std::string& level) {
    const std::size_t count = thresholds.size();
    for (const std::size_t first : {std::size_t(0), panels / 3, panels - 1})
        for (std::size_t c = 0; c < count; ++c) {
            std::vector<std::uint16_t> own(panels - first);
            layout.run_panels(points, first, panels,
                              candidates.bytes.data() + c * candidates.stride, candidates.stride,
                              &candidates.facts[c], &thresholds[c], 1, own.data());
            for (std::size_t panel = first; panel < panels; ++panel)
                expect(own[panel - first] == masks[panel * count + c], "a call of its own", level,
                       panels, points.dimensions, count);
        }
}

// run_panels: no bit is missing of a candidate within a point's limit, most are missing of those
// far beyond it, and empty places have none.
void test_run_panels(const CandidateKernels<float>& layout, const std::string& level, std::size_t n,
                     std::size_t d, std::size_t count, double scale) {
    const std::vector<float> points = grouped<float>(n, d, scale, 1);
    std::vector<float> candidates = grouped<float>(count, d, scale, 2);
    for (std::size_t c = 0; c < count; c += 2)
        std::copy_n(points.begin() + static_cast<std::ptrdiff_t>(c * 5 % n * d), d,
                    candidates.begin() + static_cast<std::ptrdiff_t>(c * d));
    const std::vector<float> shift(points.data(), points.data() + d);
    const Rounding rounding(d, true);
    const Prepared rows(layout, points, d, shift), others(layout, candidates, d, shift);
    const std::size_t width = layout.width, places = n + 3, panels = groups_of(width, places);
    BytePanels all(layout, d, places, rounding);
    std::vector<double> limits(n);
    std::mt19937 random(3);
    for (std::size_t i = 0; i < n; ++i) {
        limits[i] = i % 7 == 0 ? 0.0
                               : scale * scale * static_cast<double>(d) *
                                     static_cast<double>(random() % 64) / 8;
        all.put(i, rows.bytes.data() + i * rows.stride, rows.facts[i]);
        all.set_limit(i, limits[i]);
    }
    std::vector<float> thresholds(count);
    for (std::size_t c = 0; c < count; ++c) thresholds[c] = all.threshold(others.facts[c]);
    std::vector<std::uint16_t> masks(panels * count, 0xaaaa);
    layout.run_panels(all.view(), 0, panels, others.bytes.data(), others.stride,
                      others.facts.data(), thresholds.data(), count, masks.data());
    std::size_t far = 0, excluded = 0;
    for (std::size_t place = 0; place < panels * width; ++place)
        for (std::size_t c = 0; c < count; ++c) {
            const bool near = masks[place / width * count + c] >> place % width & 1u;
            // One so long that it could overflow is to be compared with all.
            const bool usual = static_cast<double>(others.facts[c].norm) < Rounding::longest;
            if (place >= n) {
                expect(!near || !usual, "an empty place", level, n, d, count);
                continue;
            }
            long double squared = 0;
            for (std::size_t j = 0; j < d; ++j) {
                const long double apart =
                    (long double)(points[place * d + j]) - (long double)(candidates[c * d + j]);
                squared += apart * apart;
            }
            const auto limit = (long double)(limits[place]);
            expect(near || !(squared < limit), "a near candidate", level, n, d, count);
            if (limit == 0) expect(!near || !usual, "a limit of 0", level, n, d, count);
            far += squared > 4 * limit;
            excluded += squared > 4 * limit && !near;
        }
    // Of squares at the end of float32's range nothing is left to tell them by.
    if (scale > 1e-20) expect(2 * excluded >= far, "far candidates", level, n, d, count);
    test_calls_of_their_own(layout, all.view(), others, thresholds, panels, masks, level);
}

void test_all_panels(const std::string& level) {
    const CandidateKernels<float>* const layout = current_kernels<float>().byte_candidates;
    if (!layout) return;
    for (const std::size_t d : {4, 5, 15, 16, 17, 33, 63, 65, 130, 257})
        for (const std::size_t count : {1, 2, 3, 4, 5, 7, 8, 19})
            for (const std::size_t n : {1, 16, 17, 150})
                test_run_panels(*layout, level, n, d, count, 1.0);
    for (const double scale : {1e-30, 1e-17, 1e-3, 1e7, 1e14})
        test_run_panels(*layout, level, 100, 21, 9, scale);
}

// The sum of squares as api/seeding.h has it: term j goes to part j mod 8.
template <class T>
double squared_distance(const T* a, const T* b, std::size_t d) {
    std::array<double, 8> parts{};
    for (std::size_t j = 0; j < d; ++j) {
        const double apart = static_cast<double>(a[j]) - static_cast<double>(b[j]);
        const double square = apart * apart; // rounded: it may not become a multiply-add
        volatile double rounded = square;
        parts[j % 8] += rounded;
    }
    return ((parts[0] + parts[4]) + (parts[2] + parts[6])) +
           ((parts[1] + parts[5]) + (parts[3] + parts[7]));
}

// Two candidates a round until places were dealt out anew at 256 centers and at 512: distances as
// if each row had been compared with each center.
template <class T>
void test_groups(const std::string& level, int threads) {
    set_num_threads(threads);
    const std::size_t n = 17'000, d = 5, num_centers = 530;
    const std::vector<T> points = grouped<T>(n, d, 1.0, 4);
    std::vector<double> distances(n), expected(n);
    RowWeights weights(n, distances.data(), nullptr);
    Seeding<T> seeding(rows_of(points, d));
    seeding.start(points.data(), weights);
    for (std::size_t i = 0; i < n; ++i)
        expected[i] = squared_distance(&points[i * d], points.data(), d);
    std::mt19937 random(5);
    std::vector<T> candidates(2 * d);
    for (std::size_t k = 1; k < num_centers; ++k) {
        std::size_t row = 0;
        for (std::size_t c = 0; c < 2; ++c) {
            row = random() % n;
            std::copy_n(points.begin() + static_cast<std::ptrdiff_t>(row * d), d,
                        candidates.begin() + static_cast<std::ptrdiff_t>(c * d));
        }
        WeightTotal reductions[2];
        seeding.propose(candidates.data(), 2, weights, reductions);
        seeding.take(1, weights);
        for (std::size_t i = 0; i < n; ++i)
            expected[i] =
                std::fmin(expected[i], squared_distance(&points[i * d], &points[row * d], d));
        if (k % 128 == 127 || k > num_centers - 4)
            expect(distances == expected, "distances with groups", level, n, d, k);
    }
    RowWeights again(n, expected.data(), nullptr);
    again.add_up();
    expect(!(again.total() < weights.total()) && !(weights.total() < again.total()),
           "sums with groups", level, n, d, num_centers);
    set_num_threads(3);
}

// Rows of small whole numbers: distances are exact, and so is the rule in whole numbers of 128
// bits.
template <class T>
void test_draws(const std::string& level, std::size_t n, std::size_t d, std::size_t most) {
    std::mt19937_64 random(n * 31 + d);
    std::vector<T> drawn(n * d);
    for (T& value : drawn) value = static_cast<T>(static_cast<int>(random() % 7) - 3);
    std::vector<double> distances(n), shares(n);
    std::vector<std::uint64_t> whole(n);
    for (std::size_t i = 0; i < n; ++i) {
        if (i % 5 == 4) std::copy_n(&drawn[(i - 2) * d], d, &drawn[i * d]);
        distances[i] = static_cast<double>(random() % (12 * d));
        whole[i] = random() >> 11;
        if (i % 3 == 1) whole[i] = std::uint64_t(1) << (53 - 1 - random() % 4); // 1/2 to 1/16
        shares[i] = std::ldexp(static_cast<double>(whole[i]), -53);
    }
    std::vector<std::int64_t> expected, kept(n);
    for (std::size_t i = 0; i < n && expected.size() < most; ++i) {
        auto now = static_cast<std::int64_t>(distances[i]);
        for (const std::int64_t other : expected) {
            std::int64_t squared = 0;
            for (std::size_t j = 0; j < d; ++j) {
                const auto apart = static_cast<std::int64_t>(
                    drawn[i * d + j] - drawn[static_cast<std::size_t>(other) * d + j]);
                squared += apart * apart;
            }
            now = std::min(now, squared);
        }
        const auto before = static_cast<unsigned __int128>(distances[i]);
        if (before * whole[i] < static_cast<unsigned __int128>(now) << 53)
            expected.push_back(static_cast<std::int64_t>(i));
    }
    kept.resize(accept_draws<T>(drawn.data(), n, d, false, distances.data(), shares.data(), most,
                                kept.data()));
    expect(kept == expected, "draws that are kept", level, n, d, most);
}

template <class T>
void test_level(const std::string& level) {
    for (const std::size_t n : {0, 1, 2, 9, 64, 200})
        for (const std::size_t d : {1, 2, 3, 7, 8, 9, 31, 65, 257})
            for (const std::size_t most : {0, 1, 5, 1000}) test_draws<T>(level, n, d, most);
    for (const int threads : {1, 3}) test_groups<T>(level, threads);
}

} // namespace

int main() {
    set_num_threads(3);
    for (const std::string& level : supported_levels()) {
        set_level(level);
        test_all_panels(level);
        test_level<float>(level);
        test_level<double>(level);
        std::printf("level %s: done\n", level.c_str());
    }
    std::printf(failures == 0 ? "native tests of seeding passed\n" : "%d native checks failed\n",
                failures);
    return failures == 0 ? 0 : 1;
}
