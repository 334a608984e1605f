"""The graph of an ONNX file: from points to the nearest centers and the distances to all."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.export.shift import shift_of
from centroids.kernels.functions import prepare_centers

# The oldest onnxruntime that it was tried with is 1.10 (December 2021). 1.6 reads this opset, but
# has no Where for float64. Newer opsets have nothing that the graph needs.
OPSET_VERSION = 13
IR_VERSION = 7
# How many of the lowest scores are compared again.
_CANDIDATES = 2


class OnnxGraph:
    """An ONNX graph that grows node by node; values are known by their names.

    Args:
        onnx: The package.
        work: The type that points and centers are multiplied in.
    """

    def __init__(self, onnx: Any, work: np.dtype[Any]) -> None:
        self.work = work
        self._onnx = onnx
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def node(self, operator: str, *inputs: str, name: str, **attributes: Any) -> str:
        """Adds a node with one output, and returns its name."""
        return self.nodes(operator, *inputs, names=[name], **attributes)[0]

    def nodes(self, operator: str, *inputs: str, names: list[str], **attributes: Any) -> list[str]:
        """Adds a node with several outputs, and returns their names."""
        make_node = self._onnx.helper.make_node
        name = f"{names[-1]}/node"
        self._nodes.append(make_node(operator, inputs, names, name=name, **attributes))
        return names

    def constant(self, name: str, value: Any, dtype: Any) -> str:
        """Adds a constant, and returns its name."""
        array = np.array(value, dtype, order="C")
        self._constants.append(self._onnx.numpy_helper.from_array(array, name))
        return name

    def cast(self, value: str, dtype: Any, name: str) -> str:
        """Adds a conversion, and returns the name of its output."""
        to = self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.node("Cast", value, name=name, to=to)

    def model(
        self, centers: NDArray[Any], metadata: dict[str, str], *, with_distances: bool
    ) -> Any:
        """The whole file, as a ModelProto."""
        helper = self._onnx.helper
        num_clusters, dimensions = centers.shape
        kind = helper.np_dtype_to_tensor_dtype(centers.dtype)
        index_kind = helper.np_dtype_to_tensor_dtype(np.dtype(np.int64))
        index = helper.make_tensor_value_info("cluster_index", index_kind, ["n"])
        distances = helper.make_tensor_value_info("all_distances", kind, ["n", num_clusters])
        graph = helper.make_graph(
            self._nodes,
            "KMeansClustering",
            [helper.make_tensor_value_info("points", kind, ["n", dimensions])],
            [index, distances] if with_distances else [index],
            initializer=self._constants,
        )
        model = helper.make_model(
            graph,
            producer_name="centroids",
            opset_imports=[helper.make_opsetid("", OPSET_VERSION)],
            ir_version=IR_VERSION,
        )
        helper.set_model_props(model, metadata)
        return model


def add_squared_euclidean(graph: OnnxGraph, centers: NDArray[Any], *, with_distances: bool) -> None:
    """Adds what leads from `points` to the outputs, for the squared Euclidean distance."""
    points = graph.cast("points", graph.work, "work_points")
    search = _Search(graph, points, centers, np.zeros(len(centers)))
    graph.node("Identity", search.nearest, name="cluster_index")
    if with_distances:
        graph.cast(search.squared_distances(), centers.dtype, "all_distances")


def add_cosine(graph: OnnxGraph, centers: NDArray[Any], *, with_distances: bool) -> None:
    """Adds what leads from `points` to the outputs, for 1 - cos: half the square of a chord."""
    unit_centers, penalties = prepare_centers(centers[:0], centers, cosine=True)
    if penalties is None:
        penalties = np.zeros(len(centers))
    unit_points, zero_rows = _add_normalization(graph, centers.dtype)
    search = _Search(graph, unit_points, unit_centers, penalties)
    column = graph.constant("column", [1], np.int64)
    zero_row = graph.node("Squeeze", zero_rows, column, name="is_zero_row")
    first = graph.constant("first_index", 0, np.int64)
    graph.node("Where", zero_row, first, search.nearest, name="cluster_index")
    if not with_distances:
        return
    half = graph.constant("half", 0.5, graph.work)
    halves = graph.node("Mul", search.squared_distances(), half, name="half_chords")
    # A zero vector, point or center, is at distance 1 from everything.
    zero_centers = graph.constant("zero_centers", penalties != 0, np.bool_)
    apart = graph.node("Or", zero_rows, zero_centers, name="directionless")
    unit = graph.constant("unit", 1.0, graph.work)
    distances = graph.node("Where", apart, unit, halves, name="cosine_distances")
    graph.cast(distances, centers.dtype, "all_distances")


def _add_normalization(graph: OnnxGraph, dtype: np.dtype[Any]) -> tuple[str, str]:
    """Points divided by their norms, and which of them are zero.

    Returns:
        The names of [n, d] in the type of the products, rounded to the type of the centers as our
        kernels round them, where zero rows stay zero; and of [n, 1] bool.
    """

    def number(name: str, value: float) -> str:
        return graph.constant(name, value, np.float64)

    points = graph.cast("points", np.float64, "wide_points")
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
    if dtype == np.float64:
        return graph.node("Div", scaled, norms, name="unit_points"), zero_rows
    if graph.work == dtype:
        exact = graph.node("Div", scaled, norms, name="exact_unit_points")
        return graph.cast(exact, dtype, "unit_points"), zero_rows
    # onnxruntime 1.15 leaves out two conversions in a row, as if they lost nothing: a change of
    # sign stands between them.
    minus_norms = graph.node("Neg", norms, name="minus_norms")
    minus_unit = graph.node("Div", scaled, minus_norms, name="minus_unit_points")
    rounded = graph.cast(minus_unit, dtype, "minus_rounded")
    unit = graph.node("Neg", rounded, name="rounded")
    return graph.cast(unit, np.float64, "unit_points"), zero_rows


class _Search:
    """The search for the nearest of the centers.

    Args:
        graph: Where nodes are added.
        points: The name of [n, d] in the type of the products.
        centers: [k, d].
        penalties: [k], added to the squared distances.

    Attributes:
        nearest: The name of [n] int64, the index of the nearest center, the lowest on ties.
    """

    def __init__(
        self,
        graph: OnnxGraph,
        points: str,
        centers: NDArray[Any],
        penalties: NDArray[np.float64],
    ) -> None:
        self._graph = graph
        self._axis = graph.constant("axis_of_columns", [1], np.int64)
        # Equal centers could take both places of those that are compared again.
        rows, self._copies = _different_rows(centers)
        shift = shift_of(centers).astype(graph.work)
        # The file has the centers as they are; a runtime shifts them once, when it loads the file.
        name = graph.constant("clusters", centers, centers.dtype)
        if len(rows) < len(centers):
            chosen = graph.constant("different_clusters", rows, np.int64)
            name = graph.node("Gather", name, chosen, name="searched_clusters")
        wide = graph.cast(name, graph.work, "work_clusters")
        graph.constant("shift", shift, graph.work)
        self._centers = graph.node("Sub", wide, "shift", name="shifted_centers")
        self._points = graph.node("Sub", points, "shift", name="shifted_points")
        self._penalties = penalties[rows]
        shifted = (centers[rows].astype(graph.work) - shift).astype(np.float64)
        norms = np.einsum("kd,kd->k", shifted, shifted) + self._penalties
        self._scores = self._add_scores(norms)
        self._column, self._distance = self._add_comparison()
        nearest = graph.node("Squeeze", self._column, self._axis, name="nearest_row")
        if len(rows) < len(centers):
            nearest = graph.node("Gather", "different_clusters", nearest, name="nearest")
        self.nearest = nearest

    def _add_scores(self, norms: NDArray[np.float64]) -> str:
        """|c|^2 - 2xc, [n, k].

        The norms are one more dimension: that saves a pass over the scores, and not every runtime
        has a Gemm that adds.
        """
        graph = self._graph
        halves = graph.constant("minus_half_norms", norms[:, np.newaxis] / -2, graph.work)
        c = graph.node("Concat", self._centers, halves, name="centers_and_norms", axis=1)
        pads = graph.constant("one_column", [0, 0, 0, 1], np.int64)
        ones = graph.constant("of_ones", 1.0, graph.work)
        x = graph.node("Pad", self._points, pads, ones, name="points_and_one")
        return graph.node("Gemm", x, c, name="scores", alpha=-2.0, transB=1)

    def _add_comparison(self) -> tuple[str, str]:
        """The nearest of the two centers of the lowest scores, [n, 1], and its distance, [n, 1]."""
        graph = self._graph
        if self._penalties.any():
            graph.constant("penalties", self._penalties, graph.work)
        count = graph.constant("two_at_most", [min(2, len(self._penalties))], np.int64)
        names = ["lowest_scores", "lowest"]
        graph.nodes("TopK", self._scores, count, names=names, axis=1, largest=0)
        # In the order of their indices: of two at one distance the lower index wins.
        lower = graph.node("ReduceMin", "lowest", name="lower", axes=[1], keepdims=1)
        upper = graph.node("ReduceMax", "lowest", name="upper", axes=[1], keepdims=1)
        one, other = self._add_difference(lower), self._add_difference(upper)
        closer = graph.node("Less", other, one, name="upper_is_closer")
        column = graph.node("Where", closer, upper, lower, name="nearest_column")
        return column, graph.node("Min", one, other, name="nearest_distance")

    def _add_difference(self, column: str) -> str:
        """The squared distance to one center for each point, by differences, [n, 1]."""
        graph = self._graph
        row = graph.node("Squeeze", column, self._axis, name=f"{column}_row")
        center = graph.node("Gather", self._centers, row, name=f"{column}_center")
        difference = graph.node("Sub", self._points, center, name=f"{column}_difference")
        squares = graph.node(
            "ReduceSumSquare", difference, name=f"{column}_squares", axes=[1], keepdims=1
        )
        if not self._penalties.any():
            return squares
        penalty = graph.node("Gather", "penalties", column, name=f"{column}_penalty")
        return graph.node("Add", squares, penalty, name=f"{column}_distance")

    def squared_distances(self) -> str:
        """Adds the squared distances to all centers, [n, k]: none is below the nearest one's."""
        graph = self._graph
        squares = graph.node(
            "ReduceSumSquare", self._points, name="point_norms", axes=[1], keepdims=1
        )
        sums = graph.node("Add", self._scores, squares, name="distances_by_products")
        bounded = graph.node("Max", sums, self._distance, name="bounded_distances")
        distances = graph.node(
            "ScatterElements",
            bounded,
            self._column,
            self._distance,
            name="squared_distances",
            axis=1,
        )
        if len(self._penalties) == len(self._copies):
            return distances
        copies = graph.constant("copies", self._copies, np.int64)
        return graph.node("Gather", distances, copies, name="distances_of_all", axis=1)


def _different_rows(centers: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The lowest index of each different center; and for each center, its place among these.

    >>> _different_rows(np.array([[1.0], [0.0], [1.0], [-0.0], [2.0]]))
    (array([0, 1, 4]), array([0, 1, 0, 1, 2]))
    """
    first: dict[bytes, int] = {}
    rows = [row.tobytes() for row in centers + 0]  # -0.0 becomes 0.0
    for index, row in enumerate(rows):
        first.setdefault(row, index)
    different = np.array(list(first.values()), np.int64)
    place = {row: place for place, row in enumerate(first)}
    return different, np.array([place[row] for row in rows], np.int64)
