// Which centers can be nearest in each of several boxes: the step that fills a grid of cells.
//
// Boxes are in the lanes of the compiler's own vectors; centers come one by one. A register of
// boxes and one center are some twenty-five vector operations, and a store for each box that is
// kept or overwritten. The test is derived in grid_of_centers.cpp.

// One center against a register of boxes, from `middle` and `half` of the first on.
template <int dimensions, int boxes>
struct BoxesInLanes {
    using Values = Eight<double>::Part;
    static constexpr int lanes = Eight<double>::lanes;
    Values middle[dimensions], half[dimensions], winner[dimensions];
    Values nearest, diagonal;

    inline __attribute__((always_inline)) void load(const double* middles, const double* halves) {
        nearest = Values{} + __builtin_inf();
        diagonal = Values{};
        for (int j = 0; j < dimensions; ++j) {
            __builtin_memcpy(&middle[j], middles + j * boxes, sizeof middle[j]);
            __builtin_memcpy(&half[j], halves + j * boxes, sizeof half[j]);
            winner[j] = Values{};
            diagonal += half[j] * half[j];
        }
    }

    inline __attribute__((always_inline)) void measure(const double* center,
                                                       Values& squares) const {
        squares = Values{};
        for (int j = 0; j < dimensions; ++j) {
            const Values difference = middle[j] - center[j];
            squares += difference * difference;
        }
    }

    inline __attribute__((always_inline)) void find_winner(const double* center) {
        Values squares;
        measure(center, squares);
        const auto nearer = squares < nearest;
        nearest = nearer ? squares : nearest;
        for (int j = 0; j < dimensions; ++j) winner[j] = nearer ? Values{} + center[j] : winner[j];
    }

    // loses: OUT [lanes], -1 where the center cannot be nearest, else 0
    inline __attribute__((always_inline)) void judge_center(const double* center,
                                                            std::int64_t* loses) const {
        Values squares;
        measure(center, squares);
        Values margin =
            squares - nearest - box_rounding * (squares + nearest + diagonal) - box_underflow;
        for (int j = 0; j < dimensions; ++j) {
            const Values apart = center[j] - winner[j];
            margin -= 2 * half[j] * (apart < 0 ? -apart : apart);
        }
        const auto lost = margin > 0;
        __builtin_memcpy(loses, &lost, sizeof lost);
    }
};

template <int dimensions, int boxes>
static void filter_boxes_of(const double* centers, const std::int32_t* candidates,
                            std::size_t count, const double* middle, const double* half,
                            std::int32_t* kept, std::size_t* num_kept) {
    using Lanes = BoxesInLanes<dimensions, boxes>;
    constexpr int registers = boxes / Lanes::lanes;
    Lanes in_lanes[registers];
    for (int r = 0; r < registers; ++r)
        in_lanes[r].load(middle + r * Lanes::lanes, half + r * Lanes::lanes);
    std::int32_t* next[boxes];
    for (int b = 0; b < boxes; ++b) next[b] = kept + static_cast<std::size_t>(b) * count;
    for (std::size_t at = 0; at < count; ++at)
        for (int r = 0; r < registers; ++r) in_lanes[r].find_winner(centers + 4 * candidates[at]);
    for (std::size_t at = 0; at < count; ++at) {
        std::int64_t loses[boxes];
        for (int r = 0; r < registers; ++r)
            in_lanes[r].judge_center(centers + 4 * candidates[at], loses + r * Lanes::lanes);
        for (int b = 0; b < boxes; ++b) {
            *next[b] = candidates[at];
            next[b] += 1 + loses[b];
        }
    }
    for (int b = 0; b < boxes; ++b)
        num_kept[b] =
            static_cast<std::size_t>(next[b] - (kept + static_cast<std::size_t>(b) * count));
}

static void filter_boxes(const double* centers, const std::int32_t* candidates, std::size_t count,
                         std::size_t dimensions, const double* middle, const double* half,
                         std::int32_t* kept, std::size_t* num_kept) {
    constexpr void (*functions[])(const double*, const std::int32_t*, std::size_t, const double*,
                                  const double*, std::int32_t*, std::size_t*) = {
        &filter_boxes_of<1, 16>, &filter_boxes_of<2, 16>, &filter_boxes_of<3, 8>};
    functions[dimensions - 1](centers, candidates, count, middle, half, kept, num_kept);
}
