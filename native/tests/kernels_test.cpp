// The kernels against plain loops, at every level of this machine, under the sanitizers: memory
// errors and undefined behaviour show here, exactness is tested from Python.
#include "runtime/dispatch.h"
#include "api/kmeans.h"
#include "api/seeding.h"
#include "runtime/thread_pool.h"
#include "tests/expect.h"

#include <atomic>
#include <cmath>
#include <cstdio>
#include <limits>
#include <random>
#include <thread>
#include <vector>

using namespace centroids;

namespace {

template <class T>
struct Problem {
    // Exactly as large as the shape: one element read past an end is an error.
    std::vector<T> points, centers;
    std::size_t n, d, k;

    Problem(std::size_t rows, std::size_t dimensions, std::size_t num_centers)
        : points(rows * dimensions), centers(num_centers * dimensions), n(rows), d(dimensions),
          k(num_centers) {
        std::mt19937 random(static_cast<unsigned>(rows * 7 + dimensions));
        std::normal_distribution<double> normal;
        for (T& value : points) value = static_cast<T>(normal(random));
        for (T& value : centers) value = static_cast<T>(normal(random));
    }

    DenseRows rows(bool normalize) const {
        const auto stride = static_cast<std::ptrdiff_t>(d);
        return {points.data(),
                sizeof(T) == 4 ? ElementType::float32 : ElementType::float64,
                n,
                d,
                stride,
                1,
                normalize};
    }

