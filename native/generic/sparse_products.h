// Products of one sparse row with every center.
//
// The centers are transposed, so a non-zero touches one contiguous run of as many values as there
// are centers; `vectors` registers of them stay resident while the row's non-zeros go by. The limit
// is reading those runs from the second- and third-level cache.

template <class V, int vectors>
static inline __attribute__((always_inline)) void
sparse_panel(const typename V::T* values, const std::int64_t* columns, std::size_t count,
             const typename V::T* transposed, std::size_t padded, typename V::T* products) {
    typename V::Register sums[vectors];
    CENTROIDS_UNROLL
    for (int v = 0; v < vectors; ++v) sums[v] = V::broadcast(typename V::T(0));
    for (std::size_t i = 0; i < count; ++i) {
        const auto value = V::broadcast(values[i]);
        const auto* const centers = transposed + static_cast<std::size_t>(columns[i]) * padded;
        CENTROIDS_UNROLL
        for (int v = 0; v < vectors; ++v)
            sums[v] = V::multiply_add(value, V::load(centers + v * V::lanes), sums[v]);
    }
    CENTROIDS_UNROLL
    for (int v = 0; v < vectors; ++v) V::store(products + v * V::lanes, sums[v]);
}

template <class V>
static void sparse_products(const typename V::T* values, const std::int64_t* columns,
                            std::size_t count, const typename V::T* transposed, std::size_t padded,
                            typename V::T* products) {
    std::size_t c = 0;
    for (; c + 8 * V::lanes <= padded; c += 8 * V::lanes)
        sparse_panel<V, 8>(values, columns, count, transposed + c, padded, products + c);
    for (; c < padded; c += V::lanes)
        sparse_panel<V, 1>(values, columns, count, transposed + c, padded, products + c);
}
