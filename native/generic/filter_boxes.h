// Which centers can be nearest in each of several boxes: the step that fills a grid of cells.
//
// Boxes are in the lanes of plain loops that the compiler vectorises; centers come one by one. Per
// center and box it is some twenty float64 operations, and a store that is counted or overwritten.
// The test is derived in grid_of_centers.cpp.

template <int dimensions, int boxes>
static void filter_boxes_of(const double* centers, const std::int32_t* candidates,
                            std::size_t count, const double* middle, const double* half,
                            std::int32_t* kept, std::size_t* num_kept) {
    double nearest[boxes], winner[dimensions][boxes], diagonal[boxes];
    for (int b = 0; b < boxes; ++b) {
        nearest[b] = __builtin_inf();
        diagonal[b] = 0;
        num_kept[b] = 0;
    }
    for (int j = 0; j < dimensions; ++j)
        for (int b = 0; b < boxes; ++b) {
            diagonal[b] += half[j * boxes + b] * half[j * boxes + b];
            winner[j][b] = 0;
        }
    double squares[boxes];
    const auto measure = [&](const double* center) {
        for (int b = 0; b < boxes; ++b) squares[b] = 0;
        for (int j = 0; j < dimensions; ++j)
            for (int b = 0; b < boxes; ++b) {
                const double difference = middle[j * boxes + b] - center[j];
                squares[b] += difference * difference;
            }
    };
    for (std::size_t at = 0; at < count; ++at) {
        const double* const center = centers + 4 * candidates[at];
        measure(center);
        for (int j = 0; j < dimensions; ++j)
            for (int b = 0; b < boxes; ++b)
                winner[j][b] = squares[b] < nearest[b] ? center[j] : winner[j][b];
        for (int b = 0; b < boxes; ++b)
            nearest[b] = squares[b] < nearest[b] ? squares[b] : nearest[b];
    }
    for (std::size_t at = 0; at < count; ++at) {
        const double* const center = centers + 4 * candidates[at];
        measure(center);
        double margin[boxes];
        for (int b = 0; b < boxes; ++b)
            margin[b] =
                squares[b] - nearest[b] - box_rounding * (squares[b] + nearest[b] + diagonal[b]);
        for (int j = 0; j < dimensions; ++j)
            for (int b = 0; b < boxes; ++b) {
                const double apart = center[j] - winner[j][b];
                margin[b] -= 2 * half[j * boxes + b] * (apart < 0 ? -apart : apart);
            }
        for (int b = 0; b < boxes; ++b) {
            kept[static_cast<std::size_t>(b) * count + num_kept[b]] = candidates[at];
            num_kept[b] += !(margin[b] > 0);
        }
    }
}

static void filter_boxes(const double* centers, const std::int32_t* candidates, std::size_t count,
                         std::size_t dimensions, const double* middle, const double* half,
                         std::int32_t* kept, std::size_t* num_kept) {
    constexpr void (*functions[])(const double*, const std::int32_t*, std::size_t, const double*,
                                  const double*, std::int32_t*, std::size_t*) = {
        &filter_boxes_of<1, 16>, &filter_boxes_of<2, 16>, &filter_boxes_of<3, 8>};
    functions[dimensions - 1](centers, candidates, count, middle, half, kept, num_kept);
}
