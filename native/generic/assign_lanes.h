// Arg-min for few dimensions: points in lanes.
//
// `vectors * lanes` points are transposed so that one register holds one dimension of as many
// points; the loop runs over centers, whose values are broadcast. Minima and indices never leave
// the registers and there is no reduction across lanes, so a center costs little more than its
// multiply-adds. Four centers at a time share each load of the points.

template <class V, int vectors>
struct AssignLanes {
    using T = typename V::T;
    using Register = typename V::Register;
    static constexpr int together = 4; // centers
    static constexpr std::size_t points = static_cast<std::size_t>(vectors) * V::lanes;

    static std::size_t scratch(std::size_t dimensions) { return points * (dimensions + 3); }

    // A compile-time row length lets the compiler turn the strided reads into shuffles.
    template <int fixed>
    static void transpose(const T* rows, const T* shift, T* lanes) {
        for (int j = 0; j < fixed; ++j)
            for (std::size_t i = 0; i < points; ++i)
                lanes[static_cast<std::size_t>(j) * points + i] =
                    rows[i * fixed + static_cast<std::size_t>(j)] - shift[j];
    }

    // The last columns of squares overlap where the row length is not a multiple of their size.
    template <int size>
    static void transpose_squares(const T* rows, std::ptrdiff_t stride, std::size_t dimensions,
                                  const T* shift, T* lanes) {
        for (std::size_t j = 0; j < dimensions; j += size) {
            const std::size_t at = j + size <= dimensions ? j : dimensions - size;
            for (std::size_t i = 0; i < points; i += size)
                Square<T, size>::transpose(rows + static_cast<std::ptrdiff_t>(i) * stride +
                                               static_cast<std::ptrdiff_t>(at),
                                           stride, shift + at, lanes + at * points + i, points);
        }
    }

    static void transpose_any(const T* rows, std::ptrdiff_t stride, std::size_t count,
                              std::size_t dimensions, const T* shift, T* lanes) {
        const bool dense = count == points && stride == static_cast<std::ptrdiff_t>(dimensions);
        if (dense && dimensions == 1) return transpose<1>(rows, shift, lanes);
        if (dense && dimensions == 2) return transpose<2>(rows, shift, lanes);
        if (dense && dimensions == 3) return transpose<3>(rows, shift, lanes);
        // Wider than a register, the compiler's vectors go through memory.
        if constexpr (points % 8 == 0 && 8 * sizeof(T) <= sizeof(Register))
            if (count == points && dimensions >= 8)
                return transpose_squares<8>(rows, stride, dimensions, shift, lanes);
        if (count == points && dimensions >= 4)
            return transpose_squares<4>(rows, stride, dimensions, shift, lanes);
        for (std::size_t i = 0; i < points; ++i) {
            const T* const row =
                rows + static_cast<std::ptrdiff_t>(i < count ? i : count - 1) * stride;
            for (std::size_t j = 0; j < dimensions; ++j) lanes[j * points + i] = row[j] - shift[j];
        }
    }

    // Centers [c, c + count): each load of the points serves `count` multiply-adds.
    template <int count>
    static inline __attribute__((always_inline)) void
    offer_centers(const T* lanes, const PackedCenters<T>& centers, std::size_t c,
                  BestTwo<V> (&two)[vectors]) {
        const std::size_t dimensions = centers.dimensions;
        const T* const weights = centers.weights + c * dimensions;
        Register sums[count][vectors];
        CENTROIDS_UNROLL
        for (int n = 0; n < count; ++n) {
            const Register norm = V::broadcast(centers.norms[c + static_cast<std::size_t>(n)]);
            CENTROIDS_UNROLL
            for (int v = 0; v < vectors; ++v) sums[n][v] = norm;
        }
        for (std::size_t j = 0; j < dimensions; ++j) {
            Register point[vectors];
            CENTROIDS_UNROLL
            for (int v = 0; v < vectors; ++v)
                point[v] = V::load(lanes + j * points + static_cast<std::size_t>(v) * V::lanes);
            CENTROIDS_UNROLL
            for (int n = 0; n < count; ++n) {
                const Register weight =
                    V::broadcast(weights[static_cast<std::size_t>(n) * dimensions + j]);
                CENTROIDS_UNROLL
                for (int v = 0; v < vectors; ++v)
                    sums[n][v] = V::multiply_add(point[v], weight, sums[n][v]);
            }
        }
        CENTROIDS_UNROLL
        for (int n = 0; n < count; ++n) {
            CENTROIDS_UNROLL
            for (int v = 0; v < vectors; ++v) two[v].offer(sums[n][v], static_cast<int>(c) + n);
        }
    }

