// The filter: which centers of a panel can be nearer to a point than one that is already known.
//
// A tile of products like that of the assignment, in float arithmetic or in bytes, whose epilogue
// turns each product into a lower bound of the score |c|^2 - 2tc and compares it with the point's
// threshold. Centers at or below it are written out as candidates, to be compared exactly; of all
// others only the lowest bound is kept, which is what later iterations prune by. The rows of a tile
// need not be neighbours: it is run for the points that a panel was not excluded for. In bytes a
// multiply-add is two to four times as cheap, and the epilogue is a third of the work at 100
// dimensions.

// Products in the points' own type. The bound of a score is the score; its rounding error is a
// property of the row and is part of the threshold.
template <class V, int vectors>
struct FloatProducts {
    using T = typename V::T;
    using Register = typename V::Register;
    using Sums = Register;
    using Value = T;
    static constexpr std::size_t width = static_cast<std::size_t>(vectors) * V::lanes;

    static std::size_t row_stride(std::size_t dimensions) {
        constexpr std::size_t line = 64 / sizeof(T);
        return (groups_of(line, dimensions) | 1) * line;
    }
    static std::size_t panel_stride(std::size_t dimensions) { return dimensions * width; }
    static constexpr std::int32_t largest_byte = 0, middle_byte = 0;

    template <int rows>
    static inline __attribute__((always_inline)) void
    multiply(const FilterCenters<T>& centers, std::size_t panel, const T* const (&values)[rows],
             Sums (&sums)[rows][vectors]) {
        const T* at = static_cast<const T*>(centers.panels) + panel * width * centers.dimensions;
        CENTROIDS_UNROLL
        for (int v = 0; v < vectors; ++v) {
            const Register norm =
                V::load(centers.norms + panel * width + static_cast<std::size_t>(v) * V::lanes);
            CENTROIDS_UNROLL
            for (int r = 0; r < rows; ++r) sums[r][v] = norm;
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
                    sums[r][v] = V::multiply_add(value, loaded[v], sums[r][v]);
            }
        }
    }

    static inline __attribute__((always_inline)) void bound(const FilterCenters<T>&, std::size_t,
                                                            const RowFacts<T>&,
                                                            const Sums (&sums)[vectors],
                                                            Register (&bounds)[vectors]) {
        CENTROIDS_UNROLL
        for (int v = 0; v < vectors; ++v) bounds[v] = sums[v];
    }

    static void prepare(const T* row, std::size_t dimensions, const T* shift, T*, Value* values,
                        RowFacts<T>* facts) {
        facts->squares = AssignPanels<V, 1, 1>::shift_row(row, shift, dimensions, values);
        facts->scale = facts->error = T(0);
        facts->norm = static_cast<T>(square_root(facts->squares) *
                                     (1 + static_cast<T>(dimensions + 8) * unit_roundoff<T>()));
    }
};

// Products of bytes: t = s q + (an error of length e), c = s' q' + (an error of length U), so
// |tc - s s' qq'| <= |t| U + e |s' q'|: a bound for each pair from two numbers of each side.
// V::chain groups of four bytes go into one step of V::add_products, and V::largest_byte is what
// that step has room for.
template <class V, int vectors>
struct ByteProducts {
    using T = float;
    using Register = typename V::Register;
    using Sums = typename V::Sums;
    using Value = std::uint8_t;
    static constexpr std::size_t width = static_cast<std::size_t>(vectors) * V::lanes;
    static constexpr std::size_t step = 4 * static_cast<std::size_t>(V::chain);
    static constexpr std::int32_t largest_byte = V::largest_byte;
    static constexpr std::int32_t middle_byte = V::middle_byte;

    static std::size_t padded(std::size_t dimensions) { return round_up(dimensions, step); }
    static std::size_t row_stride(std::size_t dimensions) { return round_up(dimensions, 64); }
    static std::size_t panel_stride(std::size_t dimensions) { return padded(dimensions) * width; }

