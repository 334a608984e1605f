"""Trained clusters as an ONNX file, which runs wherever there is an ONNX runtime.

The graph gives the labels and distances of our kernels:

- Points and centers are shifted by about the mean of the centers before anything is multiplied. The
  scores `|c|^2 - 2xc` then do not cancel, wherever the data sits.
- Where a second center could be the nearest within what rounding allows, or is too near for
  products, the point is answered by `centroids.export.nearest`: the expression that a SavedModel
  has for all points, with differences in float64, and ties as the kernels have them.
- Cosine distances are those of unit vectors of float64: `1 - xc`, or `|x - c|^2 / 2` where the two
  are near each other. They are compared as rounded to the type of the points.
"""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.export._onnx_graph import OnnxGraph
from centroids.export._onnx_search import add_nearest, add_preparation
from centroids.export.columns import Columns, check_columns
from centroids.export.destination import as_float32, check_destination
from centroids.files import replace_file
from centroids.kernels.float_mode import in_usual_float_mode
from centroids.kernels.preparation import Preparation
from centroids.packages import import_package

_MOST_BYTES = (1 << 31) - (1 << 16)  # protobuf's limit, less room for the graph


@in_usual_float_mode
def write_onnx(
    path: str | os.PathLike[str],
    centers: NDArray[Any],
    distance_metric: str,
    global_step: int,
    *,
    columns: Columns | None = None,
    index_only: bool = False,
    float32: bool = False,
    preparation: Preparation | None = None,
) -> str:
    """Writes the search for the nearest center as an ONNX file.

    The file has one input, `points` [n, d] in the type of the centers, where n is free, and two
    outputs: `cluster_index` [n] int64, the lowest index on ties, and `all_distances` [n, k] in the
    type of the centers, squared Euclidean or 1 - cos. For cosine a zero vector is at distance 1
    from everything, and its index is 0. Points with a NaN give distances that are NaN.

    Args:
        path: The file. An existing one is replaced in one step.
        centers: [k, d] float32 or float64.
        distance_metric: "squared_euclidean" or "cosine".
        global_step: The number of training steps, for the metadata of the file.
        columns: The names of the d columns of the points, for the metadata too.
        index_only: Leave the output `all_distances` out, which takes most of the memory.
        float32: Multiply in float32 instead of float64. Points and centers of float64 become
            float32.
        preparation: What is done to points before; None: nothing.

    Returns:
        The path.

    Raises:
        ImportError: If the package onnx is missing.
        ValueError: If the centers take more than the 2 GB that an ONNX file can hold, or they
            overflow float32 where that was asked for, or there is another number of columns.
        OSError: If the file cannot be written; nothing is left behind.
    """
    file = check_destination(path)
    if float32:
        centers = as_float32(centers, "float32 was asked for")
    num_clusters, dimensions = centers.shape
    cosine = distance_metric == "cosine"
    itemsize = 8 if cosine else centers.itemsize  # unit vectors are of float64
    size = centers.size * itemsize + 17 * num_clusters + 8 * dimensions
    if size > _MOST_BYTES:
        raise ValueError(
            f"an ONNX file holds up to 2 GB, but {num_clusters} centers of {dimensions} dimensions "
            f"take {size / 1e9:.2f} GB; export them as npz instead"
        )
    metadata = {
        "distance_metric": distance_metric,
        "global_step": str(global_step),
        "num_clusters": str(num_clusters),
    }
    if columns is not None:
        metadata["columns"] = json.dumps(check_columns(columns, dimensions), ensure_ascii=False)
    onnx = _import_onnx()
    graph = OnnxGraph(onnx, np.dtype(np.float32 if float32 else np.float64))
    points = "points" if preparation is None else add_preparation(graph, centers, preparation)
    add_nearest(graph, points, centers, cosine=cosine, with_distances=not index_only)
    model = graph.model(centers, metadata, with_distances=not index_only)
    onnx.checker.check_model(model, full_check=True)
    replace_file(file, model.SerializeToString(deterministic=True))
    return file


def _import_onnx() -> Any:
    """The package, with the modules that are used of it."""
    modules = ("onnx.checker", "onnx.helper", "onnx.numpy_helper", "onnx")
    return [
        import_package(module, "writing an ONNX file", "centroids[onnx]", called="onnx")
        for module in modules
    ][-1]
