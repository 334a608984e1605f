// The only file that knows Python, with unlocked.h. Shapes and types are checked in
// centroids/kernels; what arrives here is trusted. The GIL is released in every kernel.
//
// Over 400 lines: all that Python sees stands here.
#include "isa/block_kernels.h"
#include "runtime/dispatch.h"
#include "runtime/float_mode.h"
#include "api/crc32c.h"
#include "api/join_columns.h"
#include "api/kmeans.h"
#include "api/mini_batch.h"
#include "api/row_weights.h"
#include "api/seeding.h"
#include "api/take_rows.h"
#include "runtime/thread_pool.h"
#include "sums/column_sums.h"
#include "api/unlocked.h"

#include <algorithm>
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

namespace nb = nanobind;
using namespace nb::literals;
using namespace centroids;

namespace {

// What surrounds each kernel.
struct KernelCall {
    Unlocked unlocked;
    FloatMode mode;
};

using AnyArray = nb::ndarray<nb::ro, nb::device::cpu>;
template <class T>
using In = nb::ndarray<const T, nb::c_contig, nb::device::cpu>;
template <class T>
using Out = nb::ndarray<T, nb::c_contig, nb::device::cpu>;

DenseRows dense_rows(const AnyArray& points, ElementType type, bool normalize) {
    return {points.data(),    type,     points.shape(0), points.shape(1), points.stride(0),
            points.stride(1), normalize};
}

template <class T>
Centers<T> make_centers(const In<T>& centers, const std::optional<In<double>>& penalties,
                        const std::optional<In<double>>& units) {
    return {centers.data(), centers.shape(0), penalties ? penalties->data() : nullptr,
            units ? units->data() : nullptr};
}

void bind_exact_total(nb::module_& m) {
    m.attr("LAST_BIT") = ExactTotal::last_bit;
    nb::class_<ExactTotal>(m, "ExactTotal")
        .def("rounded", [](const ExactTotal& self) { return self.rounded(); })
        // In units of the last bit, as int.from_bytes takes it.
        .def("to_bytes", [](ExactTotal self) {
            self.settle();
            std::uint32_t digits[ExactTotal::size + 1]; // the last has the sign
            for (std::size_t i = 0; i < ExactTotal::size; ++i)
                digits[i] = static_cast<std::uint32_t>(self.digits()[i]);
            digits[ExactTotal::size] =
                static_cast<std::uint32_t>(self.digits()[ExactTotal::size - 1] >> 32);
            return nb::bytes(reinterpret_cast<const char*>(digits), sizeof digits);
        });
}

void bind_exact_sums(nb::module_& m) {
    nb::class_<ExactSums>(m, "ExactSums")
        .def(nb::init<>())
        .def(
            "__init__",
            [](ExactSums* self, std::size_t num_clusters, std::size_t dimensions) {
                new (self) ExactSums(num_clusters, dimensions);
            },
            "num_clusters"_a, "dimensions"_a)
        .def_prop_ro("shape",
                     [](const ExactSums& self) {
                         return nb::make_tuple(self.num_clusters(), self.dimensions());
                     })
        .def("__add__",
             [](const ExactSums& self, const ExactSums& other) {
                 const KernelCall call;
                 ExactSums sum = self;
                 sum.add(other, false);
                 return sum;
             })
        .def("__sub__",
             [](const ExactSums& self, const ExactSums& other) {
                 const KernelCall call;
                 ExactSums difference = self;
                 difference.add(other, true);
                 return difference;
             })
        .def(
            "round",
            [](const ExactSums& self, Out<double> sums) {
                if (sums.size() != self.num_clusters() * self.dimensions())
                    throw nb::value_error("sums must have the shape of the exact sums");
                const KernelCall call;
                self.round(sums.data());
            },
            "sums"_a.noconvert())
        .def("__getstate__",
             [](const ExactSums& self) {
                 const std::string bytes = self.to_bytes();
                 return nb::bytes(bytes.data(), bytes.size());
             })
        .def("__setstate__", [](ExactSums& self, const nb::bytes& bytes) {
            new (&self) ExactSums(ExactSums::from_bytes({bytes.c_str(), bytes.size()}));
        });
}

// num_rows: that room was made for. Another thread may have given the matrix other arrays.
SparseRows sparse_rows(const AnyArray& values, const AnyArray& columns, const AnyArray& row_starts,
                       std::size_t num_rows, std::size_t dimensions, bool normalize) {
    if (row_starts.shape(0) != num_rows + 1) throw_changed();
    return {values.data(),     values.itemsize() == 4 ? ElementType::float32 : ElementType::float64,
            columns.data(),    columns.itemsize() == 8,
            row_starts.data(), row_starts.itemsize() == 8,
            num_rows,          std::min(values.shape(0), columns.shape(0)),
            dimensions,        normalize};
}

// Keeps the arrays alive.
struct WeightsOfArrays {
    Out<double> distances;
    std::optional<In<double>> given;
    RowWeights weights;
};

void bind_row_weights(nb::module_& m) {
    using Bound = WeightsOfArrays;
    m.attr("TOTAL_DIGITS") = WeightTotal::size;
    nb::class_<Bound>(m, "RowWeights")
        .def(
            "__init__",
            [](Bound* self, const Out<double>& distances, std::optional<In<double>> weights) {
                new (self) Bound{distances, weights,
                                 RowWeights(distances.shape(0), distances.data(),
                                            weights ? weights->data() : nullptr)};
            },
            "distances"_a.noconvert(), "weights"_a.noconvert().none())
        .def("add_up",
             [](Bound& self) {
                 const KernelCall call;
                 self.weights.add_up();
             })
        .def(
            "total",
            [](const Bound& self, Out<std::uint32_t> digits) {
                self.weights.total().store(digits.data());
            },
            "digits"_a.noconvert())
        .def(
            "find",
            [](const Bound& self, const In<std::uint32_t>& digits, Out<std::int64_t> rows) {
                std::vector<WeightTotal> targets;
                for (std::size_t at = 0; at < rows.shape(0); ++at)
                    targets.push_back(WeightTotal::from(digits.data() + at * WeightTotal::size));
                const KernelCall call;
                self.weights.find(targets.data(), targets.size(), rows.data());
            },
            "digits"_a.noconvert(), "rows"_a.noconvert());
}

// The inertia, and the sums too, rounded at once where they are asked for like that.
nb::object finished(ExactTotal& inertia, const ExactSums& sums, std::optional<Out<double>>& rounded,
                    bool finish) {
    if (!finish) return nb::cast(inertia);
    if (rounded) {
        const KernelCall call;
        sums.round(rounded->data());
    }
    return nb::float_(inertia.rounded());
}

void bind_add_weights(nb::module_& m) {
    m.def(
        "add_weights",
        [](const In<double>& weights, const In<std::int32_t>& labels, std::size_t num_clusters) {
            const KernelCall call;
            return add_weights(weights.data(), weights.shape(0), labels.data(), num_clusters);
        },
        "weights"_a.noconvert(), "labels"_a.noconvert(), "num_clusters"_a);
}

void bind_sum_columns(nb::module_& m) {
    m.def(
        "sum_columns",
        [](const AnyArray& points, ElementType type, std::optional<In<double>> weights) {
            ColumnSums sums(points.shape(1));
            std::int64_t bad_row;
            {
                const KernelCall call;
                bad_row = add_columns(dense_rows(points, type, false),
                                      weights ? weights->data() : nullptr, sums);
            }
            return nb::make_tuple(bad_row, sums.weights, sums.values, sums.squares);
        },
        "points"_a, "type"_a, "weights"_a.noconvert().none());
}

// Keeps the points alive.
template <class T>
struct SeedingOfArray {
    AnyArray points;
    Seeding<T> seeding;
};

template <class T>
void bind_seeding(nb::module_& m, const char* name) {
    using Bound = SeedingOfArray<T>;
    nb::class_<Bound>(m, name)
        .def(
            "__init__",
            [](Bound* self, const AnyArray& points, ElementType type, bool normalize) {
                const DenseRows rows = dense_rows(points, type, normalize);
                const KernelCall call;
                new (self) Bound{points, Seeding<T>(rows)};
            },
            "points"_a, "type"_a, "normalize"_a)
        .def(
            "start",
            [](Bound& self, const In<T>& center, WeightsOfArrays& weights) {
                const KernelCall call;
                return self.seeding.start(center.data(), weights.weights);
            },
            "center"_a.noconvert(), "weights"_a)
        .def(
            "propose",
            [](Bound& self, const In<T>& candidates, const WeightsOfArrays& weights,
               Out<std::uint32_t> digits) {
                const std::size_t count = candidates.shape(0);
                std::vector<WeightTotal> reductions(count);
                const KernelCall call;
                self.seeding.propose(candidates.data(), count, weights.weights, reductions.data());
                for (std::size_t c = 0; c < count; ++c)
                    reductions[c].store(digits.data() + c * WeightTotal::size);
            },
            "candidates"_a.noconvert(), "weights"_a, "digits"_a.noconvert())
        .def(
            "take",
            [](Bound& self, std::size_t candidate, WeightsOfArrays& weights) {
                const KernelCall call;
                self.seeding.take(candidate, weights.weights);
            },
            "candidate"_a, "weights"_a);
    m.def(
        "distances_to",
        [](const AnyArray& points, ElementType type, bool normalize, const In<T>& vectors,
           const In<std::int32_t>& labels, Out<double> distances) {
            const DenseRows rows = dense_rows(points, type, normalize);
            const KernelCall call;
            distances_to<T>(rows, vectors.data(), vectors.shape(0), labels.data(),
                            distances.data());
        },
        "points"_a, "type"_a, "normalize"_a, "vectors"_a.noconvert(), "labels"_a.noconvert(),
        "distances"_a.noconvert());
    m.def(
        "accept_draws",
        [](const In<T>& drawn, bool normalize, const In<double>& distances,
           const In<double>& shares, std::size_t most, Out<std::int64_t> kept) {
            const KernelCall call;
            return accept_draws<T>(drawn.data(), drawn.shape(0), drawn.shape(1), normalize,
                                   distances.data(), shares.data(), most, kept.data());
        },
        "drawn"_a.noconvert(), "normalize"_a, "distances"_a.noconvert(), "shares"_a.noconvert(),
        "most"_a, "kept"_a.noconvert());
}

template <class T>
void bind_dense(nb::module_& m) {
    m.def(
        "assign",
        [](const AnyArray& points, ElementType type, bool normalize, const In<T>& centers,
           std::optional<In<double>> penalties, std::optional<In<double>> units,
           std::optional<Out<std::int32_t>> cluster_index, ExactSums* sums,
           std::optional<Out<double>> rounded, std::optional<Out<std::int64_t>> counts,
           bool with_inertia, bool finish, Search search, std::size_t block_rows,
           AssignmentMemory* memory, bool same_points, std::optional<In<double>> weights,
           ExactSums* weight_sums) {
            const DenseRows rows = dense_rows(points, type, normalize);
            const Centers<T> given = make_centers<T>(centers, penalties, units);
            ExactTotal inertia;
            ExactSums own;
            const Update update{rounded ? &own : sums, counts ? counts->data() : nullptr,
                                with_inertia ? &inertia : nullptr,
                                weights ? weights->data() : nullptr, weight_sums};
            Report report{};
            std::int64_t bad_row;
            {
                const KernelCall call;
                bad_row =
                    assign<T>(rows, given, cluster_index ? cluster_index->data() : nullptr, update,
                              Tuning{search, block_rows}, memory, same_points, &report);
            }
            return nb::make_tuple(bad_row, finished(inertia, own, rounded, finish), report.search,
                                  report.with_bounds, report.rows, report.questioned, report.panels,
                                  report.compared, report.followed, report.read);
        },
        "points"_a, "type"_a, "normalize"_a, "centers"_a.noconvert(), "penalties"_a.none(),
        "units"_a.none(), "cluster_index"_a.none(), "sums"_a.none(), "rounded"_a.none(),
        "counts"_a.none(), "inertia"_a, "finish"_a, "search"_a, "block_rows"_a, "memory"_a.none(),
        "same_points"_a, "weights"_a.noconvert().none(), "weight_sums"_a.none());
    m.def(
        "all_distances",
        [](const AnyArray& points, ElementType type, bool normalize, const In<T>& centers,
           std::optional<In<double>> penalties, std::optional<In<double>> units, Out<T> distances) {
            const DenseRows rows = dense_rows(points, type, normalize);
            const Centers<T> given = make_centers<T>(centers, penalties, units);
            const KernelCall call;
            return all_distances<T>(rows, given, distances.data());
        },
        "points"_a, "type"_a, "normalize"_a, "centers"_a.noconvert(), "penalties"_a.none(),
        "units"_a.none(), "distances"_a.noconvert());
}

using BatchAndType = std::pair<AnyArray, ElementType>;

template <class T>
void bind_mini_batch(nb::module_& m) {
    m.def(
        "move_centers",
        [](const In<T>& centers, const In<double>& sums, const In<double>& counts,
           const In<double>& totals, Out<T> moved) {
            const KernelCall call;
            move_centers<T>(centers.data(), sums.data(), counts.data(), totals.data(),
                            centers.shape(0), centers.shape(1), moved.data());
        },
        "centers"_a.noconvert(), "sums"_a.noconvert(), "counts"_a.noconvert(),
        "totals"_a.noconvert(), "moved"_a.noconvert());
    m.def(
        "mini_batch_steps",
        [](const std::vector<BatchAndType>& batches, Out<T> centers, Out<std::int64_t> counts,
           Out<double> losses) {
            std::vector<DenseRows> rows;
            for (const auto& [points, type] : batches)
                rows.push_back(dense_rows(points, type, false));
            const KernelCall call;
            return mini_batch_steps<T>(rows, centers.data(), counts.data(), centers.shape(0),
                                       losses.data());
        },
        "batches"_a, "centers"_a.noconvert(), "counts"_a.noconvert(), "losses"_a.noconvert());
}

void bind_take_rows(nb::module_& m) {
    m.def(
        "take_rows",
        [](const In<unsigned char>& points, const In<std::int64_t>& rows,
           Out<unsigned char> taken) {
            const KernelCall call;
            take_rows(points.data(), points.shape(1), rows.data(), rows.size(), taken.data());
        },
        "points"_a.noconvert(), "rows"_a.noconvert(), "taken"_a.noconvert());
}

// Elements of any type, by their size.
template <class T>
void bind_join_columns(nb::module_& m) {
    m.def(
        "join_columns",
        [](Out<T> rows, const std::vector<In<T>>& columns) {
            std::vector<const T*> starts;
            for (const In<T>& column : columns) starts.push_back(column.data());
            const KernelCall call;
            join_columns(starts.data(), starts.size(), rows.shape(0), rows.data());
        },
        "rows"_a.noconvert(), "columns"_a.noconvert());
}

template <class T>
void bind_sparse(nb::module_& m) {
    m.def(
        "assign_sparse",
        [](const AnyArray& values, const AnyArray& columns, const AnyArray& row_starts,
           bool normalize, const In<T>& centers, std::optional<In<double>> penalties,
           std::optional<In<double>> units, Out<std::int32_t> cluster_index, ExactSums* sums,
           std::optional<Out<double>> rounded, std::optional<Out<std::int64_t>> counts, bool finish,
           std::optional<In<double>> weights, ExactSums* weight_sums) {
            const SparseRows rows = sparse_rows(values, columns, row_starts, cluster_index.shape(0),
                                                centers.shape(1), normalize);
            const Centers<T> given = make_centers<T>(centers, penalties, units);
            ExactTotal inertia;
            ExactSums own;
            std::int64_t bad_row;
            {
                const KernelCall call;
                bad_row =
                    assign_sparse<T>(rows, given, cluster_index.data(),
                                     {rounded ? &own : sums, counts ? counts->data() : nullptr,
                                      &inertia, weights ? weights->data() : nullptr, weight_sums});
            }
            return nb::make_tuple(bad_row, finished(inertia, own, rounded, finish));
        },
        "values"_a, "columns"_a, "row_starts"_a, "normalize"_a, "centers"_a.noconvert(),
        "penalties"_a.none(), "units"_a.none(), "cluster_index"_a.noconvert(), "sums"_a.none(),
        "rounded"_a.none(), "counts"_a.none(), "finish"_a, "weights"_a.noconvert().none(),
        "weight_sums"_a.none());
    m.def(
        "all_distances_sparse",
        [](const AnyArray& values, const AnyArray& columns, const AnyArray& row_starts,
           bool normalize, const In<T>& centers, std::optional<In<double>> penalties,
           std::optional<In<double>> units, Out<T> distances) {
            const SparseRows rows = sparse_rows(values, columns, row_starts, distances.shape(0),
                                                centers.shape(1), normalize);
            const Centers<T> given = make_centers<T>(centers, penalties, units);
            const KernelCall call;
            return all_distances_sparse<T>(rows, given, distances.data());
        },
        "values"_a, "columns"_a, "row_starts"_a, "normalize"_a, "centers"_a.noconvert(),
        "penalties"_a.none(), "units"_a.none(), "distances"_a.noconvert());
}

// Python knows the values by these names.
void bind_enums(nb::module_& m) {
    nb::enum_<ElementType>(m, "ElementType")
        .value("float32", ElementType::float32)
        .value("float64", ElementType::float64)
        .value("float16", ElementType::float16)
        .value("bfloat16", ElementType::bfloat16)
        .value("int8", ElementType::int8)
        .value("uint8", ElementType::uint8)
        .value("int16", ElementType::int16)
        .value("uint16", ElementType::uint16)
        .value("int32", ElementType::int32)
        .value("uint32", ElementType::uint32)
        .value("int64", ElementType::int64)
        .value("uint64", ElementType::uint64);
    nb::enum_<Search>(m, "Search")
        .value("automatic", Search::automatic)
        .value("panels", Search::panels)
        .value("lanes", Search::lanes)
        .value("words", Search::words)
        .value("grid", Search::grid)
        .value("float_filter", Search::float_filter)
        .value("byte_filter", Search::byte_filter)
        .value("axes_filter", Search::axes_filter);
}

} // namespace