    template <int rows>
    static inline __attribute__((always_inline)) void
    multiply(const FilterCenters<T>& centers, std::size_t panel, const Value* const (&values)[rows],
             Sums (&sums)[rows][vectors]) {
        const std::size_t length = padded(centers.dimensions);
        const std::int8_t* at =
            static_cast<const std::int8_t*>(centers.panels) + panel * width * length;
        CENTROIDS_UNROLL
        for (int v = 0; v < vectors; ++v) {
            const Sums start = V::load_sums(centers.starts + panel * width +
                                            static_cast<std::size_t>(v) * V::lanes);
            CENTROIDS_UNROLL
            for (int r = 0; r < rows; ++r) sums[r][v] = start;
        }
        for (std::size_t j = 0; j < length; j += step, at += step * width) {
            Sums loaded[vectors][V::chain];
            CENTROIDS_UNROLL
            for (int v = 0; v < vectors; ++v) {
                CENTROIDS_UNROLL
                for (int i = 0; i < V::chain; ++i)
                    loaded[v][i] = V::load_bytes(at + static_cast<std::size_t>(i) * 4 * width +
                                                 static_cast<std::size_t>(v) * 4 * V::lanes);
            }
            CENTROIDS_UNROLL
            for (int r = 0; r < rows; ++r) {
                Sums fours[V::chain];
                CENTROIDS_UNROLL
                for (int i = 0; i < V::chain; ++i)
                    fours[i] = V::broadcast_four(values[r] + j + 4 * i);
                CENTROIDS_UNROLL
                for (int v = 0; v < vectors; ++v) V::add_products(sums[r][v], fours, loaded[v]);
            }
        }
    }

    static inline __attribute__((always_inline)) void
    bound(const FilterCenters<T>& centers, std::size_t panel, const RowFacts<T>& facts,
          const Sums (&sums)[vectors], Register (&bounds)[vectors]) {
        const Register scale = V::broadcast(facts.scale), norm = V::broadcast(facts.norm),
                       error = V::broadcast(facts.error);
        CENTROIDS_UNROLL
        for (int v = 0; v < vectors; ++v) {
            const std::size_t lane = panel * width + static_cast<std::size_t>(v) * V::lanes;
            const Register product =
                V::multiply(V::as_floats(sums[v]), V::load(centers.scales + lane));
            Register bound = V::multiply_add(product, scale, V::load(centers.norms + lane));
            bound = V::multiply_add(norm, V::load(centers.losses + lane), bound);
            bounds[v] = V::multiply_add(error, V::load(centers.sizes + lane), bound);
        }
    }

    static void prepare(const T* row, std::size_t dimensions, const T* shift, T* shifted,
                        Value* values, RowFacts<T>* facts) {
        quantize_row<V>(row, shift, dimensions, shifted, values, &facts->scale, &facts->squares,
                        &facts->norm, &facts->error);
    }
};

template <class V, class Products, int most_rows, int vectors>
struct OnAxes; // filter_axes.h

template <class V, class Products, int most_rows, int vectors>
struct Filter {
    using T = typename V::T;
    using Axes = OnAxes<V, Products, most_rows, vectors>;
    using Register = typename V::Register;
    using Value = typename Products::Value;
    static constexpr std::size_t width = Products::width;

    // By value into `split`: the registers are written to memory only where it is called.
    struct Bounds {
        Register of[vectors];
    };

    template <int rows>
    static inline __attribute__((always_inline)) void
    tile(const FilterCenters<T>& centers, std::size_t panel, const FilterRows<T>& block,
         const Value* const (&values)[rows], const std::size_t (&at_row)[rows], T* rest,
         const FilterOutcome<T>& out) {
        typename Products::Sums sums[rows][vectors];
        Products::template multiply<rows>(centers, panel, values, sums);
        CENTROIDS_UNROLL
        for (int r = 0; r < rows; ++r) {
            Bounds bounds;
            Products::bound(centers, panel, block.facts[at_row[r]], sums[r], bounds.of);
            Register lowest = bounds.of[0];
            CENTROIDS_UNROLL
            for (int v = 1; v < vectors; ++v) lowest = V::minimum(lowest, bounds.of[v]);
            const T threshold = block.thresholds[at_row[r]];
            T* const row_rest = rest + static_cast<std::size_t>(r) * V::lanes;
            if (V::bits(V::less(V::broadcast(threshold), lowest)) == (1u << V::lanes) - 1u)
                V::store(row_rest, V::minimum(V::load(row_rest), lowest));
            else
                split(bounds, threshold, (panel - out.origin) * width, at_row[r], row_rest, out);
        }
    }

