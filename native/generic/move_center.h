// A center moves to the mean of all points that it ever had: x += (s - m x) / n, in float64 and
// without contraction, so that every level gives the bits of the formula as it stands.

// sums: IN [dimensions]; count: m, the points they are of; total: n, not 0
template <class T>
static void move_center(const T* center, const double* sums, double count, double total,
                        std::size_t dimensions, T* moved) {
    for (std::size_t j = 0; j < dimensions; ++j) {
        const auto wide = static_cast<double>(center[j]);
        moved[j] = static_cast<T>(wide + (sums[j] - count * wide) / total);
    }
}
