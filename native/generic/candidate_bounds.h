// Which of a few candidates may be nearer to a row than its nearest center so far: one bit each.
// Rows of points meet a panel of candidates, or candidates meet panels of points: the bound is the
// same, and the second way no lane is idle where candidates are few.
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

    template <int rows>
    static void run_few(const FilterCenters<T>& points, std::size_t first_panel,
                        std::size_t last_panel, const Value* candidates, std::size_t stride,
                        const RowFacts<T>* facts, const T* thresholds, std::size_t count,
                        std::uint16_t* masks) {
        for (std::size_t panel = first_panel; panel < last_panel; ++panel, masks += count)
            tile<rows>(points, panel, candidates, stride, facts, thresholds, masks);
    }

    static void run_panels(const FilterCenters<T>& points, std::size_t first_panel,
                           std::size_t last_panel, const void* candidates, std::size_t stride,
                           const RowFacts<T>* facts, const T* thresholds, std::size_t count,
                           std::uint16_t* masks) {
        const Value* const values = static_cast<const Value*>(candidates);
        // Few panels at a time stay in the first-level cache for the next candidates.
        constexpr std::size_t few = 8;
        for (std::size_t panel = first_panel; panel < last_panel;
             panel += few, masks += few * count) {
            const std::size_t end = panel + few < last_panel ? panel + few : last_panel;
            std::size_t at = 0;
            for (; at + 4 <= count; at += 4)
                run_few<4>(points, panel, end, values + at * stride, stride, facts + at,
                           thresholds + at, count, masks + at);
            const auto run_rest = count - at == 3   ? &run_few<3>
                                  : count - at == 2 ? &run_few<2>
                                                    : &run_few<1>;
            if (at < count)
                run_rest(points, panel, end, values + at * stride, stride, facts + at,
                         thresholds + at, count, masks + at);
        }
    }

    static void prepare(const T* row, std::size_t dimensions, const T* shift, T* scratch,
                        void* values, RowFacts<T>* facts) {
        Products::prepare(row, dimensions, shift, scratch, static_cast<Value*>(values), facts);
    }

    static constexpr CandidateKernels<T> kernels() {
        return {{.width = Products::width,
                 .value_bytes = sizeof(Value),
                 .largest_byte = Products::largest_byte,
                 .middle_byte = Products::middle_byte,
                 .row_stride = &Products::row_stride,
                 .panel_stride = &Products::panel_stride,
                 .prepare = &prepare},
                &run,
                &run_panels};
    }
};
