// The two smallest scores of a point and the place of the smallest, kept per lane.
//
// The second smallest is what makes exactness cheap: where the gap between the two is larger than
// twice the rounding bound, the arg-min is proven; only the other points are scored again.

template <class V>
struct BestTwo {
    using T = typename V::T;
    typename V::Register best, second;
    typename V::IndexRegister place;

    static inline __attribute__((always_inline)) BestTwo start() {
        const auto infinity = V::broadcast(T(__builtin_inf()));
        return {infinity, infinity, V::broadcast_index(0)};
    }

    inline __attribute__((always_inline)) void offer(typename V::Register score, int at) {
        const auto closer = V::less(score, best);
        second = V::minimum(second, V::maximum(score, best));
        best = V::minimum(score, best);
        place = V::select_index(closer, V::broadcast_index(at), place);
    }
};

// Judges a run of points whose two lowest scores are known.
//
// A gap above the reach proves the arg-min (derivation in docs/decisions/exact-labels.md). The
// comparison is written so that NaN and infinity fail it. Where scores may overflow, they say
// nothing about any center: no threshold excludes one. Plain loops over arrays: the compiler
// vectorises them.
template <class T>
static void judge(const T* best, const T* second, const T* squared_norms, std::size_t count,
                  const PackedCenters<T>& centers, std::size_t first, BlockResult<T> out) {
    const T fixed = centers.reach_fixed, by_norm = centers.reach_by_norm,
            by_square = centers.reach_by_square, largest_square = centers.largest_square;
    const T roundoff = static_cast<T>(unit_roundoff<T>());
    T* const threshold = out.threshold + first;
    unsigned char* const uncertain = out.uncertain + first;
    for (std::size_t i = 0; i < count; ++i) {
        const T reach =
            fixed + by_norm * square_root(squared_norms[i]) + by_square * squared_norms[i];
        const T limit = best[i] + reach + (best[i] < 0 ? -best[i] : best[i]) * roundoff;
        const bool small = squared_norms[i] <= largest_square;
        threshold[i] = small ? limit : T(__builtin_inf());
        uncertain[i] = !((second[i] - best[i] > reach) & small);
    }
}
