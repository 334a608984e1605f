// One row against one center in float64: its squared distance, and its share of the update.
//
// Element j always goes to running sum j mod 8, products are rounded before they are added, and the
// eight sums are added in one fixed tree: every instruction set gives the same bits. Reading the
// row is the limit, so the float64 arithmetic costs nothing.

static inline double add_eight(const double (&sums)[8]) {
    return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

template <class T, bool accumulate, int fixed>
static inline double few_dimensions(const T* row, const T* center, double* sums) {
    double squares[8] = {0, 0, 0, 0, 0, 0, 0, 0};
    CENTROIDS_UNROLL
    for (int j = 0; j < fixed; ++j) {
        const double value = static_cast<double>(row[j]);
        const double difference = value - static_cast<double>(center[j]);
        squares[j] = difference * difference;
        if (accumulate) sums[j] += value;
    }
    return add_eight(squares);
}

template <class T, bool accumulate>
static double row_sums(const T* row, const T* center, double* sums, std::size_t dimensions) {
    switch (dimensions) {
    case 1:
        return few_dimensions<T, accumulate, 1>(row, center, sums);
    case 2:
        return few_dimensions<T, accumulate, 2>(row, center, sums);
    case 3:
        return few_dimensions<T, accumulate, 3>(row, center, sums);
    case 4:
        return few_dimensions<T, accumulate, 4>(row, center, sums);
    default:
        break;
    }
    double squares[8] = {0, 0, 0, 0, 0, 0, 0, 0};
    std::size_t j = 0;
    for (; j + 8 <= dimensions; j += 8) {
        for (std::size_t lane = 0; lane < 8; ++lane) {
            const double value = static_cast<double>(row[j + lane]);
            const double difference = value - static_cast<double>(center[j + lane]);
            squares[lane] += difference * difference;
            if (accumulate) sums[j + lane] += value;
        }
    }
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

template <class T>
static double accumulate_row(const T* row, const T* center, double* sums, std::size_t dimensions) {
    return row_sums<T, true>(row, center, sums, dimensions);
}
