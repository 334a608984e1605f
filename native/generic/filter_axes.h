// The filter's first look, along the leading axes alone: a lower bound of each panel's lowest score
// from a quarter of the products.
//
// B has the axes for rows, orthonormal but for rounding, so with M = 1 - B'B, which leaves only
// what lies beyond the axes, t w = (B t)(B w) + t M w, and |t M w| <= |M t| |M w| by Cauchy and
// Schwarz. The first product is one of bytes as in the filter; the lengths |M t| and |M w| are a
// number for each side. Bounds are those of ByteProducts::bound and one term more.

template <class V, class Products, int most_rows, int vectors>
struct OnAxes {
    using T = typename V::T;
    using Register = typename V::Register;
    static constexpr std::size_t width = Products::width;

    template <int rows>
    static __attribute__((noinline)) void
    tile(const CentersOnAxes<T>& all, std::size_t panel, const std::uint8_t* const (&values)[rows],
         const AxesFacts<T>* const (&facts)[rows], T* const (&lowest)[rows]) {
        FilterCenters<T> centers = all.centers;
        // The panel becomes the first: panels may have more axes than there are to multiply.
        centers.panels = static_cast<const std::int8_t*>(centers.panels) + panel * all.panel_stride;
        centers.starts += panel * width;
        centers.norms += panel * width;
        centers.scales += panel * width;
        centers.losses += panel * width;
        centers.sizes += panel * width;
        const T* const tails = all.tails + panel * width;
        typename Products::Sums sums[rows][vectors];
        Products::template multiply<rows>(centers, 0, values, sums);
        CENTROIDS_UNROLL
        for (int r = 0; r < rows; ++r) {
            const AxesFacts<T>& row = *facts[r];
            Register bounds[vectors];
            Products::bound(centers, 0, {row.scale, T(0), row.norm, row.error}, sums[r], bounds);
            const Register tail = V::broadcast(row.tail);
            Register least = V::multiply_add(tail, V::load(tails), bounds[0]);
            CENTROIDS_UNROLL
            for (int v = 1; v < vectors; ++v)
                least = V::minimum(
                    least,
                    V::multiply_add(tail, V::load(tails + static_cast<std::size_t>(v) * V::lanes),
                                    bounds[v]));
            *lowest[r] = V::reduce_minimum(least);
        }
    }

    template <int rows>
    static void run_rows(const CentersOnAxes<T>& centers, std::size_t panel,
                         const std::uint16_t* listed, std::size_t count, const std::uint8_t* values,
                         std::size_t stride, const AxesFacts<T>* facts, T* lowest) {
        const std::uint8_t* row_values[rows];
        const AxesFacts<T>* row_facts[rows];
        T* row_lowest[rows];
        for (std::size_t r = 0; r < static_cast<std::size_t>(rows); ++r) {
            const std::size_t row = listed[r < count ? r : count - 1];
            row_values[r] = values + row * stride;
            row_facts[r] = facts + row;
            row_lowest[r] = lowest + (r < count ? r : count - 1);
        }
        tile<rows>(centers, panel, row_values, row_facts, row_lowest);
    }

    static void run(const CentersOnAxes<T>& centers, std::size_t panel, const std::uint16_t* listed,
                    std::size_t count, const std::uint8_t* values, std::size_t stride,
                    const AxesFacts<T>* facts, T* lowest) {
        constexpr int half = most_rows / 2;
        std::size_t at = 0;
        for (; at + half < count; at += most_rows)
            run_rows<most_rows>(centers, panel, listed + at,
                                count - at < most_rows ? count - at : most_rows, values, stride,
                                facts, lowest + at);
        if (at < count)
            run_rows<half>(centers, panel, listed + at, count - at, values, stride, facts,
                           lowest + at);
    }

    static void project(const T* panels, std::size_t num_panels, std::size_t dimensions,
                        const T* rows, std::size_t row_stride, std::size_t count, T* coordinates,
                        std::size_t stride) {
        using Part = Tile<V, most_rows, vectors>;
        alignas(64) const T zeros[width] = {};
        for (std::size_t begin = 0; begin < count; begin += most_rows) {
            // The last tile goes over rows of the one before it.
            const std::size_t first =
                begin + most_rows <= count || count < most_rows ? begin : count - most_rows;
            for (std::size_t panel = 0; panel < num_panels; ++panel) {
                Register sums[most_rows][vectors];
                Part::template run<true>(
                    rows + first * row_stride, static_cast<std::ptrdiff_t>(row_stride),
                    panels + panel * dimensions * width, zeros, dimensions, sums);
                CENTROIDS_UNROLL
                for (int r = 0; r < most_rows; ++r) {
                    CENTROIDS_UNROLL
                    for (int v = 0; v < vectors; ++v)
                        V::store(coordinates + (first + static_cast<std::size_t>(r)) * stride +
                                     panel * width + static_cast<std::size_t>(v) * V::lanes,
                                 sums[r][v]);
                }
            }
        }
    }

    static void quantize(const T* coordinates, const AxesLevels<T>& levels, T norm,
                         std::uint8_t* values, AxesFacts<T>* facts, std::size_t stride) {
        const std::size_t end = levels.ends[levels.count - 1];
        Register largest = V::broadcast(T(0));
        for (std::size_t j = 0; j < end; j += V::lanes)
            largest = V::maximum(largest, V::absolute(V::load(coordinates + j)));
        T scale = V::reduce_maximum(largest) / static_cast<T>(V::largest_byte);
        // As in quantize_row: a scale without an inverse quantises to zeros.
        const T inverse = scale > T(1e-30) ? 1 / scale : T(0);
        if (inverse == 0) scale = 0;
        const Register factor = V::broadcast(inverse), back = V::broadcast(-scale);
        Register squares = V::broadcast(T(0)), lost = V::broadcast(T(0));
        std::size_t j = 0;
        for (std::size_t level = 0; level < levels.count; ++level) {
            for (; j < levels.ends[level]; j += V::lanes) {
                const Register value = V::load(coordinates + j);
                const Register rounded = V::store_rounded(values + j, V::multiply(value, factor));
                const Register difference = V::multiply_add(rounded, back, value);
                squares = V::multiply_add(value, value, squares);
                lost = V::multiply_add(difference, difference, lost);
            }
            const T vanished = static_cast<T>(j) * T(1.2e-38);
            const T unsure = norm * levels.rounding;
            const T square = V::reduce_add(squares);
            const T known =
                __builtin_sqrtf(square) * (1 - static_cast<T>(j + 8) * T(1.2e-7)) - unsure;
            const T inside = known > 0 ? known : T(0);
            const T beyond =
                norm * norm * (1 + levels.leak + T(1e-6)) - inside * inside + 4 * vanished;
            facts[level * stride] = {
                scale, rounded_up(__builtin_sqrtf(square + vanished), j) + unsure,
                rounded_up(__builtin_sqrtf(V::reduce_add(lost) + vanished), j) + 2 * unsure,
                beyond > 0 ? rounded_up(__builtin_sqrtf(beyond), 2) : T(0)};
        }
    }

    static constexpr AxesKernels<T> kernels = {&project, &quantize, &run};

    static constexpr const AxesKernels<T>* kernels_or_null() {
        if constexpr (sizeof(typename Products::Value) == 1)
            return &kernels;
        else
            return nullptr;
    }
};
