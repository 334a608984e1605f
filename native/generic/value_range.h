// Which values fit the windows that sums are taken in: see sums/sum_window.h.

template <class T>
static inline __attribute__((always_inline)) BitsOf<T> size_bits(T value) {
    return __builtin_bit_cast(BitsOf<T>, value) & static_cast<BitsOf<T>>(~BitsOf<T>(0)) >> 1;
}

// Has its highest bit set where a value is outside: sizes have none, so the differences tell.
template <class T>
static inline __attribute__((always_inline)) BitsOf<T>
outside_bits(const T* values, std::size_t count, const BitsOf<T>* least, const BitsOf<T>* most) {
    BitsOf<T> outside = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const BitsOf<T> size = size_bits(values[i]);
        outside |= (most[i] - size) | ((size - least[i]) & (0 - size));
    }
    return outside;
}

template <class T>
static bool rows_outside(const T* rows, std::ptrdiff_t stride, std::size_t count,
                         std::size_t dimensions, const BitsOf<T>* least, const BitsOf<T>* most,
                         unsigned char* outside) {
    constexpr BitsOf<T> highest =
        static_cast<BitsOf<T>>(~(static_cast<BitsOf<T>>(~BitsOf<T>(0)) >> 1));
    const std::size_t together = rows_of_bounds(dimensions);
    BitsOf<T> any = 0;
    if (together > 1 && stride == static_cast<std::ptrdiff_t>(dimensions)) {
        for (std::size_t i = 0; i < count; i += together)
            any |= outside_bits(rows + i * dimensions,
                                (count - i < together ? count - i : together) * dimensions, least,
                                most);
        if (!(any & highest)) return false;
    }
    for (std::size_t i = 0; i < count; ++i) {
        const BitsOf<T> own =
            outside_bits(rows + static_cast<std::ptrdiff_t>(i) * stride, dimensions, least, most);
        outside[i] = (own & highest) != 0;
        any |= own;
    }
    return (any & highest) != 0;
}

template <class T>
static void largest_bits(const T* rows, std::ptrdiff_t stride, std::size_t count,
                         std::size_t dimensions, BitsOf<T>* most) {
    for (std::size_t i = 0; i < count; ++i) {
        const T* const row = rows + static_cast<std::ptrdiff_t>(i) * stride;
        for (std::size_t j = 0; j < dimensions; ++j) {
            const BitsOf<T> size = size_bits(row[j]);
            most[j] = size > most[j] ? size : most[j];
        }
    }
}
