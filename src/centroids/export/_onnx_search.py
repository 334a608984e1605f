"""The graph of an ONNX file: from points to the nearest centers and the distances to all."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.export._onnx_emitter import OnnxEmitter
from centroids.export._onnx_graph import OnnxGraph
from centroids.export._shift import shift_of
from centroids.export.graph import cast, placeholder
from centroids.export.nearest import SURE, all_distances
from centroids.export.operations import arg_min
from centroids.export.preparation import prepare
from centroids.kernels.normalization import l2_normalize
from centroids.kernels.preparation import Preparation


def add_preparation(graph: OnnxGraph, centers: NDArray[Any], preparation: Preparation) -> str:
    """Adds what is done to `points` before they are compared; returns the name of the result."""
    given = placeholder(centers.dtype, (None, centers.shape[1]))
    emitter = OnnxEmitter(graph, {given: "points"}, "prepared")
    return emitter.add(prepare(given, preparation))[0]


def add_nearest(
    graph: OnnxGraph, points: str, centers: NDArray[Any], *, cosine: bool, with_distances: bool
) -> None:
    """Adds what leads from points, by their name, to the outputs.

    Products find the nearest center. The few points for which they prove too little are then
    answered by the expression that a SavedModel has for all points.

    Unit vectors are of float64, whatever the type of the points and of the products: far from the
    origin they are so near each other that no other type can tell them apart.
    """
    search: _Search
    if cosine:
        units = l2_normalize(centers)
        search = _CosineSearch(graph, _add_normalization(graph, points), units, centers.dtype)
    else:
        work = graph.cast(points, graph.work, "work_points")
        search = _Search(graph, work, graph.work, centers)
    search.find()
    answers = {"cluster_index": search.nearest}
    if with_distances:
        distances = search.distances()
        answers["all_distances"] = graph.cast(distances, centers.dtype, "quick_distances")
    unsure = search.unsure(with_distances=with_distances)
    if unsure is not None:
        answers = _answered_again(graph, points, unsure, answers, centers, cosine)
    for name, answer in answers.items():
        graph.node("Identity", answer, name=name)


def _answered_again(
    graph: OnnxGraph,
    points: str,
    unsure: str,
    answers: dict[str, str],
    centers: NDArray[Any],
    cosine: bool,
) -> dict[str, str]:
    """The outputs, with those of unsure points as `centroids.export.nearest` gives them."""
    row_and_column = graph.node("NonZero", unsure, name="unsure_places")
    first = graph.constant("first_row", 0, np.int64)
    rows = graph.node("Gather", row_and_column, first, name="unsure_rows", axis=0)
    given = placeholder(centers.dtype, (None, centers.shape[1]))
    exact = all_distances(given, centers, cosine=cosine)
    unsure_points = graph.node("Gather", points, rows, name="unsure_points", axis=0)
    emitter = OnnxEmitter(graph, {given: unsure_points}, "exact")
    index, distances = emitter.add(arg_min(exact), cast(exact, centers.dtype))
    column = graph.constant("as_column", [-1, 1], np.int64)
    places = graph.node("Reshape", rows, column, name="unsure_rows_as_places")
    known = {"cluster_index": index, "all_distances": distances}
    return {
        name: graph.node("ScatterND", answer, places, known[name], name=f"exact_{name}")
        for name, answer in answers.items()
    }


def _add_normalization(graph: OnnxGraph, rows: str) -> str:
    """Points divided by their norms, [n, d] float64, where zero rows stay zero."""

    def number(name: str, value: float) -> str:
        return graph.constant(name, value, np.float64)

    points = graph.cast(rows, np.float64, "wide_points")
    # Squares of float64 can overflow or vanish. A power of two changes no other bit.
    sizes = graph.node("Abs", points, name="sizes")
    largest = graph.node("ReduceMax", sizes, name="largest", axes=[1], keepdims=1)
    huge = graph.node("Greater", largest, number("huge", 2.0**400), name="is_huge")
    tiny = graph.node("Less", largest, number("tiny", 2.0**-400), name="is_tiny")
    one = number("one", 1.0)
    up = graph.node("Where", tiny, number("up", 2.0**600), one, name="up_or_one")
    factor = graph.node("Where", huge, number("down", 2.0**-600), up, name="factor")
    scaled = graph.node("Mul", points, factor, name="scaled_points")
    squares = graph.node("ReduceSumSquare", scaled, name="scaled_squares", axes=[1], keepdims=1)
    zero_rows = graph.node("Equal", squares, number("zero", 0.0), name="zero_rows")
    positive = graph.node("Where", zero_rows, one, squares, name="positive_squares")
    norms = graph.node("Sqrt", positive, name="scaled_norms")
    return graph.node("Div", scaled, norms, name="unit_points")


class _Search:
    """The search for the nearest of the centers by the squared Euclidean distance.

    Args:
        graph: Where nodes are added.
        points: The name of [n, d].
        dtype: Their type, in which they are shifted.
        centers: [k, d].

    Attributes:
        nearest: The name of [n] int64, the index of the nearest center, the lowest on ties; after
            find().
    """

    def __init__(
        self, graph: OnnxGraph, points: str, dtype: np.dtype[Any], centers: NDArray[Any]
    ) -> None:
        self.nearest = self._point_norms = ""
        self._tie = 0.0
        self._graph = graph
        self._axis = graph.constant("axis_of_columns", [1], np.int64)
        self._values = centers
        self._shift = shift_of(centers).astype(dtype)
        # The file has the centers as they are; a runtime shifts them once, when it loads the file.
        name = graph.constant("clusters", centers, centers.dtype)
        wide = graph.cast(name, dtype, "wide_clusters")
        graph.constant("shift", self._shift, dtype)
        self._centers = self._add_shift(wide, dtype, "shifted_centers")
        self._points = self._add_shift(points, dtype, "shifted_points")
        self._scores, self._column, self._distance = "", "", ""

    def _add_shift(self, rows: str, dtype: np.dtype[Any], name: str) -> str:
        """Subtracts the shift in the type of the rows; then they may lose digits."""
        work = self._graph.work
        if work == dtype:
            return self._graph.node("Sub", rows, "shift", name=name)
        shifted = self._graph.node("Sub", rows, "shift", name=f"wide_{name}")
        return self._graph.cast(shifted, work, name)

    def find(self) -> None:
        """Adds the search."""
        graph = self._graph
        self._scores = self._add_scores()
        count = graph.constant("two_at_most", [min(2, len(self._values))], np.int64)
        names = ["lowest_scores", "lowest_columns"]
        graph.nodes("TopK", self._scores, count, names=names, axis=1, largest=0)
        self._column = self._add_column("lowest_columns", 0, "nearest_column")
        self.nearest = graph.node("Squeeze", self._column, self._axis, name="nearest")
        self._distance = self._add_distance(self._column)

    def _add_scores(self) -> str:
        """|c|^2 - 2xc, [n, k].

        The norms are one more dimension: that saves a pass over the scores, and not every runtime
        has a Gemm that adds.
        """
        graph = self._graph
        norms = self._norms()[:, np.newaxis]
        halves = graph.constant("minus_half_norms", norms / -2, graph.work)
        c = graph.node("Concat", self._centers, halves, name="centers_and_norms", axis=1)
        pads = graph.constant("one_column", [0, 0, 0, 1], np.int64)
        ones = graph.constant("of_ones", 1.0, graph.work)
        x = graph.node("Pad", self._points, pads, ones, name="points_and_one")
        return graph.node("Gemm", x, c, name="scores", alpha=-2.0, transB=1)

    def _add_column(self, values: str, column: int, name: str) -> str:
        """One column of a matrix, [n, 1]."""
        place = self._graph.shared_constant(f"place_{column}", np.array([column]))
        return self._graph.node("Gather", values, place, name=name, axis=1)

    def unsure(self, *, with_distances: bool) -> str | None:
        """Adds whether another center could be the nearest one, or is too near for products.

        Returns:
            The name of [n, 1] booleans; None if there is one center.
        """
        if len(self._values) == 1:
            return None
        graph, work = self._graph, self._graph.work

        def number(name: str, value: float) -> str:
            return graph.constant(name, value, work)

        first = self._add_column("lowest_scores", 0, "first_score")
        second = self._add_column("lowest_scores", 1, "second_score")
        largest = float(self._norms().max())
        sizes = graph.node(
            "Add", self._squares(), number("largest_norm", largest), name="square_sizes"
        )
        epsilon = float(np.finfo(work).eps)
        relative = 2 * (self._values.shape[1] + 6) * epsilon
        error = graph.node("Mul", sizes, number("twice_relative_error", 2 * relative), name="reach")
        limit = graph.node("Add", first, error, name="limit_by_error")
        if self._tie:
            base = graph.node("Add", first, self._squares(), name="first_distance")
            tied = graph.node("Mul", base, number("tie", self._tie), name="reach_of_ties")
            limit = graph.node("Add", limit, tied, name="limit")
        unsure = graph.node("LessOrEqual", second, limit, name="may_be_second")
        if not with_distances or work != np.float64:
            return unsure
        sure = graph.node("Mul", error, number("sure", SURE / 2), name="sure_distance")
        distance = graph.node("Add", second, self._squares(), name="second_distance")
        near = graph.node("Less", distance, sure, name="second_is_near")
        return graph.node("Or", unsure, near, name="unsure")

    def _squares(self) -> str:
        """The squares of the shifted points, [n, 1]."""
        if not self._point_norms:
            self._point_norms = self._graph.node(
                "ReduceSumSquare", self._points, name="point_norms", axes=[1], keepdims=1
            )
        return self._point_norms

    def _norms(self) -> NDArray[np.float64]:
        """The squares of the shifted centers, [k]."""
        dtype = self._shift.dtype
        shifted = (self._values.astype(dtype) - self._shift).astype(np.float64)
        return np.asarray(np.einsum("kd,kd->k", shifted, shifted))

    def _add_distance(self, column: str) -> str:
        """The distance to one center for each point, [n, 1]: here by differences."""
        graph = self._graph
        center = graph.node("Gather", self._centers, self.nearest, name=f"{column}_center")
        difference = graph.node("Sub", self._points, center, name=f"{column}_difference")
        return graph.node(
            "ReduceSumSquare", difference, name=f"{column}_squares", axes=[1], keepdims=1
        )

    def _distances_by_products(self) -> str:
        """The distances to all centers, [n, k], less exact than the one to the nearest."""
        return self._graph.node("Add", self._scores, self._squares(), name="distances_by_products")

    def distances(self) -> str:
        """Adds the distances to all centers, [n, k]: none is below the nearest one's."""
        graph = self._graph
        sums = self._distances_by_products()
        bounded = graph.node("Max", sums, self._distance, name="bounded_distances")
        names = (bounded, self._column, self._distance)
        return graph.node("ScatterElements", *names, name="distances", axis=1)


