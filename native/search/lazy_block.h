// A block of rows of which those are read that somebody looks at.
#pragma once

#include "runtime/aligned_vector.h"
#include "runtime/prefetch.h"
#include "api/rows.h"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace centroids {

template <class T>
class LazyBlock {
  public:
    // It may serve one block after the other.
    struct Scratch {
        AlignedVector<T> rows;           // those that cannot be read in place
        std::vector<unsigned char> seen; // [count], whether the row was looked at
    };

    LazyBlock(const DenseRows& points, std::size_t first, std::size_t count, Scratch& scratch)
        : points_(points), first_(first), count_(count), in_place_(reads_in_place<T>(points)),
          scratch_(scratch), block_{nullptr, static_cast<std::ptrdiff_t>(points.dimensions)} {
        scratch.seen.assign(count, 0);
        if (in_place_) {
            block_ = load_rows<T>(points, first, count, nullptr);
            return;
        }
        scratch.rows.resize(std::max(scratch.rows.size(), count * points.dimensions));
        block_.rows = scratch.rows.data();
    }

    std::size_t first() const { return first_; }
    std::size_t count() const { return count_; }
    std::size_t num_seen() const {
        return all_ ? count_
                    : static_cast<std::size_t>(
                          std::count(scratch_.seen.begin(), scratch_.seen.end(), 1));
    }

    const T* row(std::size_t i) {
        if (!all_ && !scratch_.seen[i]) {
            scratch_.seen[i] = 1;
            if (!in_place_)
                load_rows<T>(points_, first_ + i, 1, scratch_.rows.data() + i * points_.dimensions);
        }
        return block_.rows + static_cast<std::ptrdiff_t>(i) * block_.stride;
    }

    const Block<T>& all() {
        if (!all_ && !in_place_) load_rows<T>(points_, first_, count_, scratch_.rows.data());
        all_ = true;
        return block_;
    }

    // The row, or one of the next block, will be looked at soon.
    __attribute__((always_inline)) void fetch(std::size_t i) const {
        if (in_place_)
            prefetch(block_.rows + static_cast<std::ptrdiff_t>(i) * block_.stride,
                     points_.dimensions);
    }

  private:
    const DenseRows& points_;
    const std::size_t first_, count_;
    const bool in_place_;
    bool all_ = false;
    Scratch& scratch_;
    Block<T> block_;
};

} // namespace centroids
