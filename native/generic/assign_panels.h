// Arg-min over all centers for a block of rows, fused into the tile's epilogue.
//
// The block's shifted rows and its running minima stay in the second-level cache while the panels
// stream past once per block: no n x k matrix is ever written. From about 16 dimensions up the
// multiply-adds are the limit.

template <class V, int rows, int vectors>
struct AssignPanels {
    using T = typename V::T;
    using Register = typename V::Register;
    static constexpr std::size_t width = static_cast<std::size_t>(vectors) * V::lanes;
    static constexpr std::size_t state = 3 * V::lanes; // best, second, place of one row

    // An odd number of cache lines between rows keeps them out of one another's cache sets.
    static std::size_t row_stride(std::size_t dimensions) {
        constexpr std::size_t line = 64 / sizeof(T);
        return (groups_of(line, dimensions) | 1) * line;
    }
    static std::size_t padded_rows(std::size_t count) { return round_up(count, rows); }
    static std::size_t scratch(std::size_t count, std::size_t dimensions) {
        return padded_rows(count) * (row_stride(dimensions) + state + 3);
    }

    template <int tile_rows>
    static __attribute__((noinline)) void tile(const T* shifted, std::ptrdiff_t stride,
                                               const T* panel, const T* norms,
                                               std::size_t dimensions, int first_place, T* minima) {
        Register sums[tile_rows][vectors];
        Tile<V, tile_rows, vectors>::template run<true>(shifted, stride, panel, norms, dimensions,
                                                        sums);
        CENTROIDS_UNROLL
        for (int r = 0; r < tile_rows; ++r) {
            T* const row = minima + static_cast<std::size_t>(r) * state;
            BestTwo<V> two{V::load(row), V::load(row + V::lanes),
                           V::load_index(row + 2 * V::lanes)};
            CENTROIDS_UNROLL
            for (int v = 0; v < vectors; ++v) two.offer(sums[r][v], first_place + v);
            V::store(row, two.best);
            V::store(row + V::lanes, two.second);
            V::store_index(row + 2 * V::lanes, two.place);
        }
    }

    static T shift_row(const T* row, const T* shift, std::size_t dimensions, T* shifted) {
        Register sum = V::broadcast(T(0));
        std::size_t j = 0;
        for (; j + V::lanes <= dimensions; j += V::lanes) {
            const Register value = V::subtract(V::load(row + j), V::load(shift + j));
            V::store(shifted + j, value);
            sum = V::multiply_add(value, value, sum);
        }
        T lanes[V::lanes];
        V::store(lanes, sum);
        T total = 0;
        for (std::size_t lane = 0; lane < V::lanes; ++lane) total += lanes[lane];
        for (; j < dimensions; ++j) {
            shifted[j] = row[j] - shift[j];
            total += shifted[j] * shifted[j];
        }
        return total;
    }

    static void assign(const T* block, std::ptrdiff_t block_stride, std::size_t count,
                       const PackedCenters<T>& centers, T* scratch_memory, BlockResult<T> out) {
        const std::size_t dimensions = centers.dimensions;
        const std::size_t stride = row_stride(dimensions);
        const std::size_t padded = padded_rows(count);
        T* const shifted = scratch_memory;
        T* const minima = shifted + padded * stride;
        T* const squared_norms = minima + padded * state;
        const BestTwo<V> start = BestTwo<V>::start();
        for (std::size_t i = 0; i < padded; ++i) {
            // Padding rows repeat the last one: finite work whose outcome nobody reads.
            const std::size_t source = i < count ? i : count - 1;
            squared_norms[i] = shift_row(block + static_cast<std::ptrdiff_t>(source) * block_stride,
                                         centers.shift, dimensions, shifted + i * stride);
            T* const row = minima + i * state;
            V::store(row, start.best);
            V::store(row + V::lanes, start.second);
            V::store_index(row + 2 * V::lanes, start.place);
        }
        for (std::size_t panel = 0; panel < centers.num_panels; ++panel)
            for (std::size_t i = 0; i < padded; i += rows)
                tile<rows>(shifted + i * stride, static_cast<std::ptrdiff_t>(stride),
                           centers.panels + panel * dimensions * width,
                           centers.panel_norms + panel * width, dimensions,
                           static_cast<int>(panel) * vectors, minima + i * state);
        T* const best = squared_norms + padded;
        T* const second = best + padded;
        for (std::size_t i = 0; i < count; ++i)
            out.cluster_index[i] = reduce(minima + i * state, best + i, second + i);
        judge(best, second, squared_norms, count, centers, 0, out);
    }

    // The two lowest over all lanes, and the index of the lowest.
    static inline std::int32_t reduce(const T* row, T* best, T* second) {
        const Register lane_best = V::load(row);
        *best = V::reduce_minimum(lane_best);
        const auto above = V::less(V::broadcast(*best), lane_best);
        const unsigned lowest = ~V::bits(above) & ((1u << V::lanes) - 1u);
        const Register others = V::select(above, lane_best, V::broadcast(T(__builtin_inf())));
        const T rest = V::reduce_minimum(V::minimum(others, V::load(row + V::lanes)));
        *second = (lowest & (lowest - 1)) != 0 ? *best : rest; // two lanes share the lowest score
        typename V::Index places[V::lanes];
        V::store_index_values(places, V::load_index(row + 2 * V::lanes));
        const auto lane = static_cast<std::size_t>(__builtin_ctz(lowest));
        return static_cast<std::int32_t>(static_cast<std::size_t>(places[lane]) * V::lanes + lane);
    }

    static void score_row(const T* row, const PackedCenters<T>& centers, T* shifted, T* scores) {
        shift_row(row, centers.shift, centers.dimensions, shifted);
        for (std::size_t panel = 0; panel < centers.num_panels; ++panel) {
            Register sums[1][vectors];
            Tile<V, 1, vectors>::template run<true>(
                shifted, 0, centers.panels + panel * centers.dimensions * width,
                centers.panel_norms + panel * width, centers.dimensions, sums);
            CENTROIDS_UNROLL
            for (int v = 0; v < vectors; ++v)
                V::store(scores + panel * width + static_cast<std::size_t>(v) * V::lanes,
                         sums[0][v]);
        }
    }
};
