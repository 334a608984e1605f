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

// E bounds the rounding error of a score (derivation in docs/decisions/exact-labels.md), so a gap
// above 2 E proves the arg-min. The comparison is written so that NaN and infinity fail it.
template <class T>
static inline void judge(T best, T second, T squared_norm, const PackedCenters<T>& centers,
                         std::size_t row, BlockResult<T> out) {
    const double norm = __builtin_sqrt(static_cast<double>(squared_norm));
    const double reach =
        2.0 * centers.error_unit *
            (centers.max_norm * centers.max_norm + 2.0 * norm * centers.max_norm) +
        static_cast<double>(centers.dimensions + 4) * underflow_unit<T>();
    out.threshold[row] = static_cast<T>((static_cast<double>(best) + reach) +
                                        __builtin_fabs(static_cast<double>(best)) * unit_roundoff<T>());
    out.uncertain[row] = !(static_cast<double>(second) - static_cast<double>(best) > reach);
}
