#include "api/kmeans.h"
#include "isa/block_kernels.h"
#include "platform/platform.h"

namespace centroids {

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
