"""An ONNX graph, node by node."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.export.graph import Shape

# The oldest onnxruntime that it was tried with is 1.10 (December 2021). 1.6 reads this opset, but
# has no Where for float64. Newer opsets have nothing that the graph needs.
OPSET_VERSION = 13
IR_VERSION = 7


# A name, a type and a shape.
Value = tuple[str, Any, Shape]


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
        self._known: dict[Any, str] = {}

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
        self._known.setdefault(_content(array), name)
        self._constants.append(self._onnx.numpy_helper.from_array(array, name))
        return name

    def shared_constant(self, name: str, value: NDArray[Any]) -> str:
        """The name of a constant of this value: one that is there, or a new one."""
        return self._known.get(_content(value)) or self.constant(name, value, value.dtype)

    def cast(self, value: str, dtype: Any, name: str) -> str:
        """Adds a conversion, and returns the name of its output."""
        to = self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.node("Cast", value, name=name, to=to)

    @contextlib.contextmanager
    def apart(self) -> Iterator[list[Any]]:
        """Collects the nodes that are added meanwhile, for a part of the graph such as a loop."""
        outside, self._nodes = self._nodes, []
        try:
            yield self._nodes
        finally:
            self._nodes = outside

    def part(self, nodes: list[Any], inputs: list[Value], outputs: list[Value]) -> Any:
        """A part of the graph, as a GraphProto, from its nodes and its values."""
        helper = self._onnx.helper
        infos = [
            [
                helper.make_tensor_value_info(
                    name, helper.np_dtype_to_tensor_dtype(np.dtype(kind)), shape
                )
                for name, kind, shape in values
            ]
            for values in (inputs, outputs)
        ]
        return helper.make_graph(nodes, "part", *infos)

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


def _content(array: NDArray[Any]) -> Any:
    return array.dtype, array.shape, hashlib.blake2b(array.tobytes()).digest()
