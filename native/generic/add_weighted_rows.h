// Rows times their weights, added to the sums of their centers: see search/weighted_sums.h.
//
// A row is looked at before it is added. What short rows are multiplied to stays in registers
// meanwhile; of long ones it is computed again, which costs less than writing it down.

template <std::size_t n>
struct HowMany {
    static constexpr std::size_t count = n;
};

// take(values, HowMany<...>, column): for all values of a row, eight or two or one at a time
template <class T, std::size_t left, class Take>
static inline __attribute__((always_inline)) void take_twos(const T* row, std::size_t column,
                                                            const Take& take) {
    if constexpr (left > 0) {
        constexpr std::size_t here = left == 1 ? 1 : 2;
        Two<double> values;
        load_two<T, here>(row + column, values);
        take(values, HowMany<here>{}, column);
        take_twos<T, left - here>(row, column + here, take);
    }
}

template <class T, std::size_t fixed, class Take>
static inline __attribute__((always_inline)) void take_row(const T* row, std::size_t length,
                                                           const Take& take) {
    std::size_t column = 0;
    for (; column + 8 <= length; column += 8) {
        Eight<double> values;
        load_eight(row + column, values);
        take(values, HowMany<8>{}, column);
    }
    if constexpr (fixed > 0)
        take_twos<T, fixed % 8>(row, column, take);
    else
        for (; column < length; ++column) take_twos<T, 1>(row, column, take);
}

// value * weight, rounded, and what it was rounded by.
template <class Values>
static inline __attribute__((always_inline)) void weigh(const Values& values, double weight,
                                                        Values& products, Values& rests) {
    products = values * weight;
    Steps::add_products(values, weight - Values{}, -products, rests);
}

// Which values of a row do not fit: highest bits.
struct Outside {
    Eight<std::uint64_t> eight = {};
    Two<std::uint64_t> two = {};
    std::uint64_t one = 0;

    template <class Words, class Values>
    static inline __attribute__((always_inline)) void look(const Values& values, const Words& least,
                                                           const Words& most, Words& outside) {
        const Words size = (Words)values & INT64_MAX;
        outside |= (most - size) | ((size - least) & -size);
    }

    bool any() const {
        auto all = eight.part[0];
        CENTROIDS_UNROLL
        for (int p = 1; p < Eight<double>::parts; ++p) all |= eight.part[p];
        std::uint64_t bits = two.values[0] | two.values[1] | one;
        CENTROIDS_UNROLL
        for (int lane = 0; lane < Eight<double>::lanes; ++lane) bits |= all[lane];
        return bits >> 63;
    }
};

template <Rests rests>
struct RowProducts {
    const WeightedTarget& to;
    const double weight;
    const std::size_t dimensions;

    template <class Values, class Words>
    inline __attribute__((always_inline)) void
    look_part(const Values& values, const Words (&bounds)[4], Words& outside) const {
        Values products, others;
        weigh(values, weight, products, others);
        Outside::look(products, bounds[0], bounds[1], outside);
        if constexpr (rests == Rests::own_sums)
            Outside::look(others, bounds[2], bounds[3], outside);
        if constexpr (rests == Rests::none) outside |= -((Words)others & INT64_MAX);
    }
    inline __attribute__((always_inline)) void look(const Eight<double>& values, HowMany<8>,
                                                    std::size_t column, Outside& outside) const {
        CENTROIDS_UNROLL
        for (int p = 0; p < Eight<double>::parts; ++p) {
            typename Eight<std::uint64_t>::Part bounds[4] = {};
            const std::size_t at = column + static_cast<std::size_t>(p * Eight<double>::lanes);
            load_bounds(at, bounds, sizeof bounds[0]);
            look_part(values.part[p], bounds, outside.eight.part[p]);
        }
    }
    template <std::size_t count>
    inline __attribute__((always_inline)) void look(const Two<double>& values, HowMany<count>,
                                                    std::size_t column, Outside& outside) const {
        typename Two<std::uint64_t>::Values bounds[4] = {};
        load_bounds(column, bounds, count * sizeof(double));
        look_part(values.values, bounds, outside.two.values);
    }
    template <class Words>
    inline __attribute__((always_inline)) void load_bounds(std::size_t column, Words (&bounds)[4],
                                                           std::size_t bytes) const {
        __builtin_memcpy(&bounds[0], to.least + column, bytes);
        __builtin_memcpy(&bounds[1], to.most + column, bytes);
        if constexpr (rests != Rests::own_sums) return;
        __builtin_memcpy(&bounds[2], to.least_rest + column, bytes);
        __builtin_memcpy(&bounds[3], to.most_rest + column, bytes);
    }

