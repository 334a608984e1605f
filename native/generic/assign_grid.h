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

    // entries: OUT [count]; few, many: OUT, places of the entries that are lists
    static void look_up(const std::int32_t* table, const std::int32_t* cells, std::size_t count,
                        std::int32_t* entries, std::int32_t* few, std::size_t& num_few,
                        std::int32_t* many, std::size_t& num_many) {
        std::size_t i = Steps::look_up(table, cells, count, entries, few, num_few, many, num_many);
        for (; i < count; ++i) {
            const std::int32_t entry = table[cells[i]];
            entries[i] = entry;
            few[num_few] = static_cast<std::int32_t>(i);
            many[num_many] = static_cast<std::int32_t>(i);
            const auto bits = static_cast<std::uint32_t>(entry);
            num_few += bits >> 31 & bits;
            num_many += bits >> 31 & ~bits;
        }
    }

    typedef double Four __attribute__((vector_size(32)));
    typedef double Pair __attribute__((vector_size(16)));

    // A row against four centers: squared distances, added as row_sums.h adds its eight running
    // sums when there are but so many dimensions.
    template <int dimensions>
    static inline __attribute__((always_inline)) void
    four_distances(const T* row, const double* centers, const std::int32_t* list, Four& distances) {
        const auto center = [&](int c) {
            return centers + 4 * static_cast<std::ptrdiff_t>(list[c]);
        };
        const double x = static_cast<double>(row[0]);
        if constexpr (dimensions == 1) {
            const Four difference = x - Four{*center(0), *center(1), *center(2), *center(3)};
            distances = difference * difference;
        } else if constexpr (dimensions == 2) {
            const double y = static_cast<double>(row[1]);
            const Four point = {x, y, x, y};
            Pair pairs[4];
            for (int c = 0; c < 4; ++c) __builtin_memcpy(&pairs[c], center(c), sizeof pairs[c]);
            Four even = point - __builtin_shufflevector(pairs[0], pairs[2], 0, 1, 2, 3);
            Four odd = point - __builtin_shufflevector(pairs[1], pairs[3], 0, 1, 2, 3);
            even *= even;
            odd *= odd;
            distances = __builtin_shufflevector(even, odd, 0, 4, 2, 6) +
                        __builtin_shufflevector(even, odd, 1, 5, 3, 7);
        } else {
            const Four point = {x, static_cast<double>(row[1]), static_cast<double>(row[2]), 0};
            Four squares[4];
            for (int c = 0; c < 4; ++c) {
                __builtin_memcpy(&squares[c], center(c), sizeof squares[c]);
                squares[c] = point - squares[c];
                squares[c] *= squares[c];
            }
            // x^2 with z^2 and y^2 with 0, of centers 0 and 1, then of 2 and 3
            const Four first = __builtin_shufflevector(squares[0], squares[1], 0, 4, 2, 6);
            const Four second = __builtin_shufflevector(squares[0], squares[1], 1, 5, 3, 7);
            const Four third = __builtin_shufflevector(squares[2], squares[3], 0, 4, 2, 6);
            const Four fourth = __builtin_shufflevector(squares[2], squares[3], 1, 5, 3, 7);
            const Four xs = __builtin_shufflevector(first, third, 0, 1, 4, 5);
            const Four zs = __builtin_shufflevector(first, third, 2, 3, 6, 7);
            const Four ys = __builtin_shufflevector(second, fourth, 0, 1, 4, 5);
            distances = (xs + zs) + ys;
        }
    }

    typedef std::int64_t FourPlaces __attribute__((vector_size(32)));
    typedef std::int64_t PairOfPlaces __attribute__((vector_size(16)));

    // Place in the list of the least of four distances, and that distance. All in vectors: of
    // scalars the compiler makes branches, which no processor can foresee.
    static inline __attribute__((always_inline)) std::int64_t
    find_least(const Four& distances, const FourPlaces& places, double& least) {
        Pair a = __builtin_shufflevector(distances, distances, 0, 2);
        Pair b = __builtin_shufflevector(distances, distances, 1, 3);
        PairOfPlaces place_a = __builtin_shufflevector(places, places, 0, 2);
        PairOfPlaces place_b = __builtin_shufflevector(places, places, 1, 3);
        PairOfPlaces swap = b < a;
        a = swap ? b : a;
        place_a = swap ? place_b : place_a;
        b = __builtin_shufflevector(a, a, 1, 0);
        place_b = __builtin_shufflevector(place_a, place_a, 1, 0);
        swap = b < a;
        a = swap ? b : a;
        place_a = swap ? place_b : place_a;
        least = a[0];
        return place_a[0];
    }

    // -1 where float64 distances leave it open, and where none is finite.
    template <int dimensions, bool several>
    static inline __attribute__((always_inline)) std::int32_t
    nearest_in_fours(const T* row, const CenterGrid<T>& grid, const std::int32_t* list,
                     std::int64_t fours) {
        Four nearest, others = {infinity, infinity, infinity, infinity};
        FourPlaces places = {0, 1, 2, 3};
        four_distances<dimensions>(row, grid.centers, list, nearest);
        for (std::int64_t at = 4; several && at < 4 * fours; at += 4) {
            Four distances;
            four_distances<dimensions>(row, grid.centers, list + at, distances);
            const FourPlaces here = {at, at + 1, at + 2, at + 3};
            const FourPlaces nearer = distances < nearest;
            const Four farther = nearer ? nearest : distances;
            others = farther < others ? farther : others;
            nearest = nearer ? distances : nearest;
            places = nearer ? here : places;
        }
        double least;
        const std::int64_t place = find_least(nearest, places, least);
        const double limit = least * grid.closer;
        unsigned open = Steps::within(nearest, limit);
        open &= open - 1; // the nearest itself
        if (several) open |= Steps::within(others, limit);
        return open == 0 ? list[place] : -1;
    }

    // Points of cells with up to four centers, and of the others: each list is searched by one
    // loop, so that no branch depends on a point.
    template <int dimensions>
    static std::size_t run(const T* rows, std::ptrdiff_t stride, std::size_t count,
                           const CenterGrid<T>& grid, std::int32_t* scratch,
                           std::int32_t* cluster_index) {
        std::int32_t* const cells = scratch;
        std::int32_t* const few = scratch + count;
        std::int32_t* const many = few + count + 16;
        if (stride == dimensions)
            find_cells<dimensions>(rows, dimensions, count, grid, cells);
        else
            find_cells<dimensions>(rows, stride, count, grid, cells);
        // Memory would be idle from here on: let the next points arrive meanwhile.
        for (std::ptrdiff_t at = 0; at < static_cast<std::ptrdiff_t>(count) * dimensions;
             at += 64 / static_cast<std::ptrdiff_t>(sizeof(T)))
            __builtin_prefetch(rows + static_cast<std::ptrdiff_t>(count) * stride + at);
        std::size_t num_few = 0, num_many = 0;
        look_up(grid.table, cells, count, cluster_index, few, num_few, many, num_many);
        std::size_t num_open = 0; // the cells are done with: rows that are open take their place
        const auto take = [&](std::int32_t i, std::int32_t nearest) {
            if (nearest < 0) [[unlikely]]
                cells[num_open++] = i;
            else
                cluster_index[i] = nearest;
        };
        for (std::size_t at = 0; at < num_few; ++at) {
            const std::int32_t i = few[at];
            const std::int32_t* const list = grid.lists + (~cluster_index[i] >> 1);
            take(i, nearest_in_fours<dimensions, false>(rows + i * stride, grid, list + 1, 1));
        }
        for (std::size_t at = 0; at < num_many; ++at) {
            const std::int32_t i = many[at];
            const std::int32_t* const list = grid.lists + (~cluster_index[i] >> 1);
            take(i, nearest_in_fours<dimensions, true>(rows + i * stride, grid, list + 1, *list));
        }
        return num_open;
    }

    static std::size_t assign(const T* rows, std::ptrdiff_t stride, std::size_t count,
                              const CenterGrid<T>& grid, std::int32_t* scratch,
                              std::int32_t* cluster_index) {
        if (grid.dimensions == 1) return run<1>(rows, stride, count, grid, scratch, cluster_index);
        if (grid.dimensions == 2) return run<2>(rows, stride, count, grid, scratch, cluster_index);
        return run<3>(rows, stride, count, grid, scratch, cluster_index);
    }
};
