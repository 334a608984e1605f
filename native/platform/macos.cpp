#include "platform/platform.h"

#include <cmath>
#include <cstdlib>
#include <pthread.h>
#include <sys/sysctl.h>
#include <thread>

namespace centroids {

// Threads have no affinity, and processes no quota.
int affinity_count() {
    const unsigned count = std::thread::hardware_concurrency();
    return count > 0 ? static_cast<int>(count) : 1;
}

double cpu_quota(const std::string&) { return HUGE_VAL; }

void fill_randomly(void* target, std::size_t bytes) { arc4random_buf(target, bytes); }

bool system_has_dot_products() {
    int has = 0;
    std::size_t size = sizeof has;
    return sysctlbyname("hw.optional.arm.FEAT_DotProd", &has, &size, nullptr, 0) == 0 && has != 0;
}

void call_in_forked_children(void (*function)()) { pthread_atfork(nullptr, nullptr, function); }

} // namespace centroids
