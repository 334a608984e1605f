// A small thread pool: work in fixed chunks, safe to fork, never more threads than the process may
// use. Which thread runs which chunk is left to chance; results must not depend on it.
#pragma once

#include <cstddef>
#include <functional>

namespace centroids {

// From CENTROIDS_NUM_THREADS, else the smaller of CPU affinity and the container's CPU quota.
int default_num_threads();
int num_threads();
void set_num_threads(int count); // 0: back to the default

// Calls task(i) for every i < count. Returns when all have ended; rethrows the first exception.
// `seconds_of_work` decides whether waking a thread pays. Nested calls, and calls made while
// another caller has the workers, run on the calling thread alone.
void parallel_for(std::size_t count, double seconds_of_work,
                  const std::function<void(std::size_t)>& task);

} // namespace centroids
