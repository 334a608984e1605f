// Rows to columns: `size` rows of `size` values by interleaving halves, log2(size) times, in the
// compiler's own vectors. Reading rows one value at a time would cost a fifth of the arg-min.

// `Special`: the level's own way of eight, where it has one.
template <class T, int size, class Special = Steps>
struct Square {
    typedef T Values __attribute__((vector_size(size * sizeof(T))));

    // By reference: by value they would cross calls in an order of the ABI's own.
    static inline __attribute__((always_inline)) void
    interleave(const Values& a, const Values& b, Values& first_halves, Values& last_halves) {
        if constexpr (size == 4) {
            first_halves = __builtin_shufflevector(a, b, 0, 4, 1, 5);
            last_halves = __builtin_shufflevector(a, b, 2, 6, 3, 7);
        } else {
            first_halves = __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
            last_halves = __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
        }
    }

    // columns[j * distance + i] = rows[i * stride + j] - shift[j]
    static inline __attribute__((always_inline)) void transpose(const T* rows,
                                                                std::ptrdiff_t stride,
                                                                const T* shift, T* columns,
                                                                std::size_t distance) {
        if constexpr (requires {
                          Special::transpose_eight(rows, stride, shift, columns, distance);
                      } && size == 8) {
            Special::transpose_eight(rows, stride, shift, columns, distance);
            return;
        }
        Values now[size], next[size];
        for (int i = 0; i < size; ++i) __builtin_memcpy(&now[i], rows + i * stride, sizeof now[i]);
        for (int width = 1; width < size; width *= 2) {
            for (int i = 0; i < size / 2; ++i)
                interleave(now[i], now[i + size / 2], next[2 * i], next[2 * i + 1]);
            for (int i = 0; i < size; ++i) now[i] = next[i];
        }
        for (int j = 0; j < size; ++j) {
            now[j] -= shift[j];
            __builtin_memcpy(columns + static_cast<std::size_t>(j) * distance, &now[j],
                             sizeof now[j]);
        }
    }
};
