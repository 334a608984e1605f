// Rows to columns: `size` rows of `size` values by interleaving halves, log2(size) times, in the
// compiler's own vectors. Reading rows one value at a time would cost a fifth of the arg-min.

template <class T, int size>
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

#if defined(__AVX__) && !defined(__AVX512F__)
// AVX shuffles cheaply only within halves of a register: the halves are filled with rows 0 to 3 and
// 4 to 7, and each is transposed for itself.
template <>
struct Square<float, 8> {
    static inline __attribute__((always_inline)) void transpose(const float* rows,
                                                                std::ptrdiff_t stride,
                                                                const float* shift, float* columns,
                                                                std::size_t distance) {
        CENTROIDS_UNROLL
        for (std::size_t first = 0; first < 8; first += 4) {
            __m256 row[4];
            CENTROIDS_UNROLL
            for (int i = 0; i < 4; ++i)
                row[i] = _mm256_insertf128_ps(
                    _mm256_castps128_ps256(_mm_loadu_ps(rows + i * stride + first)),
                    _mm_loadu_ps(rows + (i + 4) * stride + first), 1);
            const __m256d low01 = _mm256_castps_pd(_mm256_unpacklo_ps(row[0], row[1]));
            const __m256d low23 = _mm256_castps_pd(_mm256_unpacklo_ps(row[2], row[3]));
            const __m256d high01 = _mm256_castps_pd(_mm256_unpackhi_ps(row[0], row[1]));
            const __m256d high23 = _mm256_castps_pd(_mm256_unpackhi_ps(row[2], row[3]));
            const __m256d column[4] = {
                _mm256_unpacklo_pd(low01, low23), _mm256_unpackhi_pd(low01, low23),
                _mm256_unpacklo_pd(high01, high23), _mm256_unpackhi_pd(high01, high23)};
            CENTROIDS_UNROLL
            for (std::size_t j = 0; j < 4; ++j)
                _mm256_storeu_ps(
                    columns + (first + j) * distance,
                    _mm256_sub_ps(_mm256_castpd_ps(column[j]), _mm256_set1_ps(shift[first + j])));
        }
    }
};
#endif
