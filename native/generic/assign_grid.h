// Arg-min in one to three dimensions by a grid that knows which centers can be nearest where.
//
// A point's cell costs a few multiply-adds; most cells have one possible center, which proves the
// label without a single distance. The points of the other cells go to a list, and are compared in
// float64 by direct differences against the few centers of their cell, four at a time, which also
// makes their labels exact. No branch depends on a point's cell but where a list is longer than
// four: what limits is the look-up in a table that lies in the second-level cache.

template <class T>
struct AssignGrid {
    static constexpr double infinity = __builtin_inf();

    // cells: OUT [count]; a point outside, NaN too, gets the last cell of the table.
    template <int dimensions>
    static inline __attribute__((always_inline)) void
    find_cells(const T* rows, std::ptrdiff_t stride, std::size_t count, const CenterGrid<T>& grid,
               std::int32_t* cells) {
        const auto across = grid.cells_across;
        const T top = static_cast<T>(across - 1);
        std::int32_t outside = 1;
        for (int j = 0; j < dimensions; ++j) outside *= across;
        for (std::size_t i = 0; i < count; ++i) {
            const T* const row = rows + static_cast<std::ptrdiff_t>(i) * stride;
            std::int32_t cell = 0;
            bool inside = true;
            for (int j = 0; j < dimensions; ++j) {
                const T value = row[j];
                const T from_middle = value - grid.middle[j];
                inside &= (from_middle < 0 ? -from_middle : from_middle) <= grid.reach[j];
                T place = (value - grid.low[j]) * grid.cells_per_unit[j];
                place = place > 0 ? place : T(0);
                place = place < top ? place : top;
                cell = cell * across + static_cast<std::int32_t>(place);
            }
            cells[i] = inside ? cell : outside;
        }
    }

    // As row_sums.h adds its eight running sums when there are but so many dimensions.
    template <int dimensions>
    static inline __attribute__((always_inline)) double distance(const double* row,
                                                                 const double* center) {
        double squares[dimensions];
        for (int j = 0; j < dimensions; ++j)
            squares[j] = (row[j] - center[j]) * (row[j] - center[j]);
        if constexpr (dimensions == 1) return squares[0];
        if constexpr (dimensions == 2) return squares[0] + squares[1];
        if constexpr (dimensions == 3) return (squares[0] + squares[2]) + squares[1];
    }

    struct Nearest {
        double distance;
        std::int32_t center;
    };

    // The first of equals wins: lists ascend.
    static inline __attribute__((always_inline)) Nearest nearer(Nearest a, Nearest b) {
        const bool second = b.distance < a.distance;
        return {second ? b.distance : a.distance, second ? b.center : a.center};
    }

    template <int dimensions>
    static inline __attribute__((always_inline)) Nearest search(const double* row,
                                                                const std::int32_t* list,
                                                                const double* centers) {
        Nearest best = {infinity, -1};
        const std::int32_t* const end = list + 1 + 4 * list[0];
        for (++list; list != end; list += 4) {
            Nearest four[4];
            for (int c = 0; c < 4; ++c)
                four[c] = {distance<dimensions>(row, centers + 4 * std::ptrdiff_t(list[c])),
                           list[c]};
            best = nearer(best, nearer(nearer(four[0], four[1]), nearer(four[2], four[3])));
        }
        return best;
    }

    template <int dimensions>
    static std::ptrdiff_t run(const T* rows, std::ptrdiff_t stride, std::size_t count,
                              const CenterGrid<T>& grid, std::int32_t* scratch,
                              std::int32_t* cluster_index) {
        std::int32_t* const cells = scratch;
        std::int32_t* const open = scratch + count;
        if (stride == dimensions)
            find_cells<dimensions>(rows, dimensions, count, grid, cells);
        else
            find_cells<dimensions>(rows, stride, count, grid, cells);
        std::size_t num_open = 0;
        for (std::size_t i = 0; i < count; ++i) {
            const std::int32_t entry = grid.table[cells[i]];
            cluster_index[i] = entry;
            open[num_open] = static_cast<std::int32_t>(i);
            num_open += entry < 0;
        }
        std::ptrdiff_t bad_row = -1;
        for (std::size_t at = num_open; at-- > 0;) {
            const std::int32_t i = open[at];
            double row[dimensions];
            for (int j = 0; j < dimensions; ++j) row[j] = static_cast<double>(rows[i * stride + j]);
            const Nearest found =
                search<dimensions>(row, grid.lists + ~cluster_index[i], grid.centers);
            cluster_index[i] = found.center;
            if (found.center < 0) bad_row = i;
        }
        return bad_row;
    }

    static std::ptrdiff_t assign(const T* rows, std::ptrdiff_t stride, std::size_t count,
                                 const CenterGrid<T>& grid, std::int32_t* scratch,
                                 std::int32_t* cluster_index) {
        if (grid.dimensions == 1) return run<1>(rows, stride, count, grid, scratch, cluster_index);
        if (grid.dimensions == 2) return run<2>(rows, stride, count, grid, scratch, cluster_index);
        return run<3>(rows, stride, count, grid, scratch, cluster_index);
    }
};