    static __attribute__((noinline)) void search(const T* lanes, const PackedCenters<T>& centers,
                                                 T* best, T* second, typename V::Index* places) {
        const std::size_t num_centers = centers.num_centers;
        BestTwo<V> two[vectors];
        CENTROIDS_UNROLL
        for (int v = 0; v < vectors; ++v) two[v] = BestTwo<V>::start();
        std::size_t c = 0;
        for (; c + together <= num_centers; c += together)
            offer_centers<together>(lanes, centers, c, two);
        for (; c < num_centers; ++c) offer_centers<1>(lanes, centers, c, two);
        CENTROIDS_UNROLL
        for (int v = 0; v < vectors; ++v) {
            V::store(best + static_cast<std::size_t>(v) * V::lanes, two[v].best);
            V::store(second + static_cast<std::size_t>(v) * V::lanes, two[v].second);
            V::store_index_values(places + static_cast<std::size_t>(v) * V::lanes, two[v].place);
        }
    }

    // squares: OUT [points], sums of the squares of the columns
    static void square_columns(const T* lanes, std::size_t dimensions, T* squares) {
        Register sums[vectors];
        CENTROIDS_UNROLL
        for (int v = 0; v < vectors; ++v) sums[v] = V::broadcast(T(0));
        for (std::size_t j = 0; j < dimensions; ++j) {
            CENTROIDS_UNROLL
            for (int v = 0; v < vectors; ++v) {
                const Register value =
                    V::load(lanes + j * points + static_cast<std::size_t>(v) * V::lanes);
                sums[v] = V::multiply_add(value, value, sums[v]);
            }
        }
        CENTROIDS_UNROLL
        for (int v = 0; v < vectors; ++v)
            V::store(squares + static_cast<std::size_t>(v) * V::lanes, sums[v]);
    }

    static void assign(const T* block, std::ptrdiff_t stride, std::size_t count,
                       const PackedCenters<T>& centers, T* scratch_memory, BlockResult<T> out) {
        const std::size_t dimensions = centers.dimensions;
        T* const lanes = scratch_memory;
        T* const best = lanes + points * dimensions;
        T* const second = best + points;
        T* const squared_norms = second + points;
        typename V::Index places[points];
        for (std::size_t from = 0; from < count; from += points) {
            const std::size_t here = count - from < points ? count - from : points;
            // The search keeps the memory idle: let the next points arrive meanwhile.
            if (here == points && dimensions <= 16)
                for (std::size_t at = 0; at < points * dimensions; at += 64 / sizeof(T))
                    __builtin_prefetch(block + static_cast<std::ptrdiff_t>(from + points) * stride +
                                       at);
            transpose_any(block + static_cast<std::ptrdiff_t>(from) * stride, stride, here,
                          dimensions, centers.shift, lanes);
            search(lanes, centers, best, second, places);
            square_columns(lanes, dimensions, squared_norms);
            for (std::size_t i = 0; i < here; ++i)
                out.cluster_index[from + i] = static_cast<std::int32_t>(places[i]);
            judge(best, second, squared_norms, here, centers, from, out);
        }
    }
};