    // Candidates to their list, the others to the running minimum.
    static __attribute__((noinline)) void split(const Bounds bounds, T threshold, std::size_t place,
                                                std::size_t row, T* rest,
                                                const FilterOutcome<T>& out) {
        const Register infinity = V::broadcast(T(__builtin_inf()));
        std::int32_t count = out.num_candidates[row];
        std::int32_t* const candidates = out.candidates + row * out.capacity;
        T* const candidate_bounds = out.bounds + row * out.capacity;
        Register others = V::load(rest);
        for (int v = 0; v < vectors; ++v) {
            const auto above = V::less(V::broadcast(threshold), bounds.of[v]);
            others = V::minimum(others, V::select(above, bounds.of[v], infinity));
            unsigned below = ~V::bits(above) & ((1u << V::lanes) - 1u);
            const std::int32_t first =
                static_cast<std::int32_t>(place) + v * static_cast<std::int32_t>(V::lanes);
            if constexpr (requires { V::store_chosen(candidate_bounds, bounds.of[v], below); }) {
                V::store_chosen(candidate_bounds + count, bounds.of[v], below);
                V::store_chosen_lanes(candidates + count, first, below);
                count += __builtin_popcount(below);
            } else if (below != 0) {
                T values[V::lanes];
                V::store(values, bounds.of[v]);
                for (; below != 0; below &= below - 1) {
                    const int lane = __builtin_ctz(below);
                    candidates[count] = first + lane;
                    candidate_bounds[count++] = values[lane];
                }
            }
        }
        V::store(rest, others);
        out.num_candidates[row] = count;
    }

    template <int rows>
    static __attribute__((noinline)) void
    run_rows(const FilterCenters<T>& all_centers, std::size_t first_panel, std::size_t last_panel,
             const std::uint16_t* listed, std::size_t count, const FilterRows<T>& all_rows,
             const FilterOutcome<T>& out) {
        // Copies: as far as the compiler knows, a store to `rest` could change the originals.
        const FilterCenters<T> centers = all_centers;
        const FilterRows<T> block = all_rows;
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
        T* group_rest = out.rest;
        for (std::size_t panel = first_panel; panel < last_panel; group_rest += out.rest_stride) {
            const std::size_t last =
                last_panel - panel < out.group_panels ? last_panel : panel + out.group_panels;
            for (T& value : rest) value = T(__builtin_inf());
            for (; panel < last; ++panel)
                tile<rows>(centers, panel, block, values, at_row, rest, out);
            for (std::size_t r = 0; r < count; ++r)
                group_rest[at_row[r]] = V::reduce_minimum(V::load(rest + r * V::lanes));
        }
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

    static void store_bounds(const std::uint16_t* listed, std::size_t count, const T* rest,
                             const T* offsets, float drift, std::uint32_t offset,
                             std::uint16_t* lower, std::size_t stride) {
        for (std::size_t at = 0; at < count; ++at) {
            const std::size_t row = listed[at];
            const T squared = rest[row] + offsets[row];
            const float bound = static_cast<float>(square_root(squared > 0 ? squared : T(0)));
            lower[row * stride] = bound_code(bound * (1 - 1e-6f), drift, offset);
        }
    }

    static constexpr FilterKernels<T> kernels() {
        return {{.width = width,
                 .value_bytes = sizeof(Value),
                 .largest_byte = Products::largest_byte,
                 .middle_byte = Products::middle_byte,
                 .row_stride = &Products::row_stride,
                 .panel_stride = &Products::panel_stride,
                 .prepare = &prepare},
                &run,
                &store_bounds,
                Axes::kernels_or_null()};
    }
};
