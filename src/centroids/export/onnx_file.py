"""Trained clusters as an ONNX file, which runs wherever there is an ONNX runtime.

The graph gives the labels and distances of our kernels:

- Points and centers are shifted by about the mean of the centers, in float64, before anything is
  multiplied. The scores `|c|^2 - 2xc` then do not cancel, wherever the data sits.
- The distance to the nearest center, which may be tiny, is taken again from the
  differences. A point that equals a center is at distance 0.
- Among centers that are equal the lowest index wins, whatever order the runtime multiplies in.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.export.destination import check_destination, write_whole
from centroids.kernels.functions import prepare_centers

# The oldest onnxruntime that it was tried with is 1.10 (December 2021). 1.6 reads this opset, but
# has no Where for float64. Newer opsets have nothing that the graph needs.
OPSET_VERSION = 13
IR_VERSION = 7
_MOST_BYTES = (1 << 31) - (1 << 16)  # protobuf's limit, less room for the graph


def write_onnx(
    path: str | os.PathLike[str],
    centers: NDArray[Any],
    distance_metric: str,
    global_step: int,
) -> str:
    """Writes the search for the nearest center as an ONNX file.

    The file has one input, `points` [n, d] in the type of the centers, where n is free, and two
    outputs: `cluster_index` [n] int64, the lowest index on ties, and `all_distances` [n, k] in the
    type of the centers, squared Euclidean or 1 - cos. For cosine a zero vector is at distance 1
    from everything, and its index is 0. Points with a NaN give distances that are NaN.

    Args:
        path: The file. One that exists is replaced, in one step.
        centers: [k, d] float32 or float64.
        distance_metric: "squared_euclidean" or "cosine".
        global_step: The number of training steps, for the metadata of the file.

    Returns:
        The path.

    Raises:
        ImportError: If the package onnx is missing.
        ValueError: If the centers take more than the 2 GB that an ONNX file can hold.
        OSError: If the file cannot be written; nothing is left behind.
    """
    file = check_destination(path)
    num_clusters, dimensions = centers.shape
    size = centers.nbytes + 17 * num_clusters + 8 * dimensions
    if size > _MOST_BYTES:
        raise ValueError(
            f"an ONNX file holds up to 2 GB, but {num_clusters} centers of {dimensions} dimensions "
            f"take {size / 1e9:.2f} GB; export them as npz instead"
        )
    onnx = _import_onnx()
    graph = _Graph(onnx)
    if distance_metric == "cosine":
        _add_cosine(graph, centers)
    else:
        _add_squared_euclidean(graph, centers)
    metadata = {
        "distance_metric": distance_metric,
        "global_step": str(global_step),
        "num_clusters": str(num_clusters),
    }
    model = graph.model(centers, metadata)
    onnx.checker.check_model(model, full_check=True)
    write_whole(file, model.SerializeToString(deterministic=True))
    return file


def _import_onnx() -> Any:
    try:
        import onnx
        import onnx.checker
        import onnx.helper
        import onnx.numpy_helper
    except ImportError as error:
        raise ImportError(
            "writing an ONNX file needs onnx; install it with: pip install 'centroids[onnx]'"
        ) from error
    return onnx


class _Graph:
    """An ONNX graph that grows node by node; values are known by their names."""

    def __init__(self, onnx: Any) -> None:
        self._onnx = onnx
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def node(self, operator: str, *inputs: str, name: str, **attributes: Any) -> str:
        """Adds a node with one output, and returns its name."""
        make_node = self._onnx.helper.make_node
        self._nodes.append(make_node(operator, inputs, [name], name=f"{name}/node", **attributes))
        return name

    def constant(self, name: str, value: Any, dtype: Any = np.float64) -> str:
        """Adds a constant, and returns its name."""
        array = np.array(value, dtype, order="C")
        self._constants.append(self._onnx.numpy_helper.from_array(array, name))
        return name

    def cast(self, value: str, dtype: Any, name: str) -> str:
        """Adds a conversion, and returns the name of its output."""
        to = self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.node("Cast", value, name=name, to=to)

    def model(self, centers: NDArray[Any], metadata: dict[str, str]) -> Any:
        """The whole file, as a ModelProto."""
        helper = self._onnx.helper
        num_clusters, dimensions = centers.shape
        kind = helper.np_dtype_to_tensor_dtype(centers.dtype)
        index_kind = helper.np_dtype_to_tensor_dtype(np.dtype(np.int64))
        graph = helper.make_graph(
            self._nodes,
            "KMeansClustering",
            [helper.make_tensor_value_info("points", kind, ["n", dimensions])],
            [
                helper.make_tensor_value_info("cluster_index", index_kind, ["n"]),
                helper.make_tensor_value_info("all_distances", kind, ["n", num_clusters]),
            ],
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


def _add_squared_euclidean(graph: _Graph, centers: NDArray[Any]) -> None:
    """From `points` to the outputs, for the squared Euclidean distance."""
    points = graph.cast("points", np.float64, "wide_points")
    index, distances = _add_search(graph, points, centers, np.zeros(len(centers)))
    graph.node("Identity", index, name="cluster_index")
    graph.cast(distances, centers.dtype, "all_distances")


def _add_cosine(graph: _Graph, centers: NDArray[Any]) -> None:
    """From `points` to the outputs, for the cosine distance: half the squared chord."""
    unit_centers, penalties = prepare_centers(centers[:0], centers, cosine=True)
    if penalties is None:
        penalties = np.zeros(len(centers))
    unit_points, zero_rows = _add_normalization(graph, centers.dtype)
    nearest, chords = _add_search(graph, unit_points, unit_centers, penalties)
    half = graph.node("Mul", chords, graph.constant("half", 0.5), name="half_chords")
    # A zero vector, point or center, is at distance 1 from everything.
    zero_centers = graph.constant("zero_centers", penalties != 0, np.bool_)
    apart = graph.node("Or", zero_rows, zero_centers, name="directionless")
    distances = graph.node("Where", apart, "one", half, name="cosine_distances")
    graph.cast(distances, centers.dtype, "all_distances")
    zero_row = graph.node("Squeeze", zero_rows, "columns", name="is_zero_row")
    first = graph.constant("first_index", 0, np.int64)
    graph.node("Where", zero_row, first, nearest, name="cluster_index")


def _add_normalization(graph: _Graph, dtype: np.dtype[Any]) -> tuple[str, str]:
    """Points divided by their norms, and which of them are zero.

    Returns:
        The names of [n, d] float64, rounded to the type of the centers as our kernels round them,
        where zero rows stay zero; and of [n, 1] bool.
    """
    points = graph.cast("points", np.float64, "wide_points")
    # Squares of float64 can overflow or vanish. A power of two changes no other bit.
    sizes = graph.node("Abs", points, name="sizes")
    largest = graph.node("ReduceMax", sizes, name="largest", axes=[1], keepdims=1)
    huge = graph.node("Greater", largest, graph.constant("huge", 2.0**400), name="is_huge")
    tiny = graph.node("Less", largest, graph.constant("tiny", 2.0**-400), name="is_tiny")
    one = graph.constant("one", 1.0)
    up = graph.node("Where", tiny, graph.constant("up", 2.0**600), one, name="up_or_one")
    factor = graph.node("Where", huge, graph.constant("down", 2.0**-600), up, name="factor")
    scaled = graph.node("Mul", points, factor, name="scaled_points")
    squares = graph.node("ReduceSumSquare", scaled, name="scaled_squares", axes=[1], keepdims=1)
    zero_rows = graph.node("Equal", squares, graph.constant("zero", 0.0), name="zero_rows")
    positive = graph.node("Where", zero_rows, one, squares, name="positive_squares")
    norms = graph.node("Sqrt", positive, name="scaled_norms")
    if dtype == np.float64:
        return graph.node("Div", scaled, norms, name="unit_points"), zero_rows
    # onnxruntime 1.15 leaves out two conversions in a row, as if they lost nothing: a change of
    # sign stands between them.
    minus_norms = graph.node("Neg", norms, name="minus_norms")
    minus_unit = graph.node("Div", scaled, minus_norms, name="minus_unit_points")
    rounded = graph.cast(minus_unit, dtype, "minus_rounded")
    unit = graph.node("Neg", rounded, name="rounded")
    return graph.cast(unit, np.float64, "unit_points"), zero_rows


def _add_search(
    graph: _Graph, points: str, centers: NDArray[Any], penalties: NDArray[np.float64]
) -> tuple[str, str]:
    """The nearest centers, and the squared distances to all.

    Args:
        graph: Where nodes are added.
        points: The name of [n, d] float64.
        centers: [k, d].
        penalties: [k], added to the squared distances.

    Returns:
        The names of [n] int64, and of [n, k] float64, never negative.
    """
    shift = _shift_of(centers)
    shifted = centers.astype(np.float64) - shift
    norms = np.einsum("kd,kd->k", shifted, shifted) + penalties
    # The file has the centers as they are; a runtime shifts them once, when it loads the file.
    wide = graph.cast(graph.constant("clusters", centers, centers.dtype), np.float64, "wide")
    shift_name = graph.constant("shift", shift)
    c = graph.node("Sub", wide, shift_name, name="shifted_centers")
    x = graph.node("Sub", points, shift_name, name="shifted_points")
    scores = graph.node(
        "Gemm", x, c, graph.constant("center_norms", norms), name="scores", alpha=-2.0, transB=1
    )
    lowest = graph.node("ArgMin", scores, name="lowest_score", axis=1, keepdims=1)
    # Equal centers can differ in the last bit of their scores.
    twins = graph.constant("first_equal_center", _first_equal(centers), np.int64)
    column = graph.node("Gather", twins, lowest, name="nearest_column")
    axis = graph.constant("columns", [1], np.int64)
    nearest = graph.node("Squeeze", column, axis, name="nearest")

    own_center = graph.node("Gather", c, nearest, name="nearest_center")
    difference = graph.node("Sub", x, own_center, name="difference")
    exact = graph.node("ReduceSumSquare", difference, name="nearest_distance", axes=[1], keepdims=1)
    squares = graph.node("ReduceSumSquare", x, name="point_norms", axes=[1], keepdims=1)
    sums = graph.node("Add", scores, squares, name="distances_by_products")
    positive = graph.node("Max", sums, graph.constant("none", 0.0), name="positive_distances")
    own = graph.node("Equal", column, twins, name="is_nearest")
    return nearest, graph.node("Where", own, exact, positive, name="squared_distances")


def _shift_of(centers: NDArray[Any]) -> NDArray[np.float64]:
    """About the mean of the centers, [d]: multiples of a power of two near their spread.

    Integers and other numbers with few digits stay such when it is subtracted. Their products are
    then exact, and ties are ties.
    """
    wide = centers.astype(np.float64)
    mean = wide.mean(axis=0)
    _, exponent = np.frexp(np.abs(wide - mean).max())
    unit = np.ldexp(1.0, exponent)
    return np.asarray(np.rint(mean / unit) * unit)


def _first_equal(centers: NDArray[Any]) -> NDArray[np.int64]:
    """For each center, the lowest index of a center that equals it, [k]."""
    first: dict[bytes, int] = {}
    rows = enumerate(centers + 0)  # -0.0 becomes 0.0
    return np.array([first.setdefault(row.tobytes(), index) for index, row in rows], np.int64)
