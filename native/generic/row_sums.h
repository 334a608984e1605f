// One row against one center in float64: its squared distance, and its share of the update.
//
// Element j always goes to running sum j mod 8, products are rounded before they are added, and the
// eight sums are added in one fixed tree: every instruction set gives the same bits. The sums of
// the update are integers. Reading the row is the limit, so the arithmetic costs little.

static inline double add_eight(const double (&sums)[8]) {
    return ((sums[0] + sums[4]) + (sums[2] + sums[6])) +
           ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

// Adds values to sums in fixed point. `limbs` is 1 or 2.
// rests: what products were rounded by, which the second limb takes, or null
template <int limbs, class Part, class Integers>
static inline __attribute__((always_inline)) void
add_anchored(const Part& values, decltype(&values) rests, const Part& anchor,
             const Part& second_anchor, Integers& first, Integers& second) {
    const Part rounded = values + anchor;
    first += (Integers)rounded;
    if constexpr (limbs == 2) {
        Part rest = values - (rounded - anchor);
        if (rests) rest += *rests;
        second += (Integers)(rest + second_anchor);
    }
}

// rests: as for add_anchored; at: of the first value in the sums; column: in its row
template <int limbs>
static inline __attribute__((always_inline)) void
add_eight_values(const Eight<double>& values, const Eight<double>* rests, const FixedSums& sums,
                 std::size_t at, std::size_t column, std::size_t dimensions) {
    Eight<double> anchor, second_anchor = {};
    Eight<std::uint64_t> first, second = {};
    load_eight(sums.anchors + column, anchor);
    load_eight(sums.digits + at, first);
    if constexpr (limbs == 2) {
        load_eight(sums.anchors + dimensions + column, second_anchor);
        load_eight(sums.digits + sums.second + at, second);
    }
    CENTROIDS_UNROLL
    for (int p = 0; p < Eight<double>::parts; ++p)
        add_anchored<limbs>(values.part[p], rests ? &rests->part[p] : nullptr, anchor.part[p],
                            second_anchor.part[p], first.part[p], second.part[p]);
    __builtin_memcpy(sums.digits + at, &first, sizeof first);
    if constexpr (limbs == 2)
        __builtin_memcpy(sums.digits + sums.second + at, &second, sizeof second);
}

template <int limbs>
static inline void add_value(double value, const FixedSums& sums, std::size_t at,
                             std::size_t column, std::size_t dimensions) {
    const auto add = [](std::int64_t& digits, double anchored) { // bits wrap around
        digits =
            (std::int64_t)((std::uint64_t)digits + __builtin_bit_cast(std::uint64_t, anchored));
    };
    const double anchor = sums.anchors[column], rounded = value + anchor;
    add(sums.digits[at], rounded);
    if constexpr (limbs == 2)
        add(sums.digits[sums.second + at],
            value - (rounded - anchor) + sums.anchors[dimensions + column]);
}

// Elements [0, 8) of a row against those of a center: their squares to the running sums, and the
// elements to the sums of the update, in so many limbs. 0: only the squares are asked for.
template <class T, int limbs>
static inline __attribute__((always_inline)) void
add_eight_squares(const T* row, const T* center, const FixedSums& sums, std::size_t at,
                  std::size_t column, std::size_t dimensions, Eight<double>& running) {
    Eight<double> values, others;
    load_eight(row, values);
    load_eight(center, others);
    CENTROIDS_UNROLL
    for (int p = 0; p < Eight<double>::parts; ++p) {
        const auto difference = values.part[p] - others.part[p];
        running.part[p] += difference * difference;
    }
    if constexpr (limbs > 0) add_eight_values<limbs>(values, nullptr, sums, at, column, dimensions);
}

// at: of the row in the sums
template <class T, int limbs>
static inline __attribute__((always_inline)) double row_sums(const T* row, const T* center,
                                                             const FixedSums& sums, std::size_t at,
                                                             std::size_t dimensions) {
    Eight<double> running = {};
    std::size_t j = 0;
    for (; j + 8 <= dimensions; j += 8)
        add_eight_squares<T, limbs>(row + j, center + j, sums, at + j, j, dimensions, running);
    double squares[8];
    store_eight(running, squares);
    for (std::size_t lane = 0; j + lane < dimensions; ++lane) {
        const double value = static_cast<double>(row[j + lane]);
        const double difference = value - static_cast<double>(center[j + lane]);
        squares[lane] += difference * difference;
        if constexpr (limbs > 0) add_value<limbs>(value, sums, at + j + lane, j + lane, dimensions);
    }
    return add_eight(squares);
}

template <class T>
static double squared_distance(const T* row, const T* center, std::size_t dimensions) {
    return row_sums<T, 0>(row, center, {}, 0, dimensions);
}

// Two values: what is left of a row after its eights.
template <class T>
struct Two {
    typedef T Values __attribute__((vector_size(2 * sizeof(T))));
    Values values;
};

template <class T, std::size_t count>
static inline __attribute__((always_inline)) void load_two(const T* from, Two<double>& to) {
    if constexpr (count == 1) {
        to.values = Two<double>::Values{static_cast<double>(*from), 0.0};
    } else if constexpr (sizeof(T) == 4) {
        Steps::widen_two(from, to.values);
    } else {
        __builtin_memcpy(&to, from, sizeof to);
    }
}

// Of two values, or of the first alone.
template <int limbs, std::size_t count>
static inline __attribute__((always_inline)) void
add_two_values(const Two<double>& values, const Two<double>* rests, const FixedSums& sums,
               std::size_t at, std::size_t column, std::size_t dimensions) {
    constexpr std::size_t bytes = count * sizeof(double);
    std::int64_t* const digits = sums.digits + at;
    Two<double> anchor, second_anchor = {};
    Two<std::uint64_t> first = {}, second = {};
    load_two<double, count>(sums.anchors + column, anchor);
    __builtin_memcpy(&first, digits, bytes);
    if constexpr (limbs == 2) {
        load_two<double, count>(sums.anchors + dimensions + column, second_anchor);
        __builtin_memcpy(&second, digits + sums.second, bytes);
    }
    add_anchored<limbs>(values.values, rests ? &rests->values : nullptr, anchor.values,
                        second_anchor.values, first.values, second.values);
    __builtin_memcpy(digits, &first, bytes);
    if constexpr (limbs == 2) __builtin_memcpy(digits + sums.second, &second, bytes);
}

// All is Eight<double>: what its registers are not is not compiled.
template <class All>
static inline __attribute__((always_inline)) void split_eight(const All& all,
                                                              Two<double> (&twos)[4]) {
    const auto& first = all.part[0];
    if constexpr (All::lanes == 8) {
        twos[0].values = __builtin_shufflevector(first, first, 0, 1);
        twos[1].values = __builtin_shufflevector(first, first, 2, 3);
        twos[2].values = __builtin_shufflevector(first, first, 4, 5);
        twos[3].values = __builtin_shufflevector(first, first, 6, 7);
    } else if constexpr (All::lanes == 4) {
        const auto& second = all.part[1];
        twos[0].values = __builtin_shufflevector(first, first, 0, 1);
        twos[1].values = __builtin_shufflevector(first, first, 2, 3);
        twos[2].values = __builtin_shufflevector(second, second, 0, 1);
        twos[3].values = __builtin_shufflevector(second, second, 2, 3);
    } else {
        __builtin_memcpy(twos, &all, sizeof twos);
    }
}

// The pair that starts at element `at` of a row that has `left` more.
template <class T, int limbs, std::size_t at, std::size_t left>
static inline __attribute__((always_inline)) void
add_two(const T* row, const T* center, const FixedSums& sums, std::size_t row_at,
        std::size_t dimensions, Two<double>& squares) {
    if constexpr (left > 0) {
        constexpr std::size_t count = left == 1 ? 1 : 2;
        constexpr bool row_has_eights = at >= 8;
        Two<double> value, difference;
        load_two<T, count>(row + at, value);
        load_two<T, count>(center + at, difference);
        difference.values = value.values - difference.values;
        if constexpr (row_has_eights)
            squares.values += difference.values * difference.values;
        else
            squares.values = difference.values * difference.values;
        if constexpr (limbs > 0)
            add_two_values<limbs, count>(value, nullptr, sums, row_at + at, at, dimensions);
    }
}

// row_sums for a row length known to the compiler: the same additions in the same order, in
// registers throughout.
template <class T, int limbs, std::size_t length>
static inline __attribute__((always_inline)) double
short_row_sums(const T* row, const T* center, const FixedSums& sums, std::size_t at) {
    constexpr std::size_t eights = length / 8 * 8, left = length - eights;
    Two<double> squares[4] = {{{0, 0}}, {{0, 0}}, {{0, 0}}, {{0, 0}}};
    if constexpr (eights > 0) {
        Eight<double> running = {};
        for (std::size_t j = 0; j < eights; j += 8)
            add_eight_squares<T, limbs>(row + j, center + j, sums, at + j, j, length, running);
        split_eight(running, squares);
    }
    add_two<T, limbs, eights, left>(row, center, sums, at, length, squares[0]);
    add_two<T, limbs, eights + 2, (left > 2 ? left - 2 : 0)>(row, center, sums, at, length,
                                                             squares[1]);
    add_two<T, limbs, eights + 4, (left > 4 ? left - 4 : 0)>(row, center, sums, at, length,
                                                             squares[2]);
    add_two<T, limbs, eights + 6, (left > 6 ? left - 6 : 0)>(row, center, sums, at, length,
                                                             squares[3]);
    // Terms that are zero for every row are left out: no bit changes.
    Two<double> total = squares[0];
    if constexpr (length > 4) total.values += squares[2].values;
    if constexpr (length > 6)
        total.values += squares[1].values + squares[3].values;
    else if constexpr (length > 2)
        total.values += squares[1].values;
    return total.values[0] + total.values[1];
}

// Two rows of two values: what short_row_sums gives, but the distances take one addition and one
// store.
template <class T, int limbs>
static inline __attribute__((always_inline)) void
update_two_rows(const T* rows, std::ptrdiff_t stride, const std::int32_t* cluster_index,
                const T* centers, const FixedSums& sums, double* distances) {
    Two<double> squares[2];
    CENTROIDS_UNROLL
    for (int i = 0; i < 2; ++i) {
        const std::size_t at = 2 * static_cast<std::size_t>(cluster_index[i]);
        if constexpr (limbs > 0) ++sums.num_rows[cluster_index[i]];
        add_two<T, limbs, 0, 2>(rows + i * stride, centers + at, sums, at, 2, squares[i]);
    }
    const Two<double> total = {__builtin_shufflevector(squares[0].values, squares[1].values, 0, 2) +
                               __builtin_shufflevector(squares[0].values, squares[1].values, 1, 3)};
    __builtin_memcpy(distances, &total, sizeof total);
}

// A row length known to the compiler (`fixed`, 0: not known) removes the loops where they cost
// most.
template <class T, int limbs, std::size_t fixed>
static void update_rows_of(const T* rows, std::ptrdiff_t stride, std::size_t count,
                           const std::int32_t* cluster_index, const T* centers,
                           std::size_t dimensions, const FixedSums* sums, double* distances) {
    const std::size_t length = fixed ? fixed : dimensions;
    FixedSums own = limbs > 0 ? *sums : FixedSums{};
    double anchors[limbs * fixed + 1]; // in registers: no store can be to them
    if constexpr (limbs * fixed > 0) {
        __builtin_memcpy(anchors, own.anchors, limbs * fixed * sizeof(double));
        own.anchors = anchors;
    }
    std::size_t i = 0;
    if constexpr (fixed == 2)
        for (; i + 2 <= count; i += 2)
            update_two_rows<T, limbs>(rows + static_cast<std::ptrdiff_t>(i) * stride, stride,
                                      cluster_index + i, centers, own, distances + i);
    for (; i < count; ++i) {
        const std::size_t at = static_cast<std::size_t>(cluster_index[i]) * length;
        const T* const row = rows + static_cast<std::ptrdiff_t>(i) * stride;
        if constexpr (limbs > 0) ++own.num_rows[cluster_index[i]];
        if constexpr (fixed > 0)
            distances[i] = short_row_sums<T, limbs, fixed>(row, centers + at, own, at);
        else
            distances[i] = row_sums<T, limbs>(row, centers + at, own, at, length);
    }
}

template <class T, std::size_t fixed>
static void update_rows_sized(const T* rows, std::ptrdiff_t stride, std::size_t count,
                              const std::int32_t* cluster_index, const T* centers,
                              std::size_t dimensions, const FixedSums* sums, double* distances) {
    (!sums           ? update_rows_of<T, 0, fixed>
     : !sums->second ? update_rows_of<T, 1, fixed>
                     : update_rows_of<T, 2, fixed>)(rows, stride, count, cluster_index, centers,
                                                    dimensions, sums, distances);
}

template <class T>
static void update_rows(const T* rows, std::ptrdiff_t stride, std::size_t count,
                        const std::int32_t* cluster_index, const T* centers, std::size_t dimensions,
                        const FixedSums* sums, double* distances) {
    // In the order of the row length.
    constexpr decltype(&update_rows_sized<T, 0>) functions[] = {
        &update_rows_sized<T, 0>,  &update_rows_sized<T, 1>,  &update_rows_sized<T, 2>,
        &update_rows_sized<T, 3>,  &update_rows_sized<T, 4>,  &update_rows_sized<T, 5>,
        &update_rows_sized<T, 6>,  &update_rows_sized<T, 7>,  &update_rows_sized<T, 8>,
        &update_rows_sized<T, 9>,  &update_rows_sized<T, 10>, &update_rows_sized<T, 11>,
        &update_rows_sized<T, 12>, &update_rows_sized<T, 13>, &update_rows_sized<T, 14>,
        &update_rows_sized<T, 15>, &update_rows_sized<T, 16>};
    functions[dimensions <= 16 ? dimensions : 0](rows, stride, count, cluster_index, centers,
                                                 dimensions, sums, distances);
}

template <class T, int limbs>
static void add_rows_of(const T* rows, std::ptrdiff_t stride, std::size_t count,
                        const std::int32_t* cluster_index, std::size_t dimensions,
                        const FixedSums& sums) {
    for (std::size_t i = 0; i < count; ++i) {
        const T* const row = rows + static_cast<std::ptrdiff_t>(i) * stride;
        const std::size_t at = static_cast<std::size_t>(cluster_index[i]) * dimensions;
        ++sums.num_rows[cluster_index[i]];
        std::size_t j = 0;
        for (; j + 8 <= dimensions; j += 8) {
            Eight<double> values;
            load_eight(row + j, values);
            add_eight_values<limbs>(values, nullptr, sums, at + j, j, dimensions);
        }
        for (; j < dimensions; ++j)
            add_value<limbs>(static_cast<double>(row[j]), sums, at + j, j, dimensions);
    }
}

template <class T>
static void add_rows(const T* rows, std::ptrdiff_t stride, std::size_t count,
                     const std::int32_t* cluster_index, std::size_t dimensions,
                     const FixedSums& sums) {
    (sums.second ? add_rows_of<T, 2> : add_rows_of<T, 1>)(rows, stride, count, cluster_index,
                                                          dimensions, sums);
}

static bool add_eights(const double* values, std::size_t eights, const std::uint64_t* least,
                       const std::uint64_t* most, const FixedSums& sums) {
    Eight<double> anchor, second_anchor;
    Eight<std::uint64_t> first, second, low, high, outside = {};
    load_eight(sums.anchors, anchor);
    load_eight(sums.anchors + 8, second_anchor);
    load_eight(sums.digits, first);
    load_eight(sums.digits + sums.second, second);
    __builtin_memcpy(&low, least, sizeof low);
    __builtin_memcpy(&high, most, sizeof high);
    for (std::size_t i = 0; i < eights; ++i) {
        Eight<double> own;
        load_eight(values + 8 * i, own);
        CENTROIDS_UNROLL
        for (int p = 0; p < Eight<double>::parts; ++p) {
            const auto size = (Eight<std::uint64_t>::Part)own.part[p] & INT64_MAX;
            outside.part[p] |= (high.part[p] - size) | ((size - low.part[p]) & -size);
            add_anchored<2>(own.part[p], nullptr, anchor.part[p], second_anchor.part[p],
                            first.part[p], second.part[p]);
        }
    }
    std::uint64_t all[8], any = 0;
    store_eight(outside, all);
    for (const std::uint64_t one : all) any |= one;
    if (any >> 63) return false;
    __builtin_memcpy(sums.digits, &first, sizeof first);
    __builtin_memcpy(sums.digits + sums.second, &second, sizeof second);
    return true;
}
