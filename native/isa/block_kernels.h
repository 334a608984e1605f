// The boundary between baseline code and the code compiled for one instruction set.
// Only plain pointers, sizes and the structs below cross it: an inline function of the standard
// library that were compiled with AVX-512 and merged by the linker would crash older processors.
// Over 400 lines: all that crosses it stands here.
#pragma once

#include "api/rows.h"
#include "runtime/round_up.h"

#include <cstddef>
#include <cstdint>

namespace centroids {

// Centers prepared for one call. `shift` moves points and centers near the origin, which is what
// keeps |c|^2 - 2xc free of cancellation far from it.
template <class T>
struct PackedCenters {
    std::size_t num_centers;
    std::size_t dimensions;
    std::size_t num_panels;
    const T* panels;      // [num_panels][dimensions][panel_width], values -2 (c - shift)
    const T* panel_norms; // [num_panels * panel_width], |c - shift|^2, +inf in the padding
    const T* weights;     // [num_centers][dimensions], values -2 (c - shift)
    const T* norms;       // [num_centers], |c - shift|^2
    const T* shift;       // [dimensions]
    // Of x = point - shift: the two lowest scores are told apart where their gap is above
    // reach_fixed + reach_by_norm |x| + reach_by_square |x|^2, and |x|^2 not above largest_square.
    T reach_fixed, reach_by_norm, reach_by_square, largest_square;
};

// Per-row outcome of the fast pass over one block.
template <class T>
struct BlockResult {
    std::int32_t* cluster_index; // OUT [rows]
    T* threshold;                // OUT [rows], scores up to here may be the true minimum
    unsigned char* uncertain;    // OUT [rows], 1 where rounding could have changed the arg-min
};

// Centers in words of 16 bits, for points in lanes: w = center - shift is about -scale times a row
// of words.
template <class T>
struct CentersInWords {
    std::size_t num_centers, dimensions, num_pairs; // half as many pairs as dimensions, rounded up
    const T* shift;                                 // [dimensions]
    const std::int32_t* words;                      // [panels][num_pairs][width], two words each
    const float* norms;                             // [panels * width], |w|^2 / (2 scale^2)
    float scale;
    float lost, size;    // upper bounds of |w + scale words| and |scale words|, over scale
    std::int32_t places; // the bits of a score that hold a place
    // What cosine distances in T may differ by, as in PackedCenters
    float reach_fixed, reach_by_norm, reach_by_square;
};

struct WordFacts {
    double lost, size; // the squares of both, of one center
};

constexpr std::size_t most_center_groups = 64;

// What is remembered of rows: how far away the centers of each group are at least, but for the
// row's own. Groups are `group_size` centers side by side; codes are those of lower_bounds.h.
struct GroupBounds {
    std::size_t group_size, num_groups;
    const float* drift;        // [num_groups]
    std::uint32_t code_offset; // of codes
    std::uint16_t* lower;      // OUT [rows][stride]
    std::size_t stride;
};

template <class T>
struct WordKernels {
    std::size_t width;  // centers in a panel
    std::size_t points; // of a block that are searched together
    std::size_t (*scratch_bytes)(std::size_t rows, const CentersInWords<T>& centers);
    void (*pack)(const T* center, const T* shift, std::size_t dimensions, double inverse,
                 std::int32_t* to, WordFacts* facts);
    // cluster_index: OUT places of centers; bounds: or null
    void (*assign)(const T* rows, std::ptrdiff_t stride, std::size_t count,
                   const CentersInWords<T>& centers, void* scratch, std::int32_t* cluster_index,
                   std::uint32_t* open, const GroupBounds* bounds);
    std::size_t (*find_candidates)(const CentersInWords<T>& centers, void* scratch,
                                   std::size_t count, std::size_t i, std::int32_t* candidates);
};

// Centers as the filter reads them, in panels of `panel_width`. With a center's bytes q' and scale
// s', and w = c - shift:
template <class T>
struct FilterCenters {
    std::size_t dimensions;
    const void* panels; // floats: [num_panels][dimensions][width], -2 w;
                        // bytes: [num_panels][dimensions / 4][width][4], q'
    const T* norms;     // [num_panels * width], |w|^2, +inf in the padding
    // Only for bytes, [num_panels * width] each:
    const std::int32_t* starts; // -middle_byte sum q'
    const T* scales;            // -2 s'
    const T* losses;            // -2 |w - s' q'|, rounded down
    const T* sizes;             // -2 |s' q'|, rounded down
};

// What the filter needs to know of a row t = x - shift.
template <class T>
struct RowFacts {
    T scale, squares, norm, error; // t ~ scale q; |t|^2; upper bounds of |t| and |t - scale q|
};

// The prepared rows of a block. `spare_row` is one more, for the tile's unused places.
template <class T>
struct FilterRows {
    const void* values; // [rows][stride], as `FilterKernels::prepare` wrote them
    std::size_t stride;
    RowFacts<T>* facts;  // [rows + 1]
    const T* thresholds; // [rows + 1], bounds up to here are candidates
    std::size_t spare_row;
};

template <class T>
struct FilterOutcome {
    T* rest; // OUT [groups][rest_stride], lowest bound of the other centers of so many panels
    std::size_t group_panels, rest_stride; // the latter at least the rows
    std::int32_t* num_candidates;          // IN OUT [rows + 1]
    // capacity: at least the centers of the panels, and 16 that may be written but mean nothing
    std::int32_t* candidates; // OUT [rows + 1][capacity], places from panel `origin` on
    T* bounds;                // OUT [rows + 1][capacity], their bounds
    std::size_t capacity;
    std::size_t origin;
};

// A row t, or a center w, on the leading axes only, as far as a level goes: coordinates y = B t
// with rows of B that are orthonormal but for rounding. What lies beyond is known by its length.
template <class T>
struct AxesFacts {
    // y ~ scale q; upper bounds of |B t|, of |B t - scale q|, and of t beyond the axes
    T scale, norm, error, tail;
};

template <class T>
struct CentersOnAxes {
    FilterCenters<T> centers; // `dimensions` axes; norms are those of whole centers
    std::size_t panel_stride; // of bytes: panels may have more axes than the level
    const T* tails;           // [num_panels * width], -2 |w beyond the axes|, rounded down
};

// Where the axes of a level end, and what the coordinates are known by.
template <class T>
struct AxesLevels {
    static constexpr std::size_t most = 8;
    std::size_t count = 0;
    std::size_t ends[most] = {}; // ascending multiples of 16
    T rounding = 0;              // |computed B t - B t| is at most this times |t|
    bool same_ends(const AxesLevels& other) const {
        bool same = count == other.count;
        for (std::size_t level = 0; same && level < count; ++level)
            same = ends[level] == other.ends[level];
        return same;
    }
    T leak = 0; // |t|^2 - |B t|^2 is at least -leak |t|^2: B is not quite orthonormal
};

template <class T>
struct AxesKernels {
    static constexpr std::size_t most_rows = 16; // so many there are, asked for or not

