// How many CPUs this process may use.
#pragma once

#include <string>

namespace centroids {

// The CPUs of the calling thread's affinity.
int affinity_count();

// What the CPU quotas of the control groups allow: the smallest from the process's own group up to
// the root, in CPUs; infinity without any. `root` is put before /proc and /sys, for tests.
double cpu_quota(const std::string& root = "");

} // namespace centroids
