#include "runtime/thread_pool.h"

#include "platform/platform.h"
#include "runtime/float_mode.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

namespace centroids {
namespace {

// Waking a thread costs 5 to 50 microseconds: less work than this is done by the caller.
constexpr double min_parallel_seconds = 50e-6;

constexpr int max_threads = 4096;

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
            add_workers(static_cast<std::size_t>(threads - 1));
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
    // If the system has no room for another thread, the pool works with those it has.
    void add_workers(std::size_t wanted) {
        try {
            for (; workers_ < wanted; ++workers_) std::thread(&Pool::work, this, workers_).detach();
        } catch (const std::system_error&) {
        } catch (const std::bad_alloc&) {
        }
    }

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
        const FloatMode mode; // a worker has that of the thread that made it
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

// The part of the default that is read once.
struct Limit {
    int count;  // 0: not read yet
    bool exact; // CENTROIDS_NUM_THREADS, which may exceed the affinity too
};
std::atomic<Limit> limit{Limit{0, false}};

// The number of threads that a text begins with, up to `ending` or the end; 0 if it does not.
int leading_count(const char* text, char ending) {
    char* end = nullptr;
    const long value = std::strtol(text, &end, 10);
    const bool whole = end != text && (*end == '\0' || *end == ending);
    return whole && value > 0 && value <= max_threads ? static_cast<int>(value) : 0;
}

// 0 if the variable is unset or empty. It is ours alone: what it does not mean is a mistake.
int chosen_in_environment() {
    const char* text = std::getenv("CENTROIDS_NUM_THREADS");
    if (!text || !*text) return 0;
    const bool digits = std::strspn(text, "0123456789") == std::strlen(text);
    if (const int count = digits ? leading_count(text, '\0') : 0) return count;
    throw std::invalid_argument("the environment variable CENTROIDS_NUM_THREADS must be an integer "
                                "from 1 to " +
                                std::to_string(max_threads) + ", got '" + text + "'");
}

// A list such as 4,2 says how many threads to use at each level; other programs read it too.
int chosen_for_openmp() {
    const char* text = std::getenv("OMP_NUM_THREADS");
    return text ? leading_count(text, ',') : 0;
}

Limit read_limit(const std::string& root) {
    if (const int exact = chosen_in_environment()) return {exact, true};
    const int openmp = chosen_for_openmp();
    const double quota = std::ceil(cpu_quota(root));
    const int most = openmp ? openmp : max_threads;
    return {quota < most ? static_cast<int>(quota) : most, false};
}

Limit known_limit() {
    Limit known = limit.load();
    if (known.count == 0) limit.store(known = read_limit(""));
    return known;
}

// The affinity may change at any time: it is asked for in every call.
int apply(Limit known) {
    return known.exact ? known.count : std::min(known.count, affinity_count());
}

// A child has none of its parent's threads: it forgets the pool (and its locks, in whatever state)
// and makes a new one when it needs one. It may also live in another control group.
void forget_parent() {
    pool.store(nullptr);
    limit.store({0, false});
    Pool::inside_task() = false;
}

[[maybe_unused]] const bool registered = (call_in_forked_children(&forget_parent), true);

Pool& get_pool() {
    Pool* current = pool.load();
    if (!current) {
        auto fresh = std::make_unique<Pool>();
        if (pool.compare_exchange_strong(current, fresh.get())) current = fresh.release();
    }
    return *current;
}

} // namespace

int default_num_threads(const std::string& root) { return apply(read_limit(root)); }

int num_threads() {
    const int chosen = chosen_threads.load();
    if (chosen > 0) return chosen;
    return apply(known_limit());
}

void set_num_threads(int count) { chosen_threads.store(count); }

void parallel_for(std::size_t count, double seconds_of_work,
                  const std::function<void(std::size_t)>& task) {
    // A wrong variable is an error whether or not there is enough work for several threads.
    if (chosen_threads.load() == 0) known_limit();
    if (count > 1 && seconds_of_work > min_parallel_seconds && !Pool::inside_task()) {
        const int allowed = num_threads();
        const int threads =
            count < static_cast<std::size_t>(allowed) ? static_cast<int>(count) : allowed;
        Pool& workers = get_pool();
        std::unique_lock<std::mutex> lock(workers.caller, std::defer_lock);
        if (threads > 1 && lock.try_lock()) {
            workers.run(threads, count, task);
            return;
        }
    }
    const FloatMode mode;
    for (std::size_t i = 0; i < count; ++i) task(i);
}

} // namespace centroids
