// Arg-min for few dimensions in integers: points in lanes, in words of 16 bits.
//
// One instruction multiplies two words for each lane and adds both products to an int32: twice the
// work of a float32 multiply-add. With t = point - shift ~ s q and w = center - shift ~ s' q',
//
//     (|w|^2 - 2 t w) / (2 s s')  ~  G - q q',      G = |w|^2 / (2 s s')
//
// and by Cauchy and Schwarz the left side is within |t|/s |f|/s' + |e|/s |q'| of the right one,
// where e = t - s q and f = w - s' q'. q q' is exact. So where the two lowest scores are further
// apart than twice that, the arg-min is proven, and the few other points are compared exactly. The
// lowest bits of a score give way to the place of its center, which spares a register of places.
//
// One scale serves a group of points: G is then the same for all of its lanes.

// The longest a row of words may be: with centers of the same length, a score fits an int32.
constexpr float longest_words = 32000;

template <class W, class V, int vectors, int together>
struct AssignWords {
    using T = typename V::T;
    using Register = typename W::Register;
    using Integers = typename W::Integers;
    static constexpr std::size_t points = static_cast<std::size_t>(vectors) * W::lanes;
    using Lanes = AssignLanes<V, static_cast<int>(points / V::lanes)>;

    // The scratch of a block: words and what they were judged by stay for `find_candidates`.
    struct Scratch {
        T* lanes;             // [2 * pairs][points]
        std::int32_t* starts; // [num_centers, padded], G
        std::int32_t* words;  // [groups][pairs][points]
        std::int32_t* best;   // [groups][points], lowest scores, with their places
        float* reach;         // [groups][points], how far above them candidates may be
        float* ratio;         // [groups], s' / s
    };

    static std::size_t padded(const CentersInWords<T>& centers) {
        return round_up(centers.num_centers, W::lanes);
    }

    static Scratch divide(void* memory, std::size_t rows, const CentersInWords<T>& centers) {
        const std::size_t groups = round_up(rows, points) / points;
        Scratch parts;
        parts.lanes = static_cast<T*>(memory);
        parts.starts =
            reinterpret_cast<std::int32_t*>(parts.lanes + 2 * centers.num_pairs * points);
        parts.words = parts.starts + padded(centers);
        parts.best = parts.words + groups * centers.num_pairs * points;
        parts.reach = reinterpret_cast<float*>(parts.best + groups * points);
        parts.ratio = parts.reach + groups * points;
        return parts;
    }

    static std::size_t scratch_bytes(std::size_t rows, const CentersInWords<T>& centers) {
        const std::size_t groups = round_up(rows, points) / points;
        return 2 * centers.num_pairs * points * sizeof(T) +
               4 * (padded(centers) + groups * (points * (centers.num_pairs + 2) + 1));
    }

    // to: OUT, pairs `W::lanes` apart, of -(center - shift) * inverse rounded
    static void pack(const T* center, const T* shift, std::size_t dimensions, double inverse,
                     std::int32_t* to, WordFacts* facts) {
        constexpr double whole = 0x1.8p52; // of a small sum with it nothing else is left
        Eight<double> lost = {}, size = {};
        double rounded[8], tail_lost = 0, tail_size = 0;
        std::size_t j = 0;
        for (; j + 8 <= dimensions; j += 8) {
            Eight<double> values, shifts, words;
            load_eight(center + j, values);
            load_eight(shift + j, shifts);
            CENTROIDS_UNROLL
            for (int p = 0; p < Eight<double>::parts; ++p) {
                const auto value = (values.part[p] - shifts.part[p]) * inverse;
                words.part[p] = value + whole - whole;
                const auto difference = value - words.part[p];
                lost.part[p] += difference * difference;
                size.part[p] += words.part[p] * words.part[p];
            }
            store_eight(words, rounded);
            for (std::size_t lane = 0; lane < 8; lane += 2)
                to[(j + lane) / 2 * W::lanes] = pair_of(rounded[lane], rounded[lane + 1]);
        }
        for (; j < dimensions; j += 2) {
            for (std::size_t i = 0; i < 2; ++i) {
                const bool there = j + i < dimensions;
                const double value =
                    there
                        ? (static_cast<double>(center[j + i]) - static_cast<double>(shift[j + i])) *
                              inverse
                        : 0;
                rounded[i] = value + whole - whole;
                tail_lost += (value - rounded[i]) * (value - rounded[i]);
                tail_size += rounded[i] * rounded[i];
            }
            to[j / 2 * W::lanes] = pair_of(rounded[0], rounded[1]);
        }
        double sums[8];
        store_eight(lost, sums);
        facts->lost = add_eight(sums) + tail_lost;
        store_eight(size, sums);
        facts->size = add_eight(sums) + tail_size;
    }