NB_MODULE(_native, m) {
    bind_enums(m);
    nb::class_<AssignmentMemory>(m, "AssignmentMemory").def(nb::init<>());
    bind_exact_total(m);
    bind_exact_sums(m);
    bind_dense<float>(m);
    bind_dense<double>(m);
    bind_mini_batch<float>(m);
    bind_mini_batch<double>(m);
    bind_take_rows(m);
    bind_join_columns<std::uint16_t>(m);
    bind_join_columns<std::uint32_t>(m);
    bind_join_columns<std::uint64_t>(m);
    bind_sparse<float>(m);
    bind_sparse<double>(m);
    bind_row_weights(m);
    bind_add_weights(m);
    bind_sum_columns(m);
    bind_seeding<float>(m, "SeedingFloat32");
    bind_seeding<double>(m, "SeedingFloat64");
    m.def(
        "find_nonfinite",
        [](const AnyArray& points,
           ElementType type) -> std::optional<std::pair<std::int64_t, std::int64_t>> {
            const DenseRows rows = dense_rows(points, type, false);
            std::int64_t row = -1, column = -1;
            const KernelCall call;
            if (!find_nonfinite(rows, &row, &column)) return std::nullopt;
            return std::pair{row, column};
        },
        "points"_a, "type"_a);
    m.def(
        "crc32c",
        [](const In<unsigned char>& data) {
            const Unlocked unlocked;
            return crc32c(0, data.data(), data.size());
        },
        "data"_a.noconvert());
    m.def("compiled_levels", &compiled_levels);
    m.def("supported_levels", &supported_levels);
    m.def("current_level", [] { return std::string(current_level().name); });
    m.def("set_level", &set_level, "name"_a);
    m.def("fingerprint_keys", [] {
        const FingerprintKeys& keys = fingerprint_keys();
        std::vector<std::uint64_t> all(std::begin(keys.products), std::end(keys.products));
        all.push_back(keys.powers);
        return all;
    });
    m.def("enter_float_mode", &FloatMode::enter);
    m.def("leave_float_mode", &FloatMode::leave, "before"_a);
    m.def("num_threads", &num_threads);
    m.def("default_num_threads", &default_num_threads, "root"_a = "");
    m.def("set_num_threads", &set_num_threads, "count"_a);
}