    double distance(std::size_t row, std::size_t center) const {
        double sum = 0;
        for (std::size_t j = 0; j < d; ++j) {
            const double difference = static_cast<double>(points[row * d + j]) -
                                      static_cast<double>(centers[center * d + j]);
            sum += difference * difference;
        }
        return sum;
    }
};

template <class T>
void test_seeding(const Problem<T>& problem, const std::string& level, std::size_t n, std::size_t d,
                  std::size_t k) {
    std::vector<double> closest(n);
    RowWeights weights(n, closest.data(), nullptr), again(weights);
    Seeding<T> seeding(problem.rows(n % 2 == 0));
    seeding.start(problem.points.data() + n / 2 * d, weights);
    std::vector<T> candidates;
    for (std::size_t c = 0; c < k; ++c)
        candidates.insert(candidates.end(), problem.points.data() + c * 7 % n * d,
                          problem.points.data() + (c * 7 % n + 1) * d);
    std::vector<WeightTotal> reductions(k);
    for (std::size_t round = 0; round < 3; ++round) {
        const std::size_t taken = round % k, row = taken * 7 % n;
        seeding.propose(candidates.data(), k, weights, reductions.data());
        seeding.take(taken, weights);
        expect(closest[row] < 1e-12 || n % 2 == 0, "seeding", level, n, d, k);
        again.add_up();
        expect(!(again.total() < weights.total()) && !(weights.total() < again.total()),
               "sums of weights", level, n, d, k);
        const WeightTotal zero;
        std::int64_t found = -1;
        if (!(zero < weights.total())) break;
        weights.find(&zero, 1, &found);
        expect(closest[static_cast<std::size_t>(found)] > 0, "a drawn row", level, n, d, k);
    }
}

template <class T>
void test_dense(const std::string& level, std::size_t n, std::size_t d, std::size_t k,
                Search search) {
    const Problem<T> problem(n, d, k);
    const Centers<T> centers{problem.centers.data(), k, nullptr};
    std::vector<std::int32_t> index(n);
    std::vector<std::int64_t> counts(k);
    ExactSums sums;
    ExactTotal inertia;
    const Update update{&sums, counts.data(), &inertia};
    expect(assign<T>(problem.rows(false), centers, index.data(), update, {search, 0}, nullptr,
                     false, nullptr) == -1,
           "all rows finite", level, n, d, k);
    double expected = 0;
    std::int64_t total = 0;
    for (std::size_t i = 0; i < n; ++i) {
        double best = std::numeric_limits<double>::infinity();
        for (std::size_t c = 0; c < k; ++c) best = std::fmin(best, problem.distance(i, c));
        expect(problem.distance(i, static_cast<std::size_t>(index[i])) <= best * (1 + 1e-12),
               "nearest center", level, n, d, k);
        expected += best;
    }
    for (const std::int64_t count : counts) total += count;
    expect(total == static_cast<std::int64_t>(n), "counts", level, n, d, k);
    expect(std::fabs(inertia.rounded() - expected) <= 1e-9 * (1 + expected), "inertia", level, n, d,
           k);
    const double with_labels = inertia.rounded();
    expect(assign<T>(problem.rows(false), centers, nullptr, update, {search, 0}, nullptr, false,
                     nullptr) == -1 &&
               inertia.rounded() == with_labels,
           "without labels", level, n, d, k);
    expect(assign<T>(problem.rows(true), centers, index.data(), update, {search, 5}, nullptr, false,
                     nullptr) == -1,
           "cosine", level, n, d, k);

    std::vector<T> distances(n * k);
    all_distances<T>(problem.rows(false), centers, distances.data());
    for (std::size_t at = 0; at < n * k; ++at)
        expect(std::fabs(static_cast<double>(distances[at]) - problem.distance(at / k, at % k)) <=
                   1e-4 * (1 + problem.distance(at / k, at % k)),
               "all distances", level, n, d, k);
    test_seeding(problem, level, n, d, k);
}

std::vector<double> rounded(const ExactSums& sums) {
    std::vector<double> values(sums.num_clusters() * sums.dimensions());
    sums.round(values.data());
    return values;
}

// Moving centers, with and without what is remembered of the iterations before.
template <class T>
void test_memory(const std::string& level, std::size_t n, std::size_t d, std::size_t k,
                 Search search) {
    Problem<T> problem(n, d, k);
    AssignmentMemory memory;
    std::vector<std::int32_t> index(n), plain(n);
    for (int step = 0; step < 6; ++step) {
        const Centers<T> centers{problem.centers.data(), k, nullptr};
        Report report;
        ExactSums sums, plain_sums;
        expect(assign<T>(problem.rows(false), centers, index.data(), {&sums, nullptr, nullptr},
                         {search, 0}, &memory, step == 2 || step == 3, &report) == -1,
               "remembered", level, n, d, k);
        assign<T>(problem.rows(false), centers, plain.data(), {&plain_sums, nullptr, nullptr},
                  {Search::panels, 0}, nullptr, false, nullptr);
        expect(report.with_bounds && index == plain, "the same with bounds", level, n, d, k);
        expect(rounded(sums) == rounded(plain_sums), "the same sums", level, n, d, k);
        for (std::size_t at = 0; at < problem.centers.size(); at += 3)
            problem.centers[at] *= T(1.01);
        if (step == 4) problem.points[n * d / 2] += T(1);
    }
}

// Weights, that change and stay, with and without a memory: of whole numbers here, so that products
// with small whole values are exact and plain loops give the bits.
template <class T>
void test_weights(const std::string& level, std::size_t n, std::size_t d, std::size_t k) {
    Problem<T> problem(n, d, k);
    for (T& value : problem.points) value = static_cast<T>(std::nearbyint(value * T(8)));
    std::vector<double> weights(n), expected(k * d), counts(k), found(k);
    AssignmentMemory memory;
    std::vector<std::int32_t> index(n);
    for (std::size_t step = 0; step < 6; ++step) {
        for (std::size_t i = 0; step % 2 == 0 && i < n; ++i)
            weights[i] = static_cast<double>((i + step) % 4);
        const Centers<T> centers{problem.centers.data(), k, nullptr};
        ExactSums sums, weight_sums;
        ExactTotal inertia;
        const Update update{&sums, nullptr, &inertia, weights.data(), &weight_sums};
        const Search search = step % 3 == 2 ? Search::panels : Search::float_filter;
        // Labels are asked for in the first and the third step of three: the second has its own.
        expect(assign<T>(problem.rows(false), centers, step % 3 == 1 ? nullptr : index.data(),
                         update, {search, 0}, &memory, step > 0, nullptr) == -1,
               "weighted", level, n, d, k);
        assign<T>(problem.rows(false), centers, index.data(), {}, {Search::panels, 0}, nullptr,
                  false, nullptr);
        std::fill(expected.begin(), expected.end(), 0.0);
        std::fill(counts.begin(), counts.end(), 0.0);
        for (std::size_t i = 0; i < n; ++i) {
            const auto c = static_cast<std::size_t>(index[i]);
            counts[c] += weights[i];
            for (std::size_t j = 0; j < d; ++j)
                expected[c * d + j] += weights[i] * static_cast<double>(problem.points[i * d + j]);
        }
        weight_sums.round(found.data());
        expect(rounded(sums) == expected && found == counts, "weighted sums", level, n, d, k);
        for (std::size_t at = 0; at < problem.centers.size(); at += 3)
            problem.centers[at] *= T(1.01);
    }
    ExactSums sums, weight_sums;
    DenseRows none = problem.rows(false);
    none.num_rows = 0;
    const Centers<T> centers{problem.centers.data(), k, nullptr};
    expect(assign<T>(none, centers, nullptr, {&sums, nullptr, nullptr, nullptr, &weight_sums},
                     {Search::automatic, 0}, nullptr, false, nullptr) == -1,
           "weights of no rows", level, n, d, k);
}

template <class T>
void test_sparse(const std::string& level, std::size_t n, std::size_t d, std::size_t k) {
    const Problem<T> problem(n, d, k);
    std::vector<T> values;
    std::vector<std::int32_t> columns, starts{0};
    for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t j = i % 3; j < d; j += 3) {
            values.push_back(problem.points[i * d + j]);
            columns.push_back(static_cast<std::int32_t>(j));
        }
        starts.push_back(static_cast<std::int32_t>(values.size()));
    }
    const SparseRows rows{values.data(),
                          sizeof(T) == 4 ? ElementType::float32 : ElementType::float64,
                          columns.data(),
                          false,
                          starts.data(),
                          false,
                          n,
                          values.size(),
                          d,
                          n % 2 == 0};
    const Centers<T> centers{problem.centers.data(), k, nullptr};
    std::vector<std::int32_t> index(n);
    std::vector<std::int64_t> counts(k);
    ExactSums sums;
    ExactTotal inertia;
    expect(assign_sparse<T>(rows, centers, index.data(), {&sums, counts.data(), &inertia}) == -1,
           "sparse", level, n, d, k);
    std::vector<T> distances(n * k);
    all_distances_sparse<T>(rows, centers, distances.data());
}

