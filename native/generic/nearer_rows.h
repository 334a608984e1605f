// Rows of one to three columns that one of a few centers is nearer to than they have one already.
//
// Eight rows side by side, one column a vector, in float64: the squared distance itself costs less
// than a bound of it would. Its sums are those of row_sums.h: with so few elements most of the
// eight are zero, and what is left of the tree is t0, t0 + t1 or (t0 + t2) + t1.

template <class T, int dimensions>
struct NearerRows {
    static constexpr std::size_t together = 8;

    static inline __attribute__((always_inline)) double square(T value, double center) {
        const double difference = static_cast<double>(value) - center;
        return difference * difference;
    }

    static bool is_nearer(const T* columns, std::size_t stride, std::size_t row,
                          const double* center, double closest) {
        double sum = square(columns[row], center[0]);
        if constexpr (dimensions == 3) sum += square(columns[2 * stride + row], center[2]);
        if constexpr (dimensions >= 2) sum += square(columns[stride + row], center[1]);
        return sum < closest;
    }

    static std::size_t list_one_by_one(const T* columns, std::size_t stride, std::size_t first,
                                       std::size_t last, const double* centers,
                                       std::size_t num_centers, const double* closest,
                                       std::uint32_t* rows) {
        std::size_t found = 0;
        for (std::size_t i = first; i < last; ++i) {
            bool nearer = false;
            for (std::size_t c = 0; c < num_centers && !nearer; ++c)
                nearer = is_nearer(columns, stride, i, centers + c * dimensions, closest[i]);
            if (nearer) rows[found++] = static_cast<std::uint32_t>(i);
        }
        return found;
    }

    static std::size_t run(const T* columns, std::size_t stride, std::size_t count,
                           const double* centers, std::size_t num_centers, const double* closest,
                           std::uint32_t* rows) {
        std::size_t found = 0, i = 0;
        for (; i + together <= count; i += together) {
            Eight<double> values[dimensions], limits;
            CENTROIDS_UNROLL
            for (int j = 0; j < dimensions; ++j)
                load_eight(columns + static_cast<std::size_t>(j) * stride + i, values[j]);
            load_eight(closest + i, limits);
            if (any_nearer(values, limits, centers, num_centers))
                found += list_one_by_one(columns, stride, i, i + together, centers, num_centers,
                                         closest, rows + found);
        }
        return found + list_one_by_one(columns, stride, i, count, centers, num_centers, closest,
                                       rows + found);
    }

    static inline __attribute__((always_inline)) bool
    any_nearer(const Eight<double> (&values)[dimensions], const Eight<double>& limits,
               const double* centers, std::size_t num_centers) {
        constexpr int parts = Eight<double>::parts;
        using Mask = decltype(limits.part[0] < limits.part[0]);
        Mask nearer = {};
        for (std::size_t c = 0; c < num_centers; ++c) {
            const double* const center = centers + c * dimensions;
            CENTROIDS_UNROLL
            for (int p = 0; p < parts; ++p) {
                const auto first = values[0].part[p] - center[0];
                auto sum = first * first;
                if constexpr (dimensions == 3) {
                    const auto third = values[2].part[p] - center[2];
                    sum += third * third;
                }
                if constexpr (dimensions >= 2) {
                    const auto second = values[1].part[p] - center[1];
                    sum += second * second;
                }
                nearer |= sum < limits.part[p];
            }
        }
        std::int64_t lanes[Eight<double>::lanes], any = 0;
        __builtin_memcpy(lanes, &nearer, sizeof lanes);
        CENTROIDS_UNROLL
        for (int lane = 0; lane < Eight<double>::lanes; ++lane) any |= lanes[lane];
        return any != 0;
    }
};

template <class T>
static std::size_t nearer_rows(const T* columns, std::size_t stride, std::size_t count,
                               const double* centers, std::size_t num_centers,
                               std::size_t dimensions, const double* closest, std::uint32_t* rows) {
    if (dimensions == 1)
        return NearerRows<T, 1>::run(columns, stride, count, centers, num_centers, closest, rows);
    if (dimensions == 2)
        return NearerRows<T, 2>::run(columns, stride, count, centers, num_centers, closest, rows);
    return NearerRows<T, 3>::run(columns, stride, count, centers, num_centers, closest, rows);
}
