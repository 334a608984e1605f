#include "centroids/thread_pool.h"

#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#ifdef __linux__
#include <sched.h>
#endif
#ifndef _WIN32
#include <pthread.h>
#endif

namespace centroids {
namespace {

// Waking a thread costs 5 to 50 microseconds: less work than this is done by the caller.
constexpr double min_parallel_seconds = 50e-6;

int affinity_count() {
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
    const unsigned count = std::thread::hardware_concurrency();
    return count > 0 ? static_cast<int>(count) : 1;
}

#ifdef __linux__
using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

File open_file(const char* path) { return File(std::fopen(path, "r"), &std::fclose); }

double quota_from(double quota, double period) {
    return quota > 0 && period > 0 ? quota / period : HUGE_VAL;
}
#endif

// CPUs that the container may use, from cgroup v2 or v1; infinity without a limit.
double quota_count() {
#ifdef __linux__
    double quota = 0, period = 0;
    if (const File file = open_file("/sys/fs/cgroup/cpu.max"))
        if (std::fscanf(file.get(), "%lf %lf", &quota, &period) == 2)
            return quota_from(quota, period);
    const File quota_file = open_file("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
    const File period_file = open_file("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
    if (quota_file && period_file && std::fscanf(quota_file.get(), "%lf", &quota) == 1 &&
        std::fscanf(period_file.get(), "%lf", &period) == 1)
        return quota_from(quota, period);
#endif
    return HUGE_VAL;
}

// Waking a sleeping thread takes tens of microseconds: in a loop of short calls it stays awake for
// the next one.
constexpr std::chrono::microseconds stay_awake{200};

// Watches `done` for a while without giving up the processor. Returns whether it came true.
template <class Condition>
bool watch(const Condition& done) {
    const auto until = std::chrono::steady_clock::now() + stay_awake;
    do {
        for (int i = 0; i < 64; ++i) {
            if (done()) return true;
#if defined(__x86_64__)
            __builtin_ia32_pause();
#endif
        }
    } while (std::chrono::steady_clock::now() < until);
    return false;
}

class Pool {
  public:
    // Workers never end by themselves: a pool lives as long as its process.
    void run(int threads, std::size_t count, const std::function<void(std::size_t)>& task) {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            while (static_cast<int>(workers_) < threads - 1) {
                std::thread(&Pool::work, this, workers_).detach();
                ++workers_;
            }
            task_ = &task;
            count_ = count;
            next_.store(0);
            active_ = static_cast<std::size_t>(threads - 1);
            failure_ = nullptr;
            open_ = true;
            ++generation_;
        }
        wake_.notify_all();
        drain();
        {
            // Who has not woken by now need not: nothing is left to do.
            const std::lock_guard<std::mutex> lock(mutex_);
            open_ = false;
        }
        watch([this] { return inside_.load() == 0; });
        std::unique_lock<std::mutex> lock(mutex_);
        done_.wait(lock, [this] { return inside_.load() == 0; });
        if (failure_) std::rethrow_exception(failure_);
    }

    std::mutex caller; // held by the one caller that has the workers

  private:
    void work(std::size_t rank) {
        std::size_t seen = 0;
        while (true) {
            watch([&] { return generation_.load() != seen; });
            std::unique_lock<std::mutex> lock(mutex_);
            wake_.wait(lock, [&] { return generation_.load() != seen; });
            seen = generation_.load();
            if (!open_ || rank >= active_) continue;
            ++inside_;
            lock.unlock();
            drain();
            lock.lock();
            if (--inside_ == 0) done_.notify_one();
        }
    }

    void drain() {
        inside_task() = true;
        try {
            for (std::size_t i = next_++; i < count_; i = next_++) (*task_)(i);
        } catch (...) {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (!failure_) failure_ = std::current_exception();
            next_.store(count_);
        }
        inside_task() = false;
    }

  public:
    static bool& inside_task() {
        static thread_local bool inside = false;
        return inside;
    }

  private:
    std::mutex mutex_;
    std::condition_variable wake_, done_;
    const std::function<void(std::size_t)>* task_ = nullptr;
    std::size_t count_ = 0;
    std::atomic<std::size_t> next_{0};
    std::atomic<std::size_t> generation_{0}, inside_{0};
    std::size_t workers_ = 0, active_ = 0;
    bool open_ = false; // there may be something to do
    std::exception_ptr failure_;
};

std::atomic<Pool*> pool{nullptr};
std::atomic<int> chosen_threads{0};

#ifndef _WIN32
// A child has none of its parent's threads: it forgets the pool (and its locks, in whatever state)
// and makes a new one when it needs one.
void forget_pool() {
    pool.store(nullptr);
    Pool::inside_task() = false;
}
#endif

Pool& get_pool() {
    static std::once_flag registered;
#ifndef _WIN32
    std::call_once(registered, [] { pthread_atfork(nullptr, nullptr, &forget_pool); });
#endif
    Pool* current = pool.load();
    if (!current) {
        auto fresh = std::make_unique<Pool>();
        if (pool.compare_exchange_strong(current, fresh.get())) current = fresh.release();
    }
    return *current;
}

} // namespace

int default_num_threads() {
    if (const char* text = std::getenv("CENTROIDS_NUM_THREADS")) {
        char* end = nullptr;
        const long value = std::strtol(text, &end, 10);
        if (end != text && *end == '\0' && value > 0 && value <= 4096)
            return static_cast<int>(value);
    }
    const double quota = std::ceil(quota_count());
    const int affinity = affinity_count();
    return quota < affinity ? (quota < 1 ? 1 : static_cast<int>(quota)) : affinity;
}

int num_threads() {
    const int chosen = chosen_threads.load();
    if (chosen > 0) return chosen;
    static const int by_default = default_num_threads();
    return by_default;
}

void set_num_threads(int count) { chosen_threads.store(count); }

void parallel_for(std::size_t count, double seconds_of_work,
                  const std::function<void(std::size_t)>& task) {
    const std::size_t limit = static_cast<std::size_t>(num_threads());
    const int threads = static_cast<int>(count < limit ? count : limit);
    if (threads > 1 && seconds_of_work > min_parallel_seconds && !Pool::inside_task()) {
        Pool& workers = get_pool();
        const std::unique_lock<std::mutex> lock(workers.caller, std::try_to_lock);
        if (lock.owns_lock()) {
            workers.run(threads, count, task);
            return;
        }
    }
    for (std::size_t i = 0; i < count; ++i) task(i);
}

} // namespace centroids
