// Which values fit the windows that sums are taken in: see sums/sum_window.h.

template <class T>
static inline __attribute__((always_inline)) BitsOf<T> size_bits(T value) {
    return __builtin_bit_cast(BitsOf<T>, value) & static_cast<BitsOf<T>>(~BitsOf<T>(0)) >> 1;
}

// The sizes of some values side by side, and how they are outside of bounds: a highest bit that is
// set. Sizes have none, so that differences tell.
template <class T>
struct Sizes {
    using Word = BitsOf<T>;
    typedef Word Words __attribute__((vector_size(8 * Steps::eight_lanes)));
    static constexpr std::size_t lanes = sizeof(Words) / sizeof(Word);
    static constexpr Word highest = static_cast<Word>(Word(1) << (8 * sizeof(Word) - 1));

    template <class Some>
    static inline __attribute__((always_inline)) void look(const T* values, const Word* least,
                                                           const Word* most, Some& outside) {
        Some size, low, high;
        __builtin_memcpy(&size, values, sizeof size);
        __builtin_memcpy(&low, least, sizeof low);
        __builtin_memcpy(&high, most, sizeof high);
        judge(size, low, high, outside);
    }
    // bits: of values
    template <class Some>
    static inline __attribute__((always_inline)) void judge(const Some& bits, const Some& low,
                                                            const Some& high, Some& outside) {
        const Some size = bits & static_cast<Word>(~highest);
        outside |= (high - size) | ((size - low) & (0 - size));
    }

    // Of rows that fill a register: one register of bounds is for all.
    static inline __attribute__((always_inline)) void
    look_at_repeated(const T* values, std::size_t count, const Word* least, const Word* most,
                     Words& outside, Word& rest) {
        Words low, high;
        __builtin_memcpy(&low, least, sizeof low);
        __builtin_memcpy(&high, most, sizeof high);
        std::size_t i = 0;
        for (; i + lanes <= count; i += lanes) {
            Words size;
            __builtin_memcpy(&size, values + i, sizeof size);
            judge(size, low, high, outside);
        }
        for (; i < count; ++i) look(values + i, least + i % lanes, most + i % lanes, rest);
    }

    static bool any(const Words& outside, Word rest) {
        for (std::size_t lane = 0; lane < lanes; ++lane) rest |= outside[lane];
        return (rest & highest) != 0;
    }

    // So many values one after the other.
    static inline __attribute__((always_inline)) void
    look_at_all(const T* values, std::size_t count, const Word* least, const Word* most,
                Words& outside, Word& rest) {
        std::size_t i = 0;
        for (; i + lanes <= count; i += lanes) look(values + i, least + i, most + i, outside);
        if (i < count && count >= lanes) { // the last ones, some of them again
            i = count - lanes;
            look(values + i, least + i, most + i, outside);
        } else {
            for (; i < count; ++i) look(values + i, least + i, most + i, rest);
        }
    }
};

template <class T>
static bool rows_outside(const T* rows, std::ptrdiff_t stride, std::size_t count,
                         std::size_t dimensions, const BitsOf<T>* least, const BitsOf<T>* most,
                         unsigned char* outside) {
    const bool together =
        dimensions <= short_row && stride == static_cast<std::ptrdiff_t>(dimensions);
    const std::size_t step = together ? rows_of_bounds(dimensions) : 1;
    typename Sizes<T>::Words all = {};
    BitsOf<T> rest = 0;
    if (together && Sizes<T>::lanes % dimensions == 0)
        Sizes<T>::look_at_repeated(rows, count * dimensions, least, most, all, rest);
    else
        for (std::size_t i = 0; i < count; i += step)
            Sizes<T>::look_at_all(rows + static_cast<std::ptrdiff_t>(i) * stride,
                                  (count - i < step ? count - i : step) * dimensions, least, most,
                                  all, rest);
    if (!Sizes<T>::any(all, rest)) return false;
    for (std::size_t i = 0; i < count; ++i) {
        typename Sizes<T>::Words own = {};
        rest = 0;
        Sizes<T>::look_at_all(rows + static_cast<std::ptrdiff_t>(i) * stride, dimensions, least,
                              most, own, rest);
        outside[i] = Sizes<T>::any(own, rest);
    }
    return true;
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