    // coordinates: OUT [count, or most_rows][stride], of rows [count][row_stride] along axes
    // panels: IN [num_panels][dimensions][width]
    void (*project)(const T* panels, std::size_t num_panels, std::size_t dimensions, const T* rows,
                    std::size_t row_stride, std::size_t count, T* coordinates, std::size_t stride);
    // Coordinates of one row to bytes. norm: an upper bound of its length
    // values: OUT [last end]; facts: OUT one for each level, `stride` apart
    void (*quantize)(const T* coordinates, const AxesLevels<T>& levels, T norm,
                     std::uint8_t* values, AxesFacts<T>* facts, std::size_t stride);
    // lowest: OUT [count], for each listed row the lowest bound of the score of a center of the
    // panel
    void (*lowest)(const CentersOnAxes<T>& centers, std::size_t panel, const std::uint16_t* listed,
                   std::size_t count, const std::uint8_t* values, std::size_t stride,
                   const AxesFacts<T>* facts, T* lowest);
};

// How rows and centers are laid out for products in floats or in bytes.
template <class T>
struct FilterLayout {
    std::size_t width;       // centers in a panel
    std::size_t value_bytes; // 1: bytes
    // Of bytes: rows are q + middle_byte and centers q', q and q' of at most largest_byte in size.
    std::int32_t largest_byte, middle_byte;
    std::size_t (*row_stride)(std::size_t dimensions);
    std::size_t (*panel_stride)(std::size_t dimensions);