    static std::int32_t pair_of(double low, double high) {
        const auto lower = static_cast<std::uint32_t>(-static_cast<std::int32_t>(low));
        const auto upper = static_cast<std::uint32_t>(-static_cast<std::int32_t>(high));
        return static_cast<std::int32_t>((lower & 0xffffu) | upper << 16);
    }

    // squares: OUT [points], of the lanes as floats
    static void square_columns(const T* lanes, std::size_t dimensions, float* squares) {
        Register sums[vectors];
        CENTROIDS_UNROLL
        for (int v = 0; v < vectors; ++v) sums[v] = W::broadcast(0.0f);
        for (std::size_t j = 0; j < dimensions; ++j) {
            CENTROIDS_UNROLL
            for (int v = 0; v < vectors; ++v) {
                const Register value = W::load_floats(lanes + j * points + v * W::lanes);
                sums[v] = W::multiply_add(value, value, sums[v]);
            }
        }
        CENTROIDS_UNROLL
        for (int v = 0; v < vectors; ++v) W::store(squares + v * W::lanes, sums[v]);
    }

    // lost: OUT [points], the squares of what rounding to words loses
    static void quantize(const T* lanes, std::size_t num_pairs, float scale, std::int32_t* words,
                         float* lost) {
        const Register factor = W::broadcast(1 / scale), back = W::broadcast(-scale);
        Register sums[vectors];
        CENTROIDS_UNROLL
        for (int v = 0; v < vectors; ++v) sums[v] = W::broadcast(0.0f);
        for (std::size_t j = 0; j < num_pairs; ++j) {
            CENTROIDS_UNROLL
            for (int v = 0; v < vectors; ++v) {
                Integers rounded[2];
                CENTROIDS_UNROLL
                for (std::size_t i = 0; i < 2; ++i) {
                    const Register value =
                        W::load_floats(lanes + (2 * j + i) * points + v * W::lanes);
                    rounded[i] = W::rounded(W::multiply(value, factor));
                    const Register difference =
                        W::multiply_add(W::as_floats(rounded[i]), back, value);
                    sums[v] = W::multiply_add(difference, difference, sums[v]);
                }
                W::store_integers(words + j * points + v * W::lanes,
                                  W::pair(rounded[0], rounded[1]));
            }
        }
        CENTROIDS_UNROLL
        for (int v = 0; v < vectors; ++v) W::store(lost + v * W::lanes, sums[v]);
    }

    // Centers [c, c + count), which lie in one panel.
    template <int count>
    static inline __attribute__((always_inline)) void
    offer_centers(const std::int32_t* words, const CentersInWords<T>& centers,
                  const std::int32_t* starts, std::size_t c, Integers keep, Integers& place,
                  Integers (&best)[vectors], Integers (&second)[vectors]) {
        const std::size_t num_pairs = centers.num_pairs;
        const std::int32_t* center =
            centers.words + c / W::lanes * num_pairs * W::lanes + c % W::lanes;
        Integers scores[count][vectors];
        CENTROIDS_UNROLL
        for (int n = 0; n < count; ++n) {
            const Integers start = W::broadcast_integer(starts[c + static_cast<std::size_t>(n)]);
            CENTROIDS_UNROLL
            for (int v = 0; v < vectors; ++v) scores[n][v] = start;
        }
        for (std::size_t j = 0; j < num_pairs; ++j, center += W::lanes) {
            Integers point[vectors];
            CENTROIDS_UNROLL
            for (int v = 0; v < vectors; ++v)
                point[v] = W::load_integers(words + j * points + v * W::lanes);
            CENTROIDS_UNROLL
            for (int n = 0; n < count; ++n) {
                const Integers word = W::broadcast_integer(center[n]);
                CENTROIDS_UNROLL
                for (int v = 0; v < vectors; ++v) W::add_products(scores[n][v], point[v], word);
            }
        }
        const Integers one = W::broadcast_integer(1);
        CENTROIDS_UNROLL
        for (int n = 0; n < count; ++n) {
            CENTROIDS_UNROLL
            for (int v = 0; v < vectors; ++v) {
                const Integers score = W::with_place(scores[n][v], keep, place);
                second[v] = W::lower(second[v], W::higher(score, best[v]));
                best[v] = W::lower(best[v], score);
            }
            place = W::sum(place, one);
        }
    }

