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
    // Room for rows that cannot be read in place; it may serve one block after the other.
    struct Scratch {
        AlignedVector<T> rows;
        std::vector<unsigned char> loaded; // [rows]
    };

    LazyBlock(const DenseRows& points, std::size_t first, std::size_t count, Scratch& scratch)
        : points_(points), first_(first), count_(count), scratch_(scratch),
          loaded_(reads_in_place<T>(points)), block_{nullptr, 0} {
        if (loaded_) {
            block_ = load_rows<T>(points, first, count, nullptr);
            return;
        }
        scratch.rows.resize(std::max(scratch.rows.size(), count * points.dimensions));
        scratch.loaded.assign(count, 0);
        block_ = {scratch.rows.data(), static_cast<std::ptrdiff_t>(points.dimensions)};
    }

    std::size_t first() const { return first_; }
    std::size_t count() const { return count_; }

    const T* row(std::size_t i) {
        const T* const own = block_.rows + static_cast<std::ptrdiff_t>(i) * block_.stride;
        if (!loaded_ && !scratch_.loaded[i]) {
            load_rows<T>(points_, first_ + i, 1, scratch_.rows.data() + i * points_.dimensions);
            scratch_.loaded[i] = 1;
        }
        return own;
    }

    // It will be looked at soon.
    void fetch(std::size_t i) const {
        if (reads_in_place<T>(points_))
            prefetch(block_.rows + static_cast<std::ptrdiff_t>(i) * block_.stride,
                     points_.dimensions);
    }

    const Block<T>& all() {
        if (!loaded_) load_rows<T>(points_, first_, count_, scratch_.rows.data());
        loaded_ = true;
        return block_;
    }

  private:
    const DenseRows& points_;
    const std::size_t first_, count_;
    Scratch& scratch_;
    bool loaded_; // all rows
    Block<T> block_;
};

} // namespace centroids
