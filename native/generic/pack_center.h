// A center as the arg-min kernels read it.

// to: OUT [dimensions], `distance` elements apart, -2 (center - shift). Returns |center - shift|^2.
template <class T>
static double pack_center(const T* center, const T* shift, std::size_t dimensions, T* to,
                          std::size_t distance) {
    Eight<double> running = {};
    std::size_t j = 0;
    for (; j + 8 <= dimensions; j += 8) {
        Eight<double> values, shifts;
        Eight<T> packed;
        load_eight(center + j, values);
        load_eight(shift + j, shifts);
        CENTROIDS_UNROLL
        for (int p = 0; p < Eight<double>::parts; ++p) {
            const auto value = values.part[p] - shifts.part[p];
            running.part[p] += value * value;
            packed.part[p] = __builtin_convertvector(-2.0 * value, typename Eight<T>::Part);
        }
        if (distance == 1) {
            store_eight(packed, to + j);
        } else {
            T elements[8];
            store_eight(packed, elements);
            for (std::size_t lane = 0; lane < 8; ++lane) to[(j + lane) * distance] = elements[lane];
        }
    }
    double squares[8];
    store_eight(running, squares);
    for (std::size_t lane = 0; j < dimensions; ++j, ++lane) {
        const double value = static_cast<double>(center[j]) - static_cast<double>(shift[j]);
        squares[lane] += value * value;
        to[j * distance] = static_cast<T>(-2 * value);
    }
    return add_eight(squares);
}
