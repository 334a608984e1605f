// What each system has its own way of: one file for each beside this one.
#pragma once

#include <cstddef>
#include <string>

namespace centroids {

// The CPUs of the calling thread's affinity.
int affinity_count();

// What the CPU quotas of the control groups allow: the smallest from the process's own group up to
// the root, in CPUs; infinity without any. `root` is put before /proc and /sys, for tests.
double cpu_quota(const std::string& root = "");

// From the system's generator: std::random_device asks the processor, and some repeat themselves
// (seen: one word in 500 was that before it).
void fill_randomly(void* target, std::size_t bytes);

// Calls it in each forked child, where a system has them.
void call_in_forked_children(void (*function)());

// Whether an Arm processor has dot products of bytes, which a program cannot ask it for.
bool system_has_dot_products();

} // namespace centroids