class _CosineSearch(_Search):
    """The search by 1 - xc, or |x - c|^2 / 2 where x and c are near each other.

    The first is exactly 1 at right angles, the second has digits where the first has none. A zero
    vector needs no rule of its own: its products are 0.

    Args:
        graph: Where nodes are added.
        points: The name of [n, d] float64, unit vectors.
        centers: [k, d] float64, unit vectors.
        rounded_to: The type in which distances are compared.
    """

    def __init__(
        self, graph: OnnxGraph, points: str, centers: NDArray[np.float64], rounded_to: np.dtype[Any]
    ) -> None:
        super().__init__(graph, points, np.dtype(np.float64), centers)
        self._tie = 4 * float(np.finfo(rounded_to).eps)
        self._one = graph.constant("unit", 1.0, graph.work)
        self._half = graph.constant("half", 0.5, graph.work)
        self._shifted = bool(self._shift.any())
        x, c = self._points, self._centers
        if self._shifted:
            x = graph.cast(points, graph.work, "work_points")
            c = graph.cast("wide_clusters", graph.work, "work_clusters")
        self._products = graph.node("Gemm", x, c, name="minus_cosines", alpha=-1.0, transB=1)

    def _add_scores(self) -> str:
        # Without a shift all norms are 1: equal products are equal scores.
        return super()._add_scores() if self._shifted else self._products

    def _norms(self) -> NDArray[np.float64]:
        # A zero center is at distance 1, which is a squared chord of 2.
        return np.asarray(super()._norms() + ~self._values.any(axis=1))

    def _add_distance(self, column: str) -> str:
        squares = super()._add_distance(column)
        product = self._graph.node(
            "GatherElements", self._products, column, name=f"{column}_product", axis=1
        )
        return self._by_angle(product, squares, f"{column}_distance")

    def _by_angle(self, products: str, squares: str, name: str) -> str:
        """1 - xc where xc is below 1/2, else half the square of the chord."""
        graph = self._graph
        by_product = graph.node("Add", products, self._one, name=f"{name}_by_product")
        by_chord = graph.node("Mul", squares, self._half, name=f"{name}_by_chord")
        far = graph.node("Greater", by_product, self._half, name=f"{name}_is_far")
        return graph.node("Where", far, by_product, by_chord, name=name)

    def _squares(self) -> str:
        if self._shifted:
            return super()._squares()
        # Scores are then -xc, and 1 - xc is half the square.
        return self._one

    def _distances_by_products(self) -> str:
        if not self._shifted:
            return self._graph.node("Add", self._products, self._one, name="one_minus_cosines")
        squares = super()._distances_by_products()
        return self._by_angle(self._products, squares, "cosine_distances")
