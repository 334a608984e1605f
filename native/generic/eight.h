// Eight values side by side, in the compiler's own vectors of the width of a register.
//
// In wider ones GCC 12 hands the parts on through memory, value by value: sums of rows took three
// times as long with AVX2. Eight are handed on by reference: by value they would cross calls in an
// order of the ABI's own.

template <class T>
struct Eight {
    static constexpr int lanes = Steps::eight_lanes;
    static constexpr int parts = 8 / lanes;
    typedef T Part __attribute__((vector_size(lanes * sizeof(T))));
    Part part[parts];
};

template <class From, class To>
static inline __attribute__((always_inline)) void load_part(const From* from,
                                                            typename Eight<To>::Part& to) {
    typename Eight<From>::Part loaded;
    __builtin_memcpy(&loaded, from, sizeof loaded);
    to = __builtin_convertvector(loaded, typename Eight<To>::Part);
}

// GCC 12 makes halves or single values of these conversions.
template <>
inline __attribute__((always_inline)) void load_part<float, double>(const float* from,
                                                                    Eight<double>::Part& to) {
    Steps::widen(from, to);
}

template <class From, class To>
static inline __attribute__((always_inline)) void load_eight(const From* from, Eight<To>& to) {
    CENTROIDS_UNROLL
    for (int p = 0; p < Eight<To>::parts; ++p)
        load_part<From, To>(from + p * Eight<To>::lanes, to.part[p]);
}

template <class T>
static inline __attribute__((always_inline)) void store_eight(const Eight<T>& from, T* to) {
    __builtin_memcpy(to, &from, sizeof from);
}
