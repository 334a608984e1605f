// The thread pool alone, for ThreadSanitizer: several callers at once, nested calls, exceptions.
#include "runtime/thread_pool.h"

#include <atomic>
#include <cstdio>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <vector>

using namespace centroids;

namespace {

constexpr double worth_waking = 1.0; // seconds of work, as far as the pool is told

std::atomic<int> failures{0};

void expect(bool condition, const char* what) {
    if (condition) return;
    ++failures;
    std::printf("FAILED %s\n", what);
}

// Every index is visited once, and what tasks wrote is visible to the caller.
void test_sums(std::size_t count) {
    std::vector<std::size_t> visits(count, 0);
    parallel_for(count, worth_waking, [&](std::size_t i) { visits[i] += i + 1; });
    const std::size_t total = std::accumulate(visits.begin(), visits.end(), std::size_t{0});
    expect(total == count * (count + 1) / 2, "every index once");
}

void test_nested() {
    std::vector<std::atomic<std::size_t>> sums(8);
    parallel_for(sums.size(), worth_waking, [&](std::size_t i) {
        parallel_for(100, worth_waking, [&](std::size_t j) { sums[i] += j; });
    });
    for (const auto& sum : sums) expect(sum == 4950, "nested calls do all of their work");
}

void test_exception() {
    bool caught = false;
    try {
        parallel_for(64, worth_waking, [](std::size_t i) {
            if (i % 7 == 3) throw std::runtime_error("bad chunk");
        });
    } catch (const std::runtime_error&) {
        caught = true;
    }
    expect(caught, "the first exception is thrown again");
}

void call_many_times() {
    for (int round = 0; round < 1000; ++round) {
        test_sums(1 + static_cast<std::size_t>(round) % 37);
        if (round % 5 == 0) test_nested();
        if (round % 5 == 1) test_exception();
    }
}

} // namespace

int main() {
    for (const int threads : {2, 4, 3}) {
        set_num_threads(threads);
        std::vector<std::thread> callers;
        for (int i = 0; i < 3; ++i) callers.emplace_back(call_many_times);
        call_many_times();
        for (std::thread& caller : callers) caller.join();
    }
    std::printf(failures == 0 ? "thread pool tests passed\n" : "%d checks failed\n",
                failures.load());
    return failures == 0 ? 0 : 1;
}
