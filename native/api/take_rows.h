// Some rows of a matrix, in any order, one after the other.
#pragma once

#include "runtime/prefetch.h"
#include "runtime/round_up.h"
#include "runtime/thread_pool.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace centroids {

// from: IN rows of `row_bytes` each; rows: IN [count], numbers of them; to: OUT [count][row_bytes]
inline void take_rows(const unsigned char* from, std::size_t row_bytes, const std::int64_t* rows,
                      std::size_t count, unsigned char* to) {
    constexpr std::size_t together = 1024, ahead = 8;
    const auto begin_of = [&](std::size_t at) {
        return from + static_cast<std::size_t>(rows[at]) * row_bytes;
    };
    // Most of the time goes into memory that is touched for the first time: by all threads.
    const double seconds = static_cast<double>(count * row_bytes) * 2e-9;
    parallel_for(groups_of(together, count), seconds, [&](std::size_t part) {
        const std::size_t end = std::min((part + 1) * together, count);
        for (std::size_t at = part * together; at < end; ++at) {
            if (at + ahead < end) prefetch_beginning(begin_of(at + ahead), row_bytes);
            std::memcpy(to + at * row_bytes, begin_of(at), row_bytes);
        }
    });
}

} // namespace centroids