    // Centers [begin, end), begin a multiple of `together`. best, second: OUT [points]
    static __attribute__((noinline)) void
    search(const std::int32_t* words, const CentersInWords<T>& centers, const std::int32_t* starts,
           std::size_t begin, std::size_t end, std::int32_t* best, std::int32_t* second) {
        const Integers keep = W::broadcast_integer(~centers.places);
        Integers place = W::broadcast_integer(static_cast<std::int32_t>(begin));
        Integers lowest[vectors], next[vectors];
        CENTROIDS_UNROLL
        for (int v = 0; v < vectors; ++v) lowest[v] = next[v] = W::broadcast_integer(0x7fffffff);
        std::size_t c = begin;
        for (; c + together <= end; c += together)
            offer_centers<together>(words, centers, starts, c, keep, place, lowest, next);
        for (; c < end; ++c) offer_centers<1>(words, centers, starts, c, keep, place, lowest, next);
        CENTROIDS_UNROLL
        for (int v = 0; v < vectors; ++v) {
            W::store_integers(best + v * W::lanes, lowest[v]);
            W::store_integers(second + v * W::lanes, next[v]);
        }
    }

    // The two lowest scores of each group of centers, and of all.
    struct Scores {
        std::int32_t best[most_center_groups][points], second[most_center_groups][points];

        void merge(std::size_t num_groups, std::int32_t* lowest, std::int32_t* next) const {
            for (std::size_t i = 0; i < points; ++i) lowest[i] = next[i] = 0x7fffffff;
            for (std::size_t group = 0; group < num_groups; ++group) {
                for (std::size_t i = 0; i < points; ++i) {
                    const std::int32_t own = best[group][i], other = second[group][i];
                    const std::int32_t higher = own > lowest[i] ? own : lowest[i];
                    next[i] = higher < next[i] ? higher : next[i];
                    next[i] = other < next[i] ? other : next[i];
                    lowest[i] = own < lowest[i] ? own : lowest[i];
                }
            }
        }
    };

    // lowest: scores of all; unit: of a score in a squared distance; lower: OUT [here][stride]
    static void store_bounds(const GroupBounds& bounds, const Scores& scores,
                             const std::int32_t* lowest, float unit, const float* squares,
                             const float* reach, std::size_t dimensions, std::size_t here,
                             std::uint16_t* lower) {
        // Squares are rounded, by less than that for each dimension.
        const float down = 1 - 1e-6f - static_cast<float>(dimensions) * 1.2e-7f;
        for (std::size_t group = 0; group < bounds.num_groups; ++group) {
            std::uint16_t codes[points];
            for (std::size_t i = 0; i < points; ++i) {
                const std::int32_t best = scores.best[group][i];
                const std::int32_t other = best == lowest[i] ? scores.second[group][i] : best;
                const float rest = unit * (static_cast<float>(other) - reach[i]);
                const float squared = squares[i] * down + rest - __builtin_fabsf(rest) * 1e-6f;
                const float bound = square_root(squared > 0 ? squared : 0.0f); // 0 of NaN, too
                codes[i] = bound_code(bound * (1 - 1e-6f), bounds.drift[group], bounds.code_offset);
            }
            for (std::size_t i = 0; i < here; ++i) lower[i * bounds.stride + group] = codes[i];
        }
    }

