// Squared distances of a block of rows to every center, as sums of squared differences.
//
// The subtraction halves the speed of the product form, and keeps a relative error of a few
// roundings wherever the data sits: a point that equals a center is at distance exactly 0.

template <class V, int rows, int vectors>
struct DistanceBlock {
    using T = typename V::T;
    static constexpr std::size_t width = static_cast<std::size_t>(vectors) * V::lanes;

    template <int tile_rows>
    static __attribute__((noinline)) void
    tile(const T* points, std::ptrdiff_t stride, const T* panel, std::size_t dimensions,
         std::size_t valid, T* out, std::ptrdiff_t out_stride) {
        typename V::Register sums[tile_rows][vectors];
        static constexpr T zeros[width] = {};
        Tile<V, tile_rows, vectors>::template run<false>(points, stride, panel, zeros, dimensions,
                                                         sums);
        T values[width];
        CENTROIDS_UNROLL
        for (int r = 0; r < tile_rows; ++r) {
            T* const target = valid == width ? out + r * out_stride : values;
            CENTROIDS_UNROLL
            for (int v = 0; v < vectors; ++v) V::store(target + v * V::lanes, sums[r][v]);
            if (valid != width)
                for (std::size_t c = 0; c < valid; ++c)
                    out[r * out_stride + static_cast<std::ptrdiff_t>(c)] = values[c];
        }
    }

    static void run(const T* points, std::ptrdiff_t stride, std::size_t count, const T* panels,
                    std::size_t num_centers, std::size_t dimensions, T* distances,
                    std::ptrdiff_t distance_stride) {
        for (std::size_t c = 0; c < num_centers; c += width) {
            const std::size_t valid = num_centers - c < width ? num_centers - c : width;
            const T* const panel = panels + c * dimensions;
            std::size_t i = 0;
            for (; i + rows <= count; i += rows)
                tile<rows>(points + static_cast<std::ptrdiff_t>(i) * stride, stride, panel,
                           dimensions, valid,
                           distances + static_cast<std::ptrdiff_t>(i) * distance_stride + c,
                           distance_stride);
            for (; i < count; ++i)
                tile<1>(points + static_cast<std::ptrdiff_t>(i) * stride, stride, panel, dimensions,
                        valid, distances + static_cast<std::ptrdiff_t>(i) * distance_stride + c,
                        distance_stride);
        }
    }
};

template <class V, int rows, int vectors>
static void distance_block(const typename V::T* points, std::ptrdiff_t stride, std::size_t count,
                           const typename V::T* panels, std::size_t num_centers,
                           std::size_t dimensions, bool narrow, typename V::T* distances,
                           std::ptrdiff_t distance_stride) {
    (narrow ? DistanceBlock<V, rows, 1>::run : DistanceBlock<V, rows, vectors>::run)(
        points, stride, count, panels, num_centers, dimensions, distances, distance_stride);
}
