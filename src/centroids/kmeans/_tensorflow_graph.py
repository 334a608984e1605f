"""How a k-means of TensorFlow was trained, from the graph that stands beside its checkpoint.

A `.meta` file holds a MetaGraphDef. Of the graph that
`tf.contrib.factorization.KMeansClustering` builds, three things show the settings:

    distance_metric                   only a cosine model halves what NearestNeighbors gives
    mini_batch_steps_per_iteration    the first value of the variable update_in_steps
    use_mini_batch                    only mini-batches have a variable for their counts

Names of operations do not matter: the user's own input may have made operations of any name.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from centroids.checkpoints.names import DamagedCheckpointError
from centroids.files import read_regular
from centroids.tensorflow_protos import Message, new_message

_META = ".meta"
_SEARCH = "NearestNeighbors"
_ASSIGNMENTS = ("Assign", "AssignVariableOp")
# How far a constant may be from what uses it: conversions and copies.
_MOST_COPIES = 8


@dataclass(frozen=True)
class GraphSettings:
    """What a graph says.

    Attributes:
        distance_metric: "squared_euclidean" or "cosine".
        steps_per_iteration: Mini-batches per iteration; None where the graph counts none, which is
            so for full batches and for single mini-batches.
    """

    distance_metric: str
    steps_per_iteration: int | None


def read_graph(checkpoint: str, counter: str) -> GraphSettings | None:
    """Reads the graph beside a checkpoint of TensorFlow.

    Args:
        checkpoint: The prefix of its files.
        counter: The name of the variable that counts the mini-batches of an iteration down.

    Returns:
        None if there is no such file, or no k-means in it.

    Raises:
        DamagedCheckpointError: If the file is not a graph.
        OSError: If it cannot be read.
    """
    path = checkpoint + _META
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    # Graphs may hold all the points of their input, and every call of predict comes here.
    return _read(path, counter, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=16)
def _read(path: str, counter: str, modified: int, size: int) -> GraphSettings | None:
    del modified  # it shows whether the file is still the one that was read, as its size does
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    meta_graph = new_message("MetaGraphDef")
    try:
        meta_graph.ParseFromString(read_regular(path, size, follow_links=True))
    except (DecodeError, UnicodeDecodeError) as error:  # the latter from protobuf without C
        raise DamagedCheckpointError(
            f"{path} is not a whole graph of TensorFlow ({error}); move it elsewhere to take the "
            "metric and the mode from the arguments instead"
        ) from error
    graph = meta_graph.graph_def
    nodes = {node.name: node for node in graph.node}
    if not any(node.op == _SEARCH for node in graph.node):
        return None
    metric = "cosine" if _halves_distances(graph, nodes) else "squared_euclidean"
    return GraphSettings(metric, _first_value(graph, nodes, counter))


def _halves_distances(graph: Message, nodes: Mapping[str, Message]) -> bool:
    """Whether a distance to the nearest center is multiplied by 0.5."""
    return any(
        _is_distance(one, nodes) and _constant(other, nodes) == 0.5
        for node in graph.node
        if node.op == "Mul" and len(node.input) == 2
        for one, other in (node.input, node.input[::-1])
    )


def _is_distance(name: str, nodes: Mapping[str, Message]) -> bool:
    """Whether a value is the second output of a search, its distances."""
    node, _, output = name.partition(":")
    return output == "1" and node in nodes and nodes[node].op == _SEARCH


def _first_value(graph: Message, nodes: Mapping[str, Message], variable: str) -> int | None:
    """The constant that a variable begins with, if it is one of at least 1."""
    for node in graph.node:
        # The first assignment in a graph is the initializer.
        if node.op in _ASSIGNMENTS and len(node.input) >= 2 and node.input[0] == variable:
            value = _constant(node.input[1], nodes)
            return int(value) if value is not None and value >= 1 else None
    return None


def _constant(name: str, nodes: Mapping[str, Message]) -> float | None:
    """The single number that a value is, or None."""
    for _ in range(_MOST_COPIES):
        node = nodes.get(name.partition(":")[0])
        if node is None:
            return None
        if node.op == "Const":
            return _number(node.attr["value"].tensor)
        if node.op not in ("Identity", "Cast") or not node.input:
            return None
        name = node.input[0]
    return None


def _number(tensor: Message) -> float | None:
    """The only element of a TensorProto of a type that matters here."""
    types = {1: ("float_val", "<f4"), 3: ("int_val", "<i4"), 9: ("int64_val", "<i8")}
    if tensor.dtype not in types or tensor.tensor_shape.dim:
        return None
    field, dtype = types[tensor.dtype]
    values = list(getattr(tensor, field))
    if not values and len(tensor.tensor_content) == np.dtype(dtype).itemsize:
        values = np.frombuffer(tensor.tensor_content, dtype).tolist()
    return values[0] if values else None