    static void add_starts(const CentersInWords<T>& centers, float ratio, std::int32_t* starts) {
        const Register factor = W::broadcast(ratio);
        for (std::size_t c = 0; c < centers.num_centers; c += W::lanes)
            W::store_integers(starts + c,
                              W::rounded(W::multiply(W::load_floats(centers.norms + c), factor)));
    }

    // The scale of a group: that of its longest row, but for rows that no float can square.
    static float scale_of(const float* squares, float least) {
        const Register infinity = W::broadcast(__builtin_inff()), zero = W::broadcast(0.0f);
        Register most = zero;
        CENTROIDS_UNROLL
        for (int v = 0; v < vectors; ++v) {
            const Register square = W::load(squares + v * W::lanes);
            most = W::maximum(most, W::select(W::less(square, infinity), square, zero));
        }
        const float scale = square_root(W::reduce_maximum(most)) * (1.00001f / longest_words);
        return scale > least ? scale : least;
    }

    // How far above the lowest score others must be: twice the error, and what places took.
    // Infinite or NaN for rows that no float can square.
    static void bound(const CentersInWords<T>& centers, float scale, const float* squares,
                      const float* lost, float* reach) {
        const std::size_t d = centers.dimensions;
        const float inverse = 1 / scale, unit = 0.5f / (scale * centers.scale);
        const float vanished = static_cast<float>(d) * 1.2e-38f;
        const float places = 2 * static_cast<float>(centers.places);
        for (std::size_t i = 0; i < points; ++i) {
            const float norm = rounded_up(square_root(squares[i] + vanished), d);
            const float error = rounded_up(square_root(lost[i] + vanished), d) + 1e-7f * norm;
            const float score = norm * inverse * centers.lost + error * inverse * centers.size;
            const float cosine = centers.reach_fixed +
                                 norm * (centers.reach_by_norm + centers.reach_by_square * norm);
            // Norms and scores as floats are rounded, by less than 400 each.
            reach[i] = 2.00002f * score + places + 1024 + 1.00001f * cosine * unit;
        }
    }

    // places: OUT [points]. Returns a bit for each point whose arg-min is not proven; a comparison
    // with NaN or infinity leaves it open.
    static std::uint32_t judge(const std::int32_t* best, const std::int32_t* second,
                               const float* reach, std::int32_t mask, std::int32_t* places) {
        std::uint32_t proven = 0;
        const Integers place = W::broadcast_integer(mask);
        CENTROIDS_UNROLL
        for (int v = 0; v < vectors; ++v) {
            const Integers lowest = W::load_integers(best + v * W::lanes);
            const Register gap = W::subtract(W::as_floats(W::load_integers(second + v * W::lanes)),
                                             W::as_floats(lowest));
            proven |=
                static_cast<std::uint32_t>(W::bits(W::less(W::load(reach + v * W::lanes), gap)))
                << v * W::lanes;
            W::store_integers(places + v * W::lanes, W::common(lowest, place));
        }
        return ~proven;
    }

    // Points to words. squares, lost: OUT [points]. Returns the scale.
    static float prepare(const T* rows, std::ptrdiff_t stride, std::size_t here,
                         const CentersInWords<T>& centers, const Scratch& scratch,
                         std::int32_t* words, float* squares, float* lost) {
        const std::size_t dimensions = centers.dimensions, num_pairs = centers.num_pairs;
        // The search keeps the memory idle: let the next points arrive meanwhile.
        if (here == points && dimensions <= 16)
            for (std::size_t at = 0; at < points * dimensions; at += 64 / sizeof(T))
                __builtin_prefetch(rows + static_cast<std::ptrdiff_t>(points) * stride + at);
        Lanes::transpose_any(rows, stride, here, dimensions, centers.shift, scratch.lanes);
        for (std::size_t i = dimensions * points; i < 2 * num_pairs * points; ++i)
            scratch.lanes[i] = 0;
        square_columns(scratch.lanes, dimensions, squares);
        const float scale = scale_of(squares, 0.5f * centers.scale);
        quantize(scratch.lanes, num_pairs, scale, words, lost);
        return scale;
    }

