// Which of a few candidates may be nearer to a row than its nearest center so far: one bit each.
//
// The products of the filter in one panel, and an epilogue of one comparison and one store for each
// row. Rows are read in order and candidates stay in the first-level cache, so that from about 64
// dimensions up memory is the limit in bytes, and broadcasting the row in floats.

template <class V, class Products, int most_rows>
struct CandidateBounds {
    using T = typename V::T;
    using Register = typename V::Register;
    using Value = typename Products::Value;
    static_assert(Products::width == V::lanes && V::lanes <= 16);

    template <int rows>
    static __attribute__((noinline)) void
    tile(const FilterCenters<T>& candidates, std::size_t panel, const Value* first,
         std::size_t stride, const RowFacts<T>* facts, const T* thresholds, std::uint16_t* masks) {
        const Value* values[rows];
        CENTROIDS_UNROLL
        for (int r = 0; r < rows; ++r) values[r] = first + static_cast<std::size_t>(r) * stride;
        typename Products::Sums sums[rows][1];
        Products::template multiply<rows>(candidates, panel, values, sums);
        CENTROIDS_UNROLL
        for (int r = 0; r < rows; ++r) {
            Register bounds[1];
            Products::bound(candidates, panel, facts[r], sums[r], bounds);
            // Negated so that a bound that is not a number proves nothing.
            const unsigned above = V::bits(V::less(V::broadcast(thresholds[r]), bounds[0]));
            masks[r] = static_cast<std::uint16_t>(~above & ((1u << V::lanes) - 1u));
        }
    }

    static void run(const FilterCenters<T>& candidates, std::size_t panel, const void* rows,
                    std::size_t stride, const RowFacts<T>* facts, const T* thresholds,
                    std::size_t count, std::uint16_t* masks) {
        const Value* const values = static_cast<const Value*>(rows);
        std::size_t i = 0;
        for (; i + most_rows <= count; i += most_rows)
            tile<most_rows>(candidates, panel, values + i * stride, stride, facts + i,
                            thresholds + i, masks + i);
        for (; i < count; ++i)
            tile<1>(candidates, panel, values + i * stride, stride, facts + i, thresholds + i,
                    masks + i);
    }

    static void prepare(const T* row, std::size_t dimensions, const T* shift, T* scratch,
                        void* values, RowFacts<T>* facts) {
        Products::prepare(row, dimensions, shift, scratch, static_cast<Value*>(values), facts);
    }

    static constexpr CandidateKernels<T> kernels() {
        return {{.width = Products::width,
                 .value_bytes = sizeof(Value),
                 .largest_byte = Products::largest_byte,
                 .row_stride = &Products::row_stride,
                 .panel_stride = &Products::panel_stride,
                 .prepare = &prepare},
                &run};
    }
};
