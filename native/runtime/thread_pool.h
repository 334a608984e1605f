// A small thread pool: work in fixed chunks, safe to fork, never more threads than the process may
// use. Which thread runs which chunk is left to chance; results must not depend on it.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

namespace centroids {

// CENTROIDS_NUM_THREADS; else the smallest of the calling thread's CPU affinity, the container's
// CPU quota and OMP_NUM_THREADS, which joblib and others set for the workers they start. `root`:
// see cpu_quota. All throw std::invalid_argument if CENTROIDS_NUM_THREADS is set to no number of
// threads, unless set_num_threads chose: parallel_for too, so that no computation begins.
int default_num_threads(const std::string& root = "");
int num_threads();
void set_num_threads(int count); // 0: back to the default

// Calls task(i) for every i < count. Returns when all have ended; rethrows the first exception.
// `seconds_of_work` decides whether waking a thread pays. Calls from a task that has the workers,
// and calls made while another caller has them, run on the calling thread alone: of several callers
// at once one uses all threads, and each of the others its own.
void parallel_for(std::size_t count, double seconds_of_work,
                  const std::function<void(std::size_t)>& task);

} // namespace centroids
