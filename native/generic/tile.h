// The register tile: `rows` points against one panel of centers.
//
// A panel holds the centers transposed, so one dimension of all its centers is `vectors` loads, and
// each point contributes one broadcast. rows x vectors running sums stay in registers for the whole
// of the dimension loop; the limit is the rate of fused multiply-adds, not of loads: one tile step
// is rows * vectors multiply-adds for rows + vectors loads.
//
// Compiled once per instruction set, inside that set's own namespace: include, do not link.

template <class V, int rows, int vectors>
struct Tile {
    using T = typename V::T;
    using Register = typename V::Register;
    static constexpr std::size_t width = static_cast<std::size_t>(vectors) * V::lanes;

    // of_products: sums = start + sum_j x_j p_j
    // otherwise:   sums = start + sum_j (x_j - p_j)^2
    // start: IN [width]; points: IN [rows], `stride` apart; panel: IN [dimensions][width]
    template <bool of_products>
    static inline __attribute__((always_inline)) void
    run(const T* points, std::ptrdiff_t stride, const T* panel, const T* start,
        std::size_t dimensions, Register (&sums)[rows][vectors]) {
        CENTROIDS_UNROLL
        for (int r = 0; r < rows; ++r) {
            CENTROIDS_UNROLL
            for (int v = 0; v < vectors; ++v) sums[r][v] = V::load(start + v * V::lanes);
        }
        for (std::size_t j = 0; j < dimensions; ++j) {
            Register centers[vectors];
            CENTROIDS_UNROLL
            for (int v = 0; v < vectors; ++v) centers[v] = V::load(panel + v * V::lanes);
            panel += width;
            CENTROIDS_UNROLL
            for (int r = 0; r < rows; ++r) {
                const Register point =
                    V::broadcast(points[r * stride + static_cast<std::ptrdiff_t>(j)]);
                CENTROIDS_UNROLL
                for (int v = 0; v < vectors; ++v) {
                    if constexpr (of_products) {
                        sums[r][v] = V::multiply_add(point, centers[v], sums[r][v]);
                    } else {
                        const Register difference = V::subtract(point, centers[v]);
                        sums[r][v] = V::multiply_add(difference, difference, sums[r][v]);
                    }
                }
            }
        }
    }
};