    // at: of the row in the sums
    inline __attribute__((always_inline)) void add(const Eight<double>& values, HowMany<8>,
                                                   std::size_t column, std::size_t at) const {
        Eight<double> products, others;
        CENTROIDS_UNROLL
        for (int p = 0; p < Eight<double>::parts; ++p)
            weigh(values.part[p], weight, products.part[p], others.part[p]);
        add_eight_values<2>(products, rests == Rests::second_limb ? &others : nullptr, to.products,
                            at + column, column, dimensions);
        if constexpr (rests == Rests::own_sums)
            add_eight_values<2>(others, nullptr, to.rests, at + column, column, dimensions);
    }
    template <std::size_t count>
    inline __attribute__((always_inline)) void add(const Two<double>& values, HowMany<count>,
                                                   std::size_t column, std::size_t at) const {
        Two<double> products, others;
        weigh(values.values, weight, products.values, others.values);
        add_two_values<2, count>(products, rests == Rests::second_limb ? &others : nullptr,
                                 to.products, at + column, column, dimensions);
        if constexpr (rests == Rests::own_sums)
            add_two_values<2, count>(others, nullptr, to.rests, at + column, column, dimensions);
    }
};

static inline __attribute__((always_inline)) std::uint64_t
outside_of(double value, std::uint64_t least, std::uint64_t most) {
    const std::uint64_t size = __builtin_bit_cast(std::uint64_t, value) & INT64_MAX;
    return (most - size) | ((size - least) & (0 - size));
}

// The highest bit is set where one of some short rows, one after the other, does not fit: whole
// registers of values, whatever row they are of.
// count: at most rows_of_bounds(fixed)
template <class T, Rests rests, bool sum_weights, std::size_t fixed>
static std::uint64_t short_rows_outside(const T* rows, std::size_t count, const double* weights,
                                        const WeightedTarget& to) {
    double repeated[rows_of_bounds(fixed) * fixed];
    std::uint64_t outside = 0;
    for (std::size_t i = 0; i < count; ++i) {
        CENTROIDS_UNROLL
        for (std::size_t j = 0; j < fixed; ++j) repeated[i * fixed + j] = weights[i];
        if constexpr (sum_weights)
            outside |= outside_of(weights[i], to.least_weight, to.most_weight);
    }
    for (std::size_t at = 0; at < count * fixed; ++at) {
        const auto value = static_cast<double>(rows[at]);
        const double product = repeated[at] * value;
        outside |= outside_of(product, to.least[at], to.most[at]);
        if constexpr (rests == Rests::second_limb) continue;
        const double rest = __builtin_fma(repeated[at], value, -product);
        if constexpr (rests == Rests::own_sums)
            outside |= outside_of(rest, to.least_rest[at], to.most_rest[at]);
        else
            outside |= 0 - (__builtin_bit_cast(std::uint64_t, rest) & INT64_MAX);
    }
    return outside;
}

