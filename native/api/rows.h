// Points as the caller holds them, read block by block: any element type, any strides, normalised
// on the way for cosine. Nothing is ever converted as a whole.
#pragma once

#include <cstddef>
#include <cstdint>

namespace centroids {

enum class ElementType : int {
    float32,
    float64,
    float16,
    bfloat16,
    int8,
    uint8,
    int16,
    uint16,
    int32,
    uint32,
    int64,
    uint64
};

struct DenseRows {
    const void* data; // IN [num_rows][dimensions], strides in elements of `type`
    ElementType type;
    std::size_t num_rows;
    std::size_t dimensions;
    std::ptrdiff_t row_stride;
    std::ptrdiff_t column_stride;
    bool normalize; // divide each row by its Euclidean norm; a zero row stays zero
};

template <class T>
struct Block {
    const T* rows;
    std::ptrdiff_t stride;
};

// True when blocks point straight into the caller's memory.
template <class T>
bool reads_in_place(const DenseRows& points);

// Rows [first, first + count) as T. scratch: [count][dimensions], used unless read in place.
template <class T>
Block<T> load_rows(const DenseRows& points, std::size_t first, std::size_t count, T* scratch);

} // namespace centroids
