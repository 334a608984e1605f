"""From the expressions of `centroids.export.graph` to ONNX nodes, as far as nearest centers go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from centroids.export._graph_def import walk
from centroids.export._onnx_graph import OnnxGraph, Value
from centroids.export.graph import Function, Node, Tensor

# Operations that differ in their names only.
_RENAMED = {
    "Abs": "Abs",
    "AddV2": "Add",
    "Greater": "Greater",
    "IsNan": "IsNaN",
    "Less": "Less",
    "LessEqual": "LessOrEqual",
    "LogicalAnd": "And",
    "LogicalOr": "Or",
    "Maximum": "Max",
    "Mul": "Mul",
    "RealDiv": "Div",
    "SelectV2": "Where",
    "Shape": "Shape",
    "Sqrt": "Sqrt",
    "Sub": "Sub",
    "TensorScatterUpdate": "ScatterND",
}
_REDUCTIONS = {"Min": "ReduceMin", "Max": "ReduceMax"}

# Some operations end with constant inputs that are attributes in ONNX, or do not exist there.
_INPUTS = {
    "Sum": 1,
    "Min": 1,
    "Max": 1,
    "ArgMin": 1,
    "Reshape": 1,
    "GatherV2": 2,
    "StridedSlice": 3,
}

# The name of each value of a node, by its number.
Names = dict[tuple[Node, int], str]


class OnnxEmitter:
    """Adds what computes tensors to an ONNX graph.

    Args:
        graph: Where nodes are added.
        given: The names of the values of placeholders.
        prefix: What the names of the nodes begin with, which no other part of the graph has.
    """

    def __init__(self, graph: OnnxGraph, given: Mapping[Tensor, str], prefix: str) -> None:
        self._graph, self._prefix = graph, prefix
        self._given: Names = {(tensor.node, tensor.index): name for tensor, name in given.items()}
        self._count = 0

    def add(self, *tensors: Tensor) -> list[str]:
        """Adds what computes tensors, and returns the names of their values."""
        return self._add(tensors, dict(self._given))

    def _add(self, tensors: Sequence[Tensor], names: Names) -> list[str]:
        known = [Tensor(node, np.dtype(np.bool_), (), index) for node, index in names]

        def name_of(tensor: Tensor) -> str:
            if tensor.node.op == "Const":
                return self._constant(tensor.node.attributes["value"])
            return names[tensor.node, tensor.index]

        for node in walk(tensors, stop=known):
            if node.op != "Const":
                inputs = [name_of(entry) for entry in node.inputs[: _INPUTS.get(node.op)]]
                for index, name in enumerate(self._emit(node, inputs)):
                    names[node, index] = name
        return [name_of(tensor) for tensor in tensors]

    def _emit(self, node: Node, inputs: list[str]) -> list[str]:
        if node.op == "StatelessWhile":
            return self._loop(node, inputs)
        if node.op == "Unpack":
            places = [self._constant(np.array(index, np.int64)) for index in (0, 1)]
            return [self._node("Gather", inputs[0], place, axis=1) for place in places]
        return [self._emit_one(node, inputs)]

    def _emit_one(self, node: Node, inputs: list[str]) -> str:
        attributes = node.attributes
        if node.op in _RENAMED:
            return self._node(_RENAMED[node.op], *inputs)
        if node.op in _REDUCTIONS:
            axes, keep = [_value(node.inputs[1])], int(attributes["keep_dims"])
            return self._node(_REDUCTIONS[node.op], inputs[0], axes=axes, keepdims=keep)
        match node.op:
            case "CheckNumerics":  # ONNX has no operator that refuses values
                return inputs[0]
            case "Cast":
                return self._graph.cast(inputs[0], attributes["DstT"], self._name("Cast"))
            case "Sum":
                last = self._constant(np.array([_value(node.inputs[1])], np.int64))
                keep = int(attributes["keep_dims"])
                return self._node("ReduceSum", inputs[0], last, keepdims=keep)
            case "MatMul":
                return self._node("Gemm", *inputs, transB=int(attributes["transpose_b"]))
            case "GatherV2":
                axis = _value(node.inputs[2])
                return self._node("Gather", inputs[0], inputs[1], axis=axis)
            case "Where":
                return self._places(inputs[0])
            case "Reshape":
                shape = self._constant(node.inputs[1].node.attributes["value"].astype(np.int64))
                return self._node("Reshape", inputs[0], shape)
            case "StridedSlice":
                return self._node("Slice", *inputs[:3])
            case "ArgMin":
                axis = _value(node.inputs[1])
                return self._node("ArgMin", inputs[0], axis=axis, keepdims=0)
        raise ValueError(f"an ONNX file cannot have the operation {node.op}")

    def _places(self, condition: str) -> str:
        """Where a matrix is true, [m, 2]."""
        # No Transpose: onnxruntime 1.10 fails to optimise it where a loop uses it.
        found, axis = self._node("NonZero", condition), self._constant(np.array([1]))
        parts = [
            self._node("Gather", found, self._constant(np.array(index)), axis=0) for index in (0, 1)
        ]
        columns = [self._node("Unsqueeze", part, axis) for part in parts]
        return self._node("Concat", *columns, axis=1)

    def _loop(self, node: Node, inputs: list[str]) -> list[str]:
        """A loop; what it does not change is read from outside."""
        condition, body = node.attributes["cond"], node.attributes["body"]
        changed = [
            index
            for index, (argument, result) in enumerate(
                zip(body.arguments, body.results, strict=True)
            )
            if argument is not result
        ]
        goes_on = self._call(condition, inputs)[0]
        with self._graph.apart() as nodes:
            inner = [
                self._name("argument") if at in changed else name for at, name in enumerate(inputs)
            ]
            results = self._call(body, inner)
            again = self._call(condition, results)[0]
        outputs = [self._name("loop") for _ in changed]
        number, always = self._name("iteration"), self._name("goes_on")
        given: list[Value] = [(number, np.int64, ()), (always, np.bool_, ())]
        made: list[Value] = [(again, np.bool_, ())]
        for at in changed:
            value = body.arguments[at]
            given.append((inner[at], value.dtype, value.shape))
            made.append((results[at], value.dtype, value.shape))
        part = self._graph.part(nodes, given, made)
        first = ["", goes_on, *(inputs[at] for at in changed)]
        self._graph.nodes("Loop", *first, names=outputs, body=part)
        last = dict(zip(changed, outputs, strict=True))
        return [last.get(at, name) for at, name in enumerate(inputs)]

    def _call(self, function: Function, inputs: Sequence[str]) -> list[str]:
        names = {
            (argument.node, argument.index): name
            for argument, name in zip(function.arguments, inputs, strict=True)
        }
        return self._add(function.results, names)

    def _node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        return self._graph.node(operator, *inputs, name=self._name(operator), **attributes)

    def _constant(self, value: Any) -> str:
        return self._graph.shared_constant(self._name("Const"), value)

    def _name(self, wished: str) -> str:
        self._count += 1
        return f"{self._prefix}/{wished}_{self._count}"


def _value(tensor: Tensor) -> int:
    return int(tensor.node.attributes["value"])