    // values: OUT [row_stride(dimensions)]; scratch: [dimensions + 16]
    void (*prepare)(const T* row, std::size_t dimensions, const T* shift, T* scratch, void* values,
                    RowFacts<T>* facts);
};

template <class T>
struct FilterKernels : FilterLayout<T> {
    // Runs the listed rows of a block against the panels [first_panel, last_panel).
    void (*run)(const FilterCenters<T>& centers, std::size_t first_panel, std::size_t last_panel,
                const std::uint16_t* listed, std::size_t count, const FilterRows<T>& rows,
                const FilterOutcome<T>& out);

    // lower: OUT [rows] codes, `stride` apart, of the root of rest + offset, for the listed rows
    void (*store_bounds)(const std::uint16_t* listed, std::size_t count, const T* rest,
                         const T* offsets, float drift, std::uint32_t offset, std::uint16_t* lower,
                         std::size_t stride);

    const AxesKernels<T>* axes; // null: not for these products
};

// For a panel of candidates in k-means++.
template <class T>
struct CandidateKernels : FilterLayout<T> {
    // Bit c of masks[i] is 0 where the bound of row i to candidate c of the panel is above its
    // threshold. rows: IN [count][stride], as `prepare` wrote them; masks: OUT [count]
    void (*run)(const FilterCenters<T>& candidates, std::size_t panel, const void* rows,
                std::size_t stride, const RowFacts<T>* facts, const T* thresholds,
                std::size_t count, std::uint16_t* masks);

    // The other way round: points are in panels and candidates are rows. masks: OUT
    // [last_panel - first_panel][count], a bit for each point of the panel
    void (*run_panels)(const FilterCenters<T>& points, std::size_t first_panel,
                       std::size_t last_panel, const void* candidates, std::size_t stride,
                       const RowFacts<T>* facts, const T* thresholds, std::size_t count,
                       std::uint16_t* masks);
};

// The box of a node of the grid is cut into this many at once: 16 x 1, 4 x 4 or 2 x 2 x 2.
constexpr std::size_t boxes_together(std::size_t dimensions) { return dimensions == 3 ? 8 : 16; }
// Relative to the squares that are compared: some 200 roundings of float64.
constexpr double box_rounding = 4e-14;
constexpr double box_underflow = 1e-290; // smaller squares may have lost their digits

// A table over a box of at most three dimensions: which centers can be nearest in a cell.
template <class T>
struct CenterGrid {
    std::size_t num_centers;
    std::size_t dimensions;
    std::int32_t cells_across;   // in each dimension
    T low[3], cells_per_unit[3]; // place of a point in units of cells, before it is rounded down
    T middle[3], reach[3];       // points farther than `reach` from `middle` are outside
    const std::int32_t* table; // [cells_across^dimensions + 1], a center, or ~(2 * start of a list
                               // + (more than four))
    const std::int32_t* lists; // each: how many fours, then the centers, ascending, and in the
                               // places that are left `num_centers`
    const double* centers;     // [num_centers + 1][4], zeros behind; the last at infinity
    double closer;             // relative: a gap that float64 distances can be trusted in
};

// Shapes that a kernel pays for: so many dimensions and centers, and enough that each center saves,
// `aside` dimensions being lost, for what a row takes besides. Measured.
struct PaysFrom {
    std::size_t dimensions, centers, aside = 0, fixed = 0, each = 0;

