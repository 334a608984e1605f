"""Graphs of TensorFlow operations, as expressions: a tensor knows the node that computes it.

Nothing is computed here, and no TensorFlow is needed. `centroids.export._graph_def` writes the
graph that leads to given tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

Shape = tuple[int | None, ...]


@dataclass(frozen=True, eq=False)
class Node:
    """One operation of a graph.

    Attributes:
        op: The name of a TensorFlow operation.
        inputs: What it takes.
        attributes: Its attributes by name: bool, int, float, bytes, np.dtype, an array (a tensor),
            a tuple (a shape, None for an unknown size), a list of dtypes or shapes, a Function.
        name: The preferred name; nodes with equal names are numbered.
        output: How the operation calls its output: functions refer to outputs by this name.
    """

    op: str
    inputs: tuple[Tensor, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    name: str | None = None
    output: str = "output"


@dataclass(frozen=True, eq=False)
class Tensor:
    """An output of a node.

    `+`, `-`, `*`, `/` and `@` make the tensor of the result; an array or a number on the other side
    becomes a constant of the tensor's type.

    Attributes:
        node: The node.
        dtype: The element type; `np.dtype("S")` for strings.
        shape: One entry for each axis; None where the size varies.
        index: Which output of the node it is.

    >>> x = placeholder(np.float32, (None, 2), "x")
    >>> centered = x - np.array([1.0, 2.0])
    >>> centered.node.op, centered.dtype.name, centered.shape
    ('Sub', 'float32', (None, 2))
    """

    node: Node
    dtype: np.dtype[Any]
    shape: Shape
    index: int = 0

    # Arrays on the left leave the operation to this class.
    __array_ufunc__ = None

    def __add__(self, other: Tensor | ArrayLike) -> Tensor:
        return _binary("AddV2", self, self._like(other))

    def __radd__(self, other: ArrayLike) -> Tensor:
        return _binary("AddV2", self._like(other), self)

    def __sub__(self, other: Tensor | ArrayLike) -> Tensor:
        return _binary("Sub", self, self._like(other))

    def __rsub__(self, other: ArrayLike) -> Tensor:
        return _binary("Sub", self._like(other), self)

    def __mul__(self, other: Tensor | ArrayLike) -> Tensor:
        return _binary("Mul", self, self._like(other))

    def __rmul__(self, other: ArrayLike) -> Tensor:
        return _binary("Mul", self._like(other), self)

    def __truediv__(self, other: Tensor | ArrayLike) -> Tensor:
        return _binary("RealDiv", self, self._like(other))

    def __rtruediv__(self, other: ArrayLike) -> Tensor:
        return _binary("RealDiv", self._like(other), self)

    def __matmul__(self, other: Tensor | ArrayLike) -> Tensor:
        return matmul(self, self._like(other))

    def _like(self, other: Tensor | ArrayLike) -> Tensor:
        return other if isinstance(other, Tensor) else constant(other, self.dtype)


@dataclass(frozen=True, eq=False)
class Function:
    """A part of a graph that a node calls, such as the body of a loop.

    Attributes:
        name: Its name; functions of equal names are numbered.
        arguments: Tensors that stand for what the caller passes.
        results: Tensors computed from the arguments.
    """

    name: str
    arguments: tuple[Tensor, ...]
    results: tuple[Tensor, ...]


def operation(
    op: str,
    inputs: Sequence[Tensor],
    dtype: DTypeLike,
    shape: Shape,
    *,
    output: str = "output",
    **attributes: Any,
) -> Tensor:
    """Returns the first output of any TensorFlow operation.

    Args:
        op: Its name, such as "Exp".
        inputs: What it takes.
        dtype: The element type of the output.
        shape: The shape of the output; None where the size varies.
        output: How the operation calls its output; needed in functions only.
        **attributes: All attributes of the operation; see Node.

    >>> x = placeholder(np.float32, (None, 2), "x")
    >>> operation("Exp", [x], x.dtype, x.shape, T=x.dtype).shape
    (None, 2)
    """
    return Tensor(Node(op, tuple(inputs), attributes, output=output), np.dtype(dtype), shape)


def placeholder(dtype: DTypeLike, shape: Sequence[int | None], name: str | None = None) -> Tensor:
    """Returns a tensor that a request fills.

    Args:
        dtype: The element type.
        shape: One entry for each axis; None where the size varies, as for the batch.
        name: The name of the node in the graph; requests use the name of the receiver.
    """
    checked, sizes = np.dtype(dtype), tuple(shape)
    node = Node("Placeholder", (), {"dtype": checked, "shape": sizes}, name)
    return Tensor(node, checked, sizes)


def constant(value: ArrayLike, dtype: DTypeLike | None = None) -> Tensor:
    """Returns a tensor of fixed values, with the array's own type unless `dtype` is given."""
    array: NDArray[Any] = np.asarray(value, dtype)
    dtype = np.dtype("S") if array.dtype.kind == "S" else array.dtype
    return Tensor(Node("Const", (), {"value": array, "dtype": dtype}), dtype, array.shape)