    // memory: [scratch_bytes]; open: OUT [groups], bits of the points whose arg-min is not proven
    static void assign(const T* block, std::ptrdiff_t stride, std::size_t count,
                       const CentersInWords<T>& centers, void* memory, std::int32_t* cluster_index,
                       std::uint32_t* open, const GroupBounds* bounds) {
        const Scratch scratch = divide(memory, count, centers);
        float squares[points], lost[points];
        std::int32_t second[points], places[points];
        Scores scores; // not touched without bounds
        for (std::size_t from = 0; from < count; from += points) {
            const std::size_t here = count - from < points ? count - from : points;
            const std::size_t group = from / points;
            std::int32_t* const words = scratch.words + group * centers.num_pairs * points;
            const T* const rows = block + static_cast<std::ptrdiff_t>(from) * stride;
            const float scale = prepare(rows, stride, here, centers, scratch, words, squares, lost);
            scratch.ratio[group] = centers.scale / scale;
            add_starts(centers, scratch.ratio[group], scratch.starts);
            std::int32_t* const best = scratch.best + from;
            float* const reach = scratch.reach + from;
            const std::size_t end = centers.num_centers;
            for (std::size_t of = 0; bounds && of < bounds->num_groups; ++of) {
                const std::size_t first = of * bounds->group_size;
                const std::size_t last = first + bounds->group_size;
                search(words, centers, scratch.starts, first, last < end ? last : end,
                       scores.best[of], scores.second[of]);
            }
            bounds ? scores.merge(bounds->num_groups, best, second)
                   : search(words, centers, scratch.starts, 0, end, best, second);
            bound(centers, scale, squares, lost, reach);
            if (bounds)
                store_bounds(*bounds, scores, best, 2 * scale * centers.scale, squares, reach,
                             centers.dimensions, here, bounds->lower + from * bounds->stride);
            open[group] = judge(best, second, reach, centers.places, places);
            if (here < 32) open[group] &= (1u << here) - 1;
            __builtin_memcpy(cluster_index + from, places, here * sizeof *places);
        }
    }

    // The centers that row i of the block assigned last may be nearest to.
    // candidates: OUT [num_centers]. Returns how many.
    static std::size_t find_candidates(const CentersInWords<T>& centers, void* memory,
                                       std::size_t count, std::size_t i, std::int32_t* candidates) {
        const Scratch scratch = divide(memory, count, centers);
        const std::size_t num_pairs = centers.num_pairs, group = i / points;
        const std::int32_t* const words = scratch.words + group * num_pairs * points + i % points;
        const Register ratio = W::broadcast(scratch.ratio[group]);
        const Register limit = W::broadcast(static_cast<float>(scratch.best[i]) + scratch.reach[i]);
        std::size_t found = 0;
        for (std::size_t c = 0; c < centers.num_centers; c += W::lanes) {
            const std::int32_t* panel = centers.words + c * num_pairs;
            Integers scores = W::rounded(W::multiply(W::load_floats(centers.norms + c), ratio));
            for (std::size_t j = 0; j < num_pairs; ++j, panel += W::lanes)
                W::add_products(scores, W::load_integers(panel),
                                W::broadcast_integer(words[j * points]));
            const unsigned above = W::bits(W::less(limit, W::as_floats(scores)));
            const std::size_t here =
                centers.num_centers - c < W::lanes ? centers.num_centers - c : W::lanes;
            for (std::size_t lane = 0; lane < here; ++lane)
                if (!(above >> lane & 1)) candidates[found++] = static_cast<std::int32_t>(c + lane);
        }
        return found;
    }

    static constexpr WordKernels<T> kernels() {
        static_assert(points <= 32);
        return {.width = W::lanes,
                .points = points,
                .scratch_bytes = &scratch_bytes,
                .pack = &pack,
                .assign = &assign,
                .find_candidates = &find_candidates};
    }
};