// checked: whether it is known that all rows fit. fixed: as for update_rows_of
template <class T, Rests rests, bool sum_weights, std::size_t fixed, bool checked>
static std::size_t add_weighted_rows_of(const T* rows, std::ptrdiff_t stride, std::size_t count,
                                        const std::int32_t* cluster_index, std::size_t dimensions,
                                        const double* weights, const WeightedTarget& target) {
    const WeightedTarget to = target;
    const std::size_t length = fixed ? fixed : dimensions;
    for (std::size_t i = 0; i < count; ++i) {
        const T* const row = rows + static_cast<std::ptrdiff_t>(i) * stride;
        const RowProducts<rests> products{to, weights[i], length};
        if constexpr (!checked) {
            Outside outside;
            if constexpr (sum_weights)
                outside.one = outside_of(weights[i], to.least_weight, to.most_weight);
            take_row<T, fixed>(row, length, [&](const auto& values, auto some, std::size_t column) {
                products.look(values, some, column, outside);
            });
            if (outside.any()) return i;
        }
        const auto cluster = static_cast<std::size_t>(cluster_index[i]);
        ++to.products.num_rows[cluster];
        if constexpr (rests == Rests::own_sums) ++to.rests.num_rows[cluster];
        if constexpr (sum_weights) {
            ++to.weights.num_rows[cluster];
            add_value<2>(weights[i], to.weights, cluster, 0, 1);
        }
        take_row<T, fixed>(row, length, [&](const auto& values, auto some, std::size_t column) {
            products.add(values, some, column, cluster * length);
        });
    }
    return count;
}

template <class T, Rests rests, bool sum_weights, std::size_t fixed>
static std::size_t add_weighted_blocks(const T* rows, std::ptrdiff_t stride, std::size_t count,
                                       const std::int32_t* cluster_index, std::size_t dimensions,
                                       const double* weights, const WeightedTarget& to) {
    constexpr auto* unchecked = &add_weighted_rows_of<T, rests, sum_weights, fixed, false>;
    if constexpr (fixed > 0) {
        if (stride == static_cast<std::ptrdiff_t>(fixed)) {
            constexpr std::size_t step = rows_of_bounds(fixed);
            for (std::size_t i = 0; i < count; i += step) {
                const std::size_t here = count - i < step ? count - i : step;
                const T* const first = rows + i * fixed;
                const bool fit = short_rows_outside<T, rests, sum_weights, fixed>(
                                     first, here, weights + i, to) >>
                                     63 ==
                                 0;
                constexpr auto* sure = &add_weighted_rows_of<T, rests, sum_weights, fixed, true>;
                const std::size_t added = (fit ? sure : unchecked)(
                    first, stride, here, cluster_index + i, dimensions, weights + i, to);
                if (added < here) return i + added;
            }
            return count;
        }
    }
    return unchecked(rows, stride, count, cluster_index, dimensions, weights, to);
}

template <class T, std::size_t fixed>
static std::size_t add_weighted_rows_sized(const T* rows, std::ptrdiff_t stride, std::size_t count,
                                           const std::int32_t* cluster_index,
                                           std::size_t dimensions, const double* weights,
                                           const WeightedTarget& to) {
    const bool sum_weights = to.weights.digits;
    const auto one_of = [&](auto* with, auto* without) { return sum_weights ? with : without; };
    auto* add = one_of(&add_weighted_blocks<T, Rests::none, true, fixed>,
                       &add_weighted_blocks<T, Rests::none, false, fixed>);
    if (to.where == Rests::own_sums)
        add = one_of(&add_weighted_blocks<T, Rests::own_sums, true, fixed>,
                     &add_weighted_blocks<T, Rests::own_sums, false, fixed>);
    if constexpr (sizeof(T) == 4)
        if (to.where == Rests::second_limb)
            add = one_of(&add_weighted_blocks<T, Rests::second_limb, true, fixed>,
                         &add_weighted_blocks<T, Rests::second_limb, false, fixed>);
    return add(rows, stride, count, cluster_index, dimensions, weights, to);
}

template <class T>
static std::size_t add_weighted_rows(const T* rows, std::ptrdiff_t stride, std::size_t count,
                                     const std::int32_t* cluster_index, std::size_t dimensions,
                                     const double* weights, const WeightedTarget& to) {
    // In the order of the row length.
    constexpr decltype(&add_weighted_rows_sized<T, 0>) functions[] = {
        &add_weighted_rows_sized<T, 0>, &add_weighted_rows_sized<T, 1>,
        &add_weighted_rows_sized<T, 2>, &add_weighted_rows_sized<T, 3>,
        &add_weighted_rows_sized<T, 4>, &add_weighted_rows_sized<T, 5>,
        &add_weighted_rows_sized<T, 6>, &add_weighted_rows_sized<T, 7>};
    return functions[dimensions < 8 ? dimensions : 0](rows, stride, count, cluster_index,
                                                      dimensions, weights, to);
}
