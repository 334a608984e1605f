// The filter: which centers of a panel can be nearer to a point than one that is already known.
//
// A tile of products like that of the assignment, in float arithmetic or in bytes, whose epilogue
// turns each product into a lower bound of the score |c|^2 - 2tc and compares it with the point's
// threshold. Centers at or below it are written out as candidates, to be compared exactly; of all
// others only the lowest bound is kept, which is what later iterations prune by. The rows of a tile
// need not be neighbours: it is run for the points that a panel was not excluded for. In bytes a
// multiply-add is four times as cheap, and the epilogue is a third of the work at 100 dimensions.

// Products in the points' own type. The bound of a score is the score; its rounding error is a
// property of the row and is part of the threshold.
template <class V, int vectors>
struct FloatProducts {
    using T = typename V::T;
    using Register = typename V::Register;
    using Value = T;
    static constexpr std::size_t width = static_cast<std::size_t>(vectors) * V::lanes;

    static std::size_t row_stride(std::size_t dimensions) {
        constexpr std::size_t line = 64 / sizeof(T);
        return ((dimensions + line - 1) / line | 1) * line;
    }
    static std::size_t panel_stride(std::size_t dimensions) { return dimensions * width; }

    template <int rows>
    static inline __attribute__((always_inline)) void
    bounds(const FilterCenters<T>& centers, std::size_t panel, const FilterRows<T>&,
           const T* const (&values)[rows], const std::size_t (&)[rows],
           Register (&out)[rows][vectors]) {
        const T* at = static_cast<const T*>(centers.panels) + panel * width * centers.dimensions;
        CENTROIDS_UNROLL
        for (int v = 0; v < vectors; ++v) {
            const Register norm = V::load(centers.norms + panel * width +
                                          static_cast<std::size_t>(v) * V::lanes);
            CENTROIDS_UNROLL
            for (int r = 0; r < rows; ++r) out[r][v] = norm;
        }
        for (std::size_t j = 0; j < centers.dimensions; ++j, at += width) {
            Register loaded[vectors];
            CENTROIDS_UNROLL
            for (int v = 0; v < vectors; ++v)
                loaded[v] = V::load(at + static_cast<std::size_t>(v) * V::lanes);
            CENTROIDS_UNROLL
            for (int r = 0; r < rows; ++r) {
                const Register value = V::broadcast(values[r][j]);
                CENTROIDS_UNROLL
                for (int v = 0; v < vectors; ++v)
                    out[r][v] = V::multiply_add(value, loaded[v], out[r][v]);
            }
        }
    }

    static void prepare(const T* row, std::size_t dimensions, const T* shift, T*, Value* values,
                        RowFacts<T>* facts) {
        constexpr T zero = 0;
        facts->squares = AssignPanels<V, 1, 1>::shift_row(row, shift, dimensions, values);
        facts->scale = facts->error = zero;
        facts->norm = static_cast<T>(square_root(facts->squares) *
                                     (1 + static_cast<T>(dimensions + 8) * unit_roundoff<T>()));
    }
};

// Products of bytes: t = s q + (an error of length e), c = s' q' + (an error of length U), so
// |tc - s s' qq'| <= |t| U + e |s' q'|: a bound for each pair from two numbers of each side.
template <class V, int vectors>
struct ByteProducts {
    using T = float;
    using Register = typename V::Register;
    using Sums = typename V::Sums;
    using Value = std::uint8_t;
    static constexpr std::size_t width = static_cast<std::size_t>(vectors) * V::lanes;

    static std::size_t row_stride(std::size_t dimensions) { return (dimensions + 63) / 64 * 64; }
    static std::size_t panel_stride(std::size_t dimensions) {
        return padded_to_four(dimensions) * width;
    }

    template <int rows>
    static inline __attribute__((always_inline)) void
    bounds(const FilterCenters<T>& centers, std::size_t panel, const FilterRows<T>& block,
           const Value* const (&values)[rows], const std::size_t (&at_row)[rows],
           Register (&out)[rows][vectors]) {
        const std::size_t length = padded_to_four(centers.dimensions);
        const std::int8_t* at =
            static_cast<const std::int8_t*>(centers.panels) + panel * width * length;
        Sums sums[rows][vectors];
        CENTROIDS_UNROLL
        for (int v = 0; v < vectors; ++v) {
            const Sums start = V::load_sums(centers.starts + panel * width +
                                            static_cast<std::size_t>(v) * V::lanes);
            CENTROIDS_UNROLL
            for (int r = 0; r < rows; ++r) sums[r][v] = start;
        }
        for (std::size_t j = 0; j < length; j += 4, at += 4 * width) {
            Sums loaded[vectors];
            CENTROIDS_UNROLL
            for (int v = 0; v < vectors; ++v)
                loaded[v] = V::load_bytes(at + static_cast<std::size_t>(v) * 4 * V::lanes);
            CENTROIDS_UNROLL
            for (int r = 0; r < rows; ++r) {
                const Sums four = V::broadcast_four(values[r] + j);
                CENTROIDS_UNROLL
                for (int v = 0; v < vectors; ++v) V::add_products(sums[r][v], four, loaded[v]);
            }
        }
        CENTROIDS_UNROLL
        for (int v = 0; v < vectors; ++v) {
            const std::size_t lane = panel * width + static_cast<std::size_t>(v) * V::lanes;
            const Register norm = V::load(centers.norms + lane);
            const Register scale = V::load(centers.scales + lane);
            const Register loss = V::load(centers.losses + lane);
            const Register size = V::load(centers.sizes + lane);
            CENTROIDS_UNROLL
            for (int r = 0; r < rows; ++r) {
                const RowFacts<T>& facts = block.facts[at_row[r]];
                const Register product = V::multiply(V::as_floats(sums[r][v]), scale);
                Register bound = V::multiply_add(product, V::broadcast(facts.scale), norm);
                bound = V::multiply_add(loss, V::broadcast(facts.norm), bound);
                out[r][v] = V::multiply_add(size, V::broadcast(facts.error), bound);
            }
        }
    }

