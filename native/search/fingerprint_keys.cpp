#include "api/kmeans.h"
#include "isa/block_kernels.h"

#include <algorithm>
#include <cerrno>
#include <sys/random.h>
#include <system_error>

namespace centroids {
namespace {

// By the system: std::random_device asks the processor, and some repeat themselves (seen: one word
// in 500 was that before it).
void fill_randomly(void* target, std::size_t bytes) {
    constexpr std::size_t at_once = 256; // getentropy gives no more
    for (std::size_t from = 0; from < bytes; from += at_once)
        if (getentropy(static_cast<char*>(target) + from, std::min(at_once, bytes - from)) != 0)
            throw std::system_error(errno, std::generic_category(), "no random numbers");
}

} // namespace

const FingerprintKeys& fingerprint_keys() {
    static const FingerprintKeys keys = [] {
        FingerprintKeys drawn;
        fill_randomly(drawn.products, sizeof drawn.products);
        fill_randomly(&drawn.powers, sizeof drawn.powers);
        drawn.powers %= (std::uint64_t(1) << 61) - 1;
        return drawn;
    }();
    return keys;
}

} // namespace centroids