def cast(tensor: Tensor, dtype: DTypeLike) -> Tensor:
    """Converts to another element type; the tensor itself where it has that type."""
    target = np.dtype(dtype)
    if target == tensor.dtype:
        return tensor
    return operation(
        "Cast", [tensor], target, tensor.shape, output="y", SrcT=tensor.dtype, DstT=target
    )


def matmul(left: Tensor, right: Tensor, *, transpose_right: bool = False) -> Tensor:
    """The product of two matrices, [n, d] by [d, k], or by [k, d] that is transposed."""
    width = right.shape[0 if transpose_right else 1]
    return operation(
        "MatMul",
        [left, right],
        left.dtype,
        (left.shape[0], width),
        output="product",
        T=left.dtype,
        transpose_a=False,
        transpose_b=transpose_right,
    )


def while_loop(
    condition: Callable[..., Tensor],
    body: Callable[..., Sequence[Tensor]],
    variables: Sequence[Tensor],
) -> tuple[Tensor, ...]:
    """Repeats `variables = body(*variables)` while `condition(*variables)` holds.

    Args:
        condition: Gives a boolean of shape [].
        body: Gives new values of the same types and shapes; it can use only its arguments and
            constants.
        variables: The first values.

    Returns:
        The last values.
    """
    arguments = tuple(
        Tensor(Node("Argument", name=f"argument_{index}"), tensor.dtype, tensor.shape)
        for index, tensor in enumerate(variables)
    )
    node = Node(
        "StatelessWhile",
        tuple(variables),
        {
            "T": [tensor.dtype for tensor in variables],
            "cond": Function("condition", arguments, (condition(*arguments),)),
            "body": Function("body", arguments, tuple(body(*arguments))),
            "output_shapes": [tensor.shape for tensor in variables],
            "parallel_iterations": 1,
        },
        "loop",
    )
    return tuple(
        Tensor(node, tensor.dtype, tensor.shape, index) for index, tensor in enumerate(variables)
    )


def _binary(op: str, left: Tensor, right: Tensor) -> Tensor:
    if left.dtype != right.dtype:
        raise TypeError(f"{op} takes tensors of one type, got {left.dtype} and {right.dtype}")
    shape = broadcast(left.shape, right.shape)
    return operation(op, [left, right], left.dtype, shape, output="z", T=left.dtype)


def broadcast(left: Shape, right: Shape) -> Shape:
    """The shape of an elementwise result; an unknown size wins over 1 only."""
    length = max(len(left), len(right))
    pairs = zip(
        (1,) * (length - len(left)) + left, (1,) * (length - len(right)) + right, strict=True
    )
    sizes: list[int | None] = []
    for one, other in pairs:
        if one != other and 1 not in (one, other) and None not in (one, other):
            raise ValueError(f"shapes {left} and {right} do not fit elementwise")
        known = other if one in (1, None) else one
        sizes.append(None if known == 1 and one is None else known)
    return tuple(sizes)