    static void prepare(const T* row, std::size_t dimensions, const T* shift, T* shifted,
                        Value* values, RowFacts<T>* facts) {
        quantize_row<V>(row, shift, dimensions, shifted, values, &facts->scale, &facts->squares,
                        &facts->norm, &facts->error);
    }
};

template <class V, class Products, int most_rows, int vectors>
struct Filter {
    using T = typename V::T;
    using Register = typename V::Register;
    using Value = typename Products::Value;
    static constexpr std::size_t width = Products::width;

    template <int rows>
    static __attribute__((noinline)) void
    tile(const FilterCenters<T>& centers, std::size_t panel, std::size_t first_panel,
         const FilterRows<T>& block, const Value* const (&values)[rows],
         const std::size_t (&at_row)[rows], T* rest, const FilterOutcome<T>& out) {
        Register bounds[rows][vectors];
        Products::template bounds<rows>(centers, panel, block, values, at_row, bounds);
        CENTROIDS_UNROLL
        for (int r = 0; r < rows; ++r) {
            Register lowest = bounds[r][0];
            CENTROIDS_UNROLL
            for (int v = 1; v < vectors; ++v) lowest = V::minimum(lowest, bounds[r][v]);
            const Register threshold = V::broadcast(block.thresholds[at_row[r]]);
            T* const row_rest = rest + static_cast<std::size_t>(r) * V::lanes;
            if (V::bits(V::less(threshold, lowest)) == (1u << V::lanes) - 1u) {
                V::store(row_rest, V::minimum(V::load(row_rest), lowest));
                continue;
            }
            CENTROIDS_UNROLL
            for (int v = 0; v < vectors; ++v)
                split(bounds[r][v], threshold,
                      static_cast<std::int32_t>((panel - first_panel) * width +
                                                static_cast<std::size_t>(v) * V::lanes),
                      at_row[r], row_rest, out);
        }
    }

    // Candidates to their list, the others to the running minimum.
    static inline __attribute__((always_inline)) void split(Register bounds, Register threshold,
                                                            std::int32_t place, std::size_t row,
                                                            T* rest, const FilterOutcome<T>& out) {
        const auto above = V::less(threshold, bounds);
        unsigned below = ~V::bits(above) & ((1u << V::lanes) - 1u);
        const Register infinity = V::broadcast(T(__builtin_inf()));
        V::store(rest, V::minimum(V::load(rest), V::select(above, bounds, infinity)));
        if (below == 0) return;
        T values[V::lanes];
        V::store(values, bounds);
        std::int32_t count = out.num_candidates[row];
        std::int32_t* const candidates = out.candidates + row * out.capacity;
        T* const candidate_bounds = out.bounds + row * out.capacity;
        for (; below != 0; below &= below - 1) {
            const int lane = __builtin_ctz(below);
            candidates[count] = place + lane;
            candidate_bounds[count++] = values[lane];
        }
        out.num_candidates[row] = count;
    }

    template <int rows>
    static void run_rows(const FilterCenters<T>& centers, std::size_t first_panel,
                         std::size_t last_panel, const std::uint16_t* listed, std::size_t count,
                         const FilterRows<T>& block, const FilterOutcome<T>& out) {
        const Value* values[rows];
        std::size_t at_row[rows];
        for (std::size_t r = 0; r < static_cast<std::size_t>(rows); ++r) {
            at_row[r] = listed[r < count ? r : count - 1];
            values[r] = static_cast<const Value*>(block.values) + at_row[r] * block.stride;
        }
        // The tile's spare rows repeat the last one: their candidates must not be listed twice.
        for (std::size_t r = count; r < static_cast<std::size_t>(rows); ++r) {
            at_row[r] = block.spare_row;
            block.facts[block.spare_row] = block.facts[at_row[count - 1]];
        }
        alignas(64) T rest[static_cast<std::size_t>(rows) * V::lanes];
        for (T& value : rest) value = T(__builtin_inf());
        for (std::size_t panel = first_panel; panel < last_panel; ++panel)
            tile<rows>(centers, panel, first_panel, block, values, at_row, rest, out);
        for (std::size_t r = 0; r < count; ++r)
            out.rest[at_row[r]] = V::reduce_minimum(V::load(rest + r * V::lanes));
    }

    static void run(const FilterCenters<T>& centers, std::size_t first_panel,
                    std::size_t last_panel, const std::uint16_t* listed, std::size_t count,
                    const FilterRows<T>& block, const FilterOutcome<T>& out) {
        constexpr int half = most_rows / 2;
        std::size_t at = 0;
        for (; at + half < count; at += most_rows)
            run_rows<most_rows>(centers, first_panel, last_panel, listed + at,
                                count - at < most_rows ? count - at : most_rows, block, out);
        if (at < count)
            run_rows<half>(centers, first_panel, last_panel, listed + at, count - at, block, out);
    }

    static void prepare(const T* row, std::size_t dimensions, const T* shift, T* scratch,
                        void* values, RowFacts<T>* facts) {
        Products::prepare(row, dimensions, shift, scratch, static_cast<Value*>(values), facts);
    }

    static constexpr FilterKernels<T> kernels() {
        return {sizeof(Value), &Products::row_stride, &Products::panel_stride, &prepare, &run};
    }
};
