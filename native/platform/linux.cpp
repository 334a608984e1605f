#include "platform/platform.h"

#include <cerrno>
#include <cmath>
#include <fstream>
#include <pthread.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace centroids {
namespace {

constexpr double unlimited = HUGE_VAL;

double quota_from(double quota, double period) {
    return quota > 0 && period > 0 ? quota / period : unlimited;
}

// Version 2: "max 100000" or "150000 100000".
double quota_of_folder_v2(const std::string& folder) {
    std::ifstream file(folder + "/cpu.max");
    double quota = 0, period = 0;
    return file >> quota >> period ? quota_from(quota, period) : unlimited;
}

// Version 1: -1 without a limit.
double quota_of_folder_v1(const std::string& folder) {
    std::ifstream quota_file(folder + "/cpu.cfs_quota_us");
    std::ifstream period_file(folder + "/cpu.cfs_period_us");
    double quota = 0, period = 0;
    return quota_file >> quota && period_file >> period ? quota_from(quota, period) : unlimited;
}

// The group's folder and all above it. A container may show its own group as the root, under a path
// that only its host knows: folders that are not there have no quota.
double smallest_quota(const std::string& mount, std::string group,
                      double (*quota_of_folder)(const std::string&)) {
    double smallest = quota_of_folder(mount);
    for (; group.size() > 1; group.resize(group.rfind('/')))
        smallest = std::fmin(smallest, quota_of_folder(mount + group));
    return smallest;
}

bool has_entry(const std::string& list, const std::string& entry) {
    return ("," + list + ",").find("," + entry + ",") != std::string::npos;
}

} // namespace

int affinity_count() {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
    const unsigned count = std::thread::hardware_concurrency();
    return count > 0 ? static_cast<int>(count) : 1;
}

double cpu_quota(const std::string& root) {
    const std::string mount = root + "/sys/fs/cgroup";
    double smallest = unlimited;
    // Each line is "number:controllers:/group"; version 2 names no controllers.
    std::ifstream groups(root + "/proc/self/cgroup");
    for (std::string line; std::getline(groups, line);) {
        const std::size_t first = line.find(':'), second = line.find(':', first + 1);
        if (second == std::string::npos || line.compare(second + 1, 1, "/") != 0) continue;
        const std::string controllers = line.substr(first + 1, second - first - 1);
        const std::string group = line.substr(second + 1);
        if (controllers.empty())
            smallest = std::fmin(smallest, smallest_quota(mount, group, quota_of_folder_v2));
        else if (has_entry(controllers, "cpu"))
            smallest =
                std::fmin(smallest, smallest_quota(mount + "/cpu", group, quota_of_folder_v1));
    }
    return smallest;
}

// By number: the function came with glibc 2.25 only.
void fill_randomly(void* target, std::size_t bytes) {
    constexpr std::size_t at_once = 256; // so much comes whole, whatever signal arrives
    for (std::size_t from = 0; from < bytes; from += at_once) {
        const std::size_t part = bytes - from < at_once ? bytes - from : at_once;
        if (syscall(SYS_getrandom, static_cast<char*>(target) + from, part, 0) < 0)
            throw std::system_error(errno, std::generic_category(), "no random numbers");
    }
}

bool system_has_dot_products() {
#if defined(__aarch64__)
    constexpr unsigned long asimddp = 1ul << 20; // HWCAP_ASIMDDP, which old headers do not have
    return (getauxval(AT_HWCAP) & asimddp) != 0;
#else
    return false;
#endif
}

void call_in_forked_children(void (*function)()) { pthread_atfork(nullptr, nullptr, function); }

} // namespace centroids