// Values that another thread makes NaN and takes back: whatever comes out, no memory outside the
// arrays is touched.
template <class T>
void test_changing_points(Search search) {
    Problem<T> problem(2000, search == Search::axes_filter ? 40 : 20, 50);
    std::atomic<bool> done{false};
    std::thread writer([&] {
        std::mt19937 random(1);
        while (!done) {
            volatile T& value = problem.points[random() % problem.points.size()];
            const T before = value;
            value = std::numeric_limits<T>::quiet_NaN();
            value = before;
        }
    });
    AssignmentMemory memory;
    std::vector<std::int32_t> index(problem.n);
    ExactSums sums;
    for (int call = 0; call < 60; ++call) {
        const Centers<T> centers{problem.centers.data(), problem.k, nullptr};
        assign<T>(problem.rows(call % 2 == 1), centers, index.data(), {&sums, nullptr, nullptr},
                  {search, 0}, &memory, call % 4 == 3, nullptr);
        for (const std::int32_t own : index)
            if (own < 0 || own >= static_cast<std::int32_t>(problem.k)) ++failures;
    }
    done = true;
    writer.join();
}

// More additions than 128 bits have room for go to a safe place.
void test_overflow_of_sums() {
    ExactSums sums(1, 1);
    sums.make();
    std::mutex odd_in_use;
    const std::int64_t largest = std::int64_t(1) << 62, none = 0;
    constexpr int times = 1 << 17;
    for (int i = 0; i < times; ++i) sums.collect(0, most_additions, &largest, &none, odd_in_use);
    double sum = 0;
    sums.round(&sum);
    expect(sum == std::ldexp(1.0, 62 + limb_distance + 17), "room for sums", "", times, 1, 1);
    const ExactSums read = ExactSums::from_bytes(sums.to_bytes());
    sums.add(read, true);
    sums.round(&sum);
    expect(sum == 0, "sums taken off", "", times, 1, 1);
}

template <class T>
void test_level(const std::string& level) {
    for (const std::size_t n : {1, 7, 64, 65, 130})
        for (const std::size_t d : {1, 2, 3, 5, 16, 17, 33})
            for (const std::size_t k : {1, 2, 15, 16, 17, 48, 49, 97}) {
                test_dense<T>(level, n, d, k, Search::float_filter);
                test_dense<T>(level, n, d, k, Search::byte_filter);
                test_dense<T>(level, n, d, k, Search::axes_filter);
                test_memory<T>(level, n, d, k,
                               d % 2 == 0 ? Search::byte_filter : Search::float_filter);
                test_memory<T>(level, n, d, k, Search::words);
                test_weights<T>(level, n, d, k);
                test_dense<T>(level, n, d, k, Search::panels);
                test_dense<T>(level, n, d, k, Search::lanes);
                test_dense<T>(level, n, d, k, Search::words);
                test_dense<T>(level, n, d, k, Search::grid);
                test_sparse<T>(level, n, d, k);
            }
    for (const Search search : {Search::panels, Search::lanes, Search::words, Search::float_filter,
                                Search::byte_filter, Search::axes_filter})
        test_changing_points<T>(search);
    test_dense<T>(level, 6000, 9, 12, Search::automatic);
    for (const std::size_t d : {1, 2, 3}) test_dense<T>(level, 9000, d, 60, Search::grid);
    test_dense<T>(level, 600, 60, 2500, Search::automatic); // grouped by cluster
    for (const std::size_t d : {31, 64, 90}) test_dense<T>(level, 300, d, 130, Search::axes_filter);
}

} // namespace

int main() {
    test_overflow_of_sums();
    set_num_threads(3);
    for (const std::string& level : supported_levels()) {
        set_level(level);
        test_level<float>(level);
        test_level<double>(level);
        std::printf("level %s: done\n", level.c_str());
    }
    std::printf(failures == 0 ? "native tests passed\n" : "%d native checks failed\n", failures);
    return failures == 0 ? 0 : 1;
}