    bool holds(std::size_t d, std::size_t k) const {
        return d >= dimensions && k >= centers && k * d >= fixed + each * d + k * aside;
    }
};

// Where products of bytes beat a plain pass.
struct BytesPay {
    // From so many dimensions on bounds are used from the first call on (with more than 256 centers
    // earlier, see choose_search.h).
    std::size_t at_once = 32;
    PaysFrom alone = {.dimensions = 32, .centers = 256, .aside = 0, .fixed = 24576};
    // Where bounds leave little to search: of many centers, or of few in many dimensions.
    PaysFrom with_bounds = {.dimensions = 32, .centers = 128, .aside = 0, .fixed = 8192};
    PaysFrom with_few = {.dimensions = 192, .centers = 4, .aside = 128, .fixed = 4096};
};

// Random, and drawn anew in each process: see fingerprint.h.
struct FingerprintKeys {
    static constexpr std::size_t words = 1024; // of a chunk
    std::uint32_t products[words + 16];
    std::uint64_t powers; // below 2^61 - 1
};

// An unsigned integer of the size of T: the bits of a float.
template <class T>
struct BitsOfFloat;
template <>
struct BitsOfFloat<float> {
    using Word = std::uint32_t;
};
template <>
struct BitsOfFloat<double> {
    using Word = std::uint64_t;
};
template <class T>
using BitsOf = typename BitsOfFloat<T>::Word;

// Bounds of the values of short rows are repeated for so many rows: at least 256 values, and whole
// registers.
constexpr std::size_t short_row = 16;
constexpr std::size_t rows_of_bounds(std::size_t dimensions) {
    return dimensions <= short_row ? 16 * ((15 + dimensions) / dimensions) : 1;
}

// The unit of a first limb is so many bits above that of the second.
constexpr int limb_distance = 50;

// Sums in fixed point, as sums/sum_window.h has it.
struct FixedSums {
    std::int64_t* digits;  // [num_centers][dimensions], and `second` elements behind, those of the
                           // second limbs
    const double* anchors; // [dimensions], and [dimensions] of the second limbs
    std::size_t second;    // 0: there are no second limbs
    // [num_centers], counts the rows that are added; null for `add_eights` alone
    std::int32_t* num_rows = nullptr;
};

// What products were rounded by is zero, or goes to the second limbs of the products, or to sums of
// its own.
enum class Rests { none, second_limb, own_sums };

// Where rows times their weights are added, in two limbs.
struct WeightedTarget {
    Rests where;
    FixedSums products, rests; // with num_rows; the second only for own_sums
    FixedSums weights;         // [num_centers], with num_rows; digits null: not asked for
    // Bounds of the products and the rests of each column, bits of floats without a sign.
    const std::uint64_t *least, *most, *least_rest, *most_rest; // [dimensions]
    std::uint64_t least_weight, most_weight;
};

// What is known of products.
struct Weighed {
    bool any_rest; // that is not zero
    bool finite;   // all products are
};

// Up to how many dimensions points in lanes are no slower than panels: of any number of centers,
// where padding fills an eighth of the panels, and where it fills half. Measured.
struct LanesPay {
    std::size_t always, padded, half = padded;
};

// What a level chooses for its registers.
struct TileSizes {
    int rows, vectors; // of a tile: points, and registers of centers
    int lane_vectors;  // registers of points in the points-in-lanes kernel
    LanesPay lanes_pay = {.always = 16, .padded = 80};
};

template <class T>
struct BlockKernels {
    std::size_t panel_width;        // centers in a panel
    std::size_t narrow_panel_width; // centers in a panel of the distance kernel for few centers

    // Scratch in elements of T that the two arg-min kernels need for a block of `rows`.
    std::size_t (*panels_scratch)(std::size_t rows, std::size_t dimensions);
    std::size_t (*lanes_scratch)(std::size_t dimensions);

