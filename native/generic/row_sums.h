// One row against one center in float64: its squared distance, and its share of the update.
//
// Element j always goes to running sum j mod 8, products are rounded before they are added, and the
// eight sums are added in one fixed tree: every instruction set gives the same bits. Reading the
// row is the limit, so the float64 arithmetic costs nothing.

static inline double add_eight(const double (&sums)[8]) {
    return ((sums[0] + sums[4]) + (sums[2] + sums[6])) +
           ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

// Eight values in the compiler's own vectors: whatever registers the instruction set has.
// They are handed on by reference: by value they would cross calls in an order of the ABI's own.
template <class T>
struct Eight {
    typedef T Values __attribute__((vector_size(8 * sizeof(T))));
    Values values;
};

template <class T>
static inline __attribute__((always_inline)) void load_eight(const T* from, Eight<double>& to) {
    Eight<T> loaded;
    __builtin_memcpy(&loaded, from, sizeof loaded);
    to.values = __builtin_convertvector(loaded.values, Eight<double>::Values);
}

template <class T, bool accumulate>
static inline __attribute__((always_inline)) double row_sums(const T* row, const T* center,
                                                             double* sums, std::size_t dimensions) {
    Eight<double> running = {{0, 0, 0, 0, 0, 0, 0, 0}};
    std::size_t j = 0;
    for (; j + 8 <= dimensions; j += 8) {
        Eight<double> value, difference;
        load_eight(row + j, value);
        load_eight(center + j, difference);
        difference.values = value.values - difference.values;
        running.values += difference.values * difference.values;
        if (accumulate) {
            Eight<double> sum;
            load_eight(sums + j, sum);
            sum.values += value.values;
            __builtin_memcpy(sums + j, &sum, sizeof sum);
        }
    }
    double squares[8];
    __builtin_memcpy(squares, &running, sizeof squares);
    for (std::size_t lane = 0; j + lane < dimensions; ++lane) {
        const double value = static_cast<double>(row[j + lane]);
        const double difference = value - static_cast<double>(center[j + lane]);
        squares[lane] += difference * difference;
        if (accumulate) sums[j + lane] += value;
    }
    return add_eight(squares);
}

template <class T>
static double squared_distance(const T* row, const T* center, std::size_t dimensions) {
    return row_sums<T, false>(row, center, nullptr, dimensions);
}

// A row length known to the compiler (`fixed`, 0: not known) removes the loops where they cost
// most.
template <class T, bool accumulate, std::size_t fixed>
static void update_rows_of(const T* rows, std::ptrdiff_t stride, std::size_t count,
                           const std::int32_t* cluster_index, const T* centers,
                           std::size_t dimensions, double* sums, double* distances) {
    const std::size_t length = fixed ? fixed : dimensions;
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t at = static_cast<std::size_t>(cluster_index[i]) * length;
        distances[i] =
            row_sums<T, accumulate>(rows + static_cast<std::ptrdiff_t>(i) * stride, centers + at,
                                    accumulate ? sums + at : nullptr, length);
    }
}

template <class T, std::size_t fixed>
static void update_rows_sized(const T* rows, std::ptrdiff_t stride, std::size_t count,
                              const std::int32_t* cluster_index, const T* centers,
                              std::size_t dimensions, double* sums, double* distances) {
    (sums ? update_rows_of<T, true, fixed>
          : update_rows_of<T, false, fixed>)(rows, stride, count, cluster_index, centers,
                                             dimensions, sums, distances);
}

template <class T>
static void update_rows(const T* rows, std::ptrdiff_t stride, std::size_t count,
                        const std::int32_t* cluster_index, const T* centers, std::size_t dimensions,
                        double* sums, double* distances) {
    // In the order of the row length.
    constexpr void (*functions[])(const T*, std::ptrdiff_t, std::size_t, const std::int32_t*,
                                  const T*, std::size_t, double*, double*) = {
        &update_rows_sized<T, 0>,  &update_rows_sized<T, 1>,  &update_rows_sized<T, 2>,
        &update_rows_sized<T, 3>,  &update_rows_sized<T, 4>,  &update_rows_sized<T, 5>,
        &update_rows_sized<T, 6>,  &update_rows_sized<T, 7>,  &update_rows_sized<T, 8>,
        &update_rows_sized<T, 9>,  &update_rows_sized<T, 10>, &update_rows_sized<T, 11>,
        &update_rows_sized<T, 12>, &update_rows_sized<T, 13>, &update_rows_sized<T, 14>,
        &update_rows_sized<T, 15>, &update_rows_sized<T, 16>};
    functions[dimensions <= 16 ? dimensions : 0](rows, stride, count, cluster_index, centers,
                                                 dimensions, sums, distances);
}
