"""From expressions to the GraphDef proto that TensorFlow reads."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.export.graph import Function, Node, Shape, Tensor
from centroids.tensorflow_protos import Message, new_message
from centroids.tensorflow_types import type_number

# The GraphDef version of TensorFlow 1.15: what later versions changed does not concern us.
GRAPH_DEF_VERSION = 134
# A proto holds less than 2 GiB; all but the constants is far below a MiB.
MAX_CONSTANT_BYTES = 2**31 - 2**20
_LARGE = 1024  # bytes


class GraphWriter:
    """Names nodes and writes them. The graph is that which leads to the added tensors.

    Args:
        check_numerics: False writes CheckNumerics as Identity, for readers that do not have it.

    >>> from centroids.export.graph import placeholder
    >>> writer = GraphWriter()
    >>> writer.add(placeholder(np.float32, (None, 2), "x") * 2)
    'Mul:0'
    >>> [node.name for node in writer.graph_def.node]
    ['x', 'Const', 'Mul']
    """

    def __init__(self, *, check_numerics: bool = True) -> None:
        self._check_numerics = check_numerics
        self.graph_def = new_message("GraphDef")
        self.graph_def.versions.producer = GRAPH_DEF_VERSION
        self._names: dict[Node, str] = {}
        self._constants: dict[tuple[Any, ...] | None, str] = {}
        self._used: set[str] = set()
        self._function_names: set[str] = set()
        self._constant_bytes = 0

    def add(self, tensor: Tensor) -> str:
        """Adds what computes a tensor, and returns the tensor's name.

        Raises:
            ValueError: If TensorFlow lacks a type, or the constants exceed 2 GiB together.
        """
        for node in walk([tensor]):
            if node in self._names:
                continue
            content = _content(node)
            if content in self._constants:
                self._names[node] = self._constants[content]
                continue
            self._names[node] = _unique(node.name or node.op, self._used)
            if content is not None:
                self._constants[content] = self._names[node]
            inputs = (self._reference(entry) for entry in node.inputs)
            self._write(self.graph_def.node.add(), node, self._names[node], inputs)
        return f"{self._names[tensor.node]}:{tensor.index}"

    def _reference(self, tensor: Tensor) -> str:
        name = self._names[tensor.node]
        return f"{name}:{tensor.index}" if tensor.index else name

    def _write(self, proto: Message, node: Node, name: str, inputs: Iterable[str]) -> None:
        proto.name, proto.op = name, node.op
        proto.input.extend(inputs)
        attributes = node.attributes
        if node.op == "CheckNumerics" and not self._check_numerics:
            proto.op, attributes = "Identity", {"T": attributes["T"]}
        for key, value in attributes.items():
            proto.attr[key].CopyFrom(self._attribute(value))

    def _attribute(self, value: Any) -> Message:
        match value:
            case bool():
                return new_message("AttrValue", b=value)
            case int():
                return new_message("AttrValue", i=value)
            case float():
                return new_message("AttrValue", f=value)
            case bytes():
                return new_message("AttrValue", s=value)
            case np.dtype():
                return new_message("AttrValue", type=type_number(value))
            case tuple():
                return new_message("AttrValue", shape=shape_proto(value))
            case np.ndarray():
                return new_message("AttrValue", tensor=self._tensor(value))
            case Function():
                return new_message(
                    "AttrValue", func=new_message("NameAttrList", name=self._write_function(value))
                )
            case list():
                return new_message("AttrValue", list=_list_value(value))
        raise ValueError(f"an attribute of a node cannot be {value!r}")

    def _tensor(self, array: NDArray[Any]) -> Message:
        proto = new_message(
            "TensorProto", dtype=type_number(array.dtype), tensor_shape=shape_proto(array.shape)
        )
        if array.dtype.kind == "S":
            proto.string_val.extend(array.ravel().tolist())
            return proto
        self._constant_bytes += array.nbytes
        if self._constant_bytes > MAX_CONSTANT_BYTES:
            raise ValueError(
                f"the constants of the graph take at least {self._constant_bytes} bytes, but a "
                f"SavedModel can hold {MAX_CONSTANT_BYTES}: the model has too many or too wide "
                "centers (or other variables) to be exported"
            )
        proto.tensor_content = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        return proto

    def _write_function(self, function: Function) -> str:
        """Adds a function to the library, and returns its name."""
        name = _unique(function.name, self._function_names)
        proto = new_message("FunctionDef")
        proto.signature.name = name
        references: dict[tuple[Node, int], str] = {}
        used: set[str] = set()
        for argument in function.arguments:
            argument_name = _unique(argument.node.name or "argument", used)
            references[argument.node, 0] = argument_name
            proto.signature.input_arg.add(name=argument_name, type=type_number(argument.dtype))
        arguments = {argument.node for argument in function.arguments}
        names: dict[Node, str] = {}

        def reference(tensor: Tensor) -> str:
            if tensor.node in arguments:
                return references[tensor.node, 0]
            return f"{names[tensor.node]}:{tensor.node.output}:{tensor.index}"

        for node in walk(function.results):
            if node not in arguments:
                names[node] = _unique(node.name or node.op, used)
                inputs = (reference(entry) for entry in node.inputs)
                self._write(proto.node_def.add(), node, names[node], inputs)
        for index, result in enumerate(function.results):
            proto.signature.output_arg.add(name=f"result_{index}", type=type_number(result.dtype))
            proto.ret[f"result_{index}"] = reference(result)
        self.graph_def.library.function.append(proto)
        return name


def _content(node: Node) -> tuple[Any, ...] | None:
    """A key for a large constant, such as that of all centers: equal ones are written once."""
    if node.op != "Const":
        return None
    array = node.attributes["value"]
    # One that no graph can hold is left to the error about that.
    if not _LARGE <= array.nbytes <= MAX_CONSTANT_BYTES or not array.flags.c_contiguous:
        return None
    data = array.reshape(-1).view(np.uint8)
    return array.dtype, array.shape, hashlib.blake2b(data).digest()


def walk(tensors: Iterable[Tensor], stop: Iterable[Tensor] = ()) -> Iterator[Node]:
    """Yields the nodes that lead to tensors, each once, inputs before what uses them.

    Args:
        tensors: Where to start.
        stop: Tensors whose nodes are left out, and all that only they lead to.
    """
    done = {tensor.node for tensor in stop}
    # No recursion: a graph may be deeper than Python's stack.
    waiting = [(tensor.node, False) for tensor in reversed(list(tensors))]
    while waiting:
        node, inputs_done = waiting.pop()
        if node in done:
            continue
        if inputs_done:
            done.add(node)
            yield node
        else:
            waiting.append((node, True))
            waiting.extend((entry.node, False) for entry in reversed(node.inputs))


def shape_proto(shape: Shape) -> Message:
    """A shape as a proto, where -1 stands for an unknown size."""
    proto = new_message("TensorShapeProto")
    for size in shape:
        proto.dim.add(size=-1 if size is None else size)
    return proto


def _list_value(values: list[Any]) -> Message:
    proto = new_message("ListValue")
    for value in values:
        if isinstance(value, tuple):
            proto.shape.append(shape_proto(value))
        else:
            proto.type.append(type_number(value))
    return proto


def _unique(wished: str, used: set[str]) -> str:
    """A valid name that is not used yet; from now on it is."""
    base = re.sub(r"[^A-Za-z0-9_.\-/]", "_", wished)
    if not re.match(r"[A-Za-z0-9.]", base):
        base = f"node{base}"
    name, number = base, 0
    while name in used:
        number += 1
        name = f"{base}_{number}"
    used.add(name)
    return name