    // to: OUT [dimensions], `distance` elements apart, -2 (center - shift).
    // Returns |center - shift|^2 in float64.
    double (*pack_center)(const T* center, const T* shift, std::size_t dimensions, T* to,
                          std::size_t distance);

    // rows: IN [count] rows, `stride` elements apart
    void (*assign_panels)(const T* rows, std::ptrdiff_t stride, std::size_t count,
                          const PackedCenters<T>& centers, T* scratch, BlockResult<T> out);
    void (*assign_lanes)(const T* rows, std::ptrdiff_t stride, std::size_t count,
                         const PackedCenters<T>& centers, T* scratch, BlockResult<T> out);

    // scratch: [3 * count + 32]. Returns how many rows float64 distances leave open, NaN and
    // infinity among them: they are the first elements of scratch, and have the table's entry
    // (which is a list) for an index.
    std::size_t (*assign_grid)(const T* rows, std::ptrdiff_t stride, std::size_t count,
                               const CenterGrid<T>& grid, std::int32_t* scratch,
                               std::int32_t* cluster_index);

    // Which of the candidates can be nearest in each of boxes_together(dimensions) boxes.
    // centers: IN [num_centers][4]; candidates: IN [count]; middle, half: IN [dimensions][boxes]
    // kept: OUT [boxes][count], of which the first num_kept[box] hold
    void (*filter_boxes)(const double* centers, const std::int32_t* candidates, std::size_t count,
                         std::size_t dimensions, const double* middle, const double* half,
                         std::int32_t* kept, std::size_t* num_kept);

    // scores: OUT [num_panels * panel_width], |c|^2 - 2xc of one row, in the shifted frame
    void (*score_row)(const T* row, const PackedCenters<T>& centers, T* shifted, T* scores);

    // sum_j (x_j - c_j)^2 in float64, eight running sums in a fixed order: equal on every level
    double (*squared_distance)(const T* row, const T* center, std::size_t dimensions);

    // Squared distance of each row to its own center, and its share of the update.
    // cluster_index: IN [count]; sums: += the rows, which fit them, or null; with num_rows
    // distances: OUT [count]
    void (*update_rows)(const T* rows, std::ptrdiff_t stride, std::size_t count,
                        const std::int32_t* cluster_index, const T* centers, std::size_t dimensions,
                        const FixedSums* sums, double* distances);

    // distances: OUT [count][distance_stride], sum_j (x_j - c_j)^2 in T
    // panels: IN [num_panels][dimensions][width] plain centers, width = narrow ? narrow : wide
    void (*distance_block)(const T* rows, std::ptrdiff_t stride, std::size_t count, const T* panels,
                           std::size_t num_centers, std::size_t dimensions, bool narrow,
                           T* distances, std::ptrdiff_t distance_stride);

    // out: OUT [count][dimensions], rows [first, first + count) as T, normalised if asked
    void (*convert_rows)(const DenseRows& points, std::size_t first, std::size_t count, T* out);

    // Adds each row, which fits, to the sums of its center, and counts it.
    // sums: with num_rows
    void (*add_rows)(const T* rows, std::ptrdiff_t stride, std::size_t count,
                     const std::int32_t* cluster_index, std::size_t dimensions,
                     const FixedSums& sums);

    // Adds rows times their weights to the sums of their centers, and counts them. Returns how
    // many: those before the first one that does not fit. weights: IN [count]
    std::size_t (*add_weighted_rows)(const T* rows, std::ptrdiff_t stride, std::size_t count,
                                     const std::int32_t* cluster_index, std::size_t dimensions,
                                     const double* weights, const WeightedTarget& to);

    // products, rests: OUT [count][dimensions], whose sums are the rows times their weights
    // weights: IN [count]
    Weighed (*weigh_rows)(const T* rows, std::ptrdiff_t stride, std::size_t count,
                          std::size_t dimensions, const double* weights, double* products,
                          double* rests);

    // Adds values, eight side by side in the columns of [8] sums in two limbs, unless one of them
    // is neither 0 nor between the bounds of these columns. Returns whether all were added.
    bool (*add_eights)(const double* values, std::size_t eights, const BitsOf<double>* least,
                       const BitsOf<double>* most, const FixedSums& sums);

    // to: OUT [count], the digits without the anchors of so many rows; may be `digits`
    void (*take_off_anchors)(const std::int64_t* digits, const double* anchors, std::size_t count,
                             std::int32_t rows, std::int64_t* to);
    // low, high: OUT [count], the words of first * 2^limb_distance + second
    void (*join_limbs)(const std::int64_t* first, const std::int64_t* second, std::size_t count,
                       std::int64_t* low, std::int64_t* high);
    // sums: OUT [count], integers times powers of two, rounded once; of two words only where they
    // are below 2^102. Returns whether all are.
    void (*round_sums)(const std::int64_t* low, const double* powers, std::size_t count,
                       double* sums);
    bool (*round_wide_sums)(const std::int64_t* low, const std::int64_t* high, const double* powers,
                            std::size_t count, double* sums);
    // moved: OUT [dimensions], a center after a mini-batch; see move_center.h
    void (*move_center)(const T* center, const double* sums, double count, double total,
                        std::size_t dimensions, T* moved);

    // Which rows hold a value that is neither 0 nor between the bounds of its column.
    // least, most: IN [dimensions], bits of floats without a sign; of short rows repeated for
    // rows_of_bounds(dimensions) rows; outside: OUT [count], written where there is one.
    // Returns whether there is.
    bool (*rows_outside)(const T* rows, std::ptrdiff_t stride, std::size_t count,
                         std::size_t dimensions, const BitsOf<T>* least, const BitsOf<T>* most,
                         unsigned char* outside);

    // most: IN OUT [dimensions], the largest bits without a sign so far in each column
    void (*largest_bits)(const T* rows, std::ptrdiff_t stride, std::size_t count,
                         std::size_t dimensions, BitsOf<T>* most);

    // A fingerprint of the rows: equal for equal bits, and all but never for others
    std::uint64_t (*fingerprint)(const T* rows, std::ptrdiff_t stride, std::size_t count,
                                 std::size_t dimensions, const FingerprintKeys& keys);

    // Bit g is 0 where decoded(lower[g]) - drift[g] > reach; `groups` a multiple of 4
    std::uint64_t (*groups_within)(const std::uint16_t* lower, const float* drift,
                                   std::size_t groups, std::uint32_t offset, float reach);

    // The rows, of at most three columns, that one of the centers is nearer to than `closest`.
    // columns: IN [dimensions][column_stride], of which [count] are looked at; centers: IN
    // [num_centers][dimensions]; closest: IN [count]; rows: OUT [count]. Returns how many.
    std::size_t (*nearer_rows)(const T* columns, std::size_t column_stride, std::size_t count,
                               const double* centers, std::size_t num_centers,
                               std::size_t dimensions, const double* closest, std::uint32_t* rows);

    FilterKernels<T> filter;
    CandidateKernels<T> candidates;
    // Null where the instruction set has no products of bytes that gain anything.
    const FilterKernels<T>* byte_filter;
    const CandidateKernels<T>* byte_candidates;
    BytesPay bytes_pay;
    LanesPay lanes_pay;
    const WordKernels<T>* words; // null: they are no faster
    PaysFrom words_pay;

    // scores: OUT [padded], sum over the row's non-zeros of value * transposed[column][:]
    // transposed: IN [dimensions][padded], padded a multiple of panel_width
    void (*sparse_products)(const T* values, const std::int64_t* columns, std::size_t count,
                            const T* transposed, std::size_t padded, T* products);
};

struct InstructionSet {
    const char* name;
    bool (*supported)();
    const BlockKernels<float>* float32;
    const BlockKernels<double>* float64;
};

} // namespace centroids
