"""What a served model receives: descriptions that the functions of a user's export return."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from centroids.export.columns import check_argument_names, check_columns
from centroids.export.graph import Node, Tensor, constant, placeholder
from centroids.export.operations import as_columns, concat_columns

Tensors = Tensor | Mapping[str, Tensor]

# The names that r1.4 gives to what has no name.
SINGLE_RECEIVER = "input"
EXAMPLES = "examples"
POINTS = "points"
# The name of the requests that hold each column by its own name.
COLUMNS = "columns"
_STRING = np.dtype("S")


class Described(Protocol):
    """Anything with a type and a shape: an array, a TensorSpec, a placeholder."""

    @property
    def dtype(self) -> Any:
        """The element type."""

    @property
    def shape(self) -> Any:
        """One entry for each axis, the batch first."""


@dataclass(frozen=True)
class ServingInputReceiver:
    """What a serving_input_receiver_fn returns.

    Attributes:
        features: What the model gets: a tensor, or a dict of them by name. (r1.4 puts a single
            tensor into a dict; here the model gets what is given, as in training.)
        receiver_tensors: What a request fills: a tensor, which is then called "input", or a dict
            of them by the names that the request uses.
        receiver_tensors_alternatives: Other requests, by name: each a dict of tensors (or one)
            that lead to the same features, or a ServingInputReceiver with features of its own.
            Their signatures are called `name:signature`.

    Raises:
        ValueError: If one of them is missing, empty, or holds something else.

    >>> x = placeholder(np.float32, (None, 2), "x")
    >>> receiver = ServingInputReceiver(features={"x": x}, receiver_tensors={"points": x})
    """

    features: Tensors
    receiver_tensors: Tensors
    receiver_tensors_alternatives: Mapping[str, Tensors | ServingInputReceiver] | None = None

    def __post_init__(self) -> None:
        _check_tensors("features", self.features)
        _check_tensors("receiver_tensors", self.receiver_tensors)
        alternatives = self.receiver_tensors_alternatives
        if alternatives is None:
            return
        if not isinstance(alternatives, Mapping):
            raise ValueError(f"receiver_tensors_alternatives must be a dict, got {alternatives!r}")
        for name, alternative in alternatives.items():
            if not isinstance(name, str) or not name:
                raise ValueError(f"names of alternatives must be strings, got {name!r}")
            if not isinstance(alternative, ServingInputReceiver):
                _check_tensors(f"receiver_tensors_alternatives[{name!r}]", alternative)

    @property
    def named_alternatives(self) -> dict[str, ServingInputReceiver]:
        """The alternatives by name."""
        return {
            name: other
            if isinstance(other, ServingInputReceiver)
            else ServingInputReceiver(self.features, other)
            for name, other in (self.receiver_tensors_alternatives or {}).items()
        }

    @property
    def named_receivers(self) -> dict[str, Tensor]:
        """The receiver tensors by name."""
        if isinstance(self.receiver_tensors, Tensor):
            return {SINGLE_RECEIVER: self.receiver_tensors}
        return dict(self.receiver_tensors)


class TensorServingInputReceiver(ServingInputReceiver):
    """A ServingInputReceiver whose features are one tensor, as they are in training on arrays.

    Raises:
        ValueError: As ServingInputReceiver; also if `features` is a dict.
    """

    features: Tensor

    def __post_init__(self) -> None:
        if not isinstance(self.features, Tensor):
            raise ValueError(
                "features of a TensorServingInputReceiver must be a tensor, got "
                f"{self.features!r}; use ServingInputReceiver for a dict of them"
            )
        super().__post_init__()


ServingInputReceiverFunction = Callable[[], ServingInputReceiver]


@dataclass(frozen=True)
class FixedLenFeature:
    """A feature of a tf.Example that has the same number of values in each.

    Attributes:
        shape: The shape of one example's value: `[]` for a number, `[d]` for d of them.
        dtype: np.float32 or np.int64, the types that a tf.Example has.
        default_value: What an example without this feature gets; None makes it an error.

    Raises:
        ValueError: If the type or the shape cannot be, or the default does not fit the shape.
    """

    shape: Any
    dtype: DTypeLike
    default_value: ArrayLike | None = None

    def __post_init__(self) -> None:
        sizes = (self.shape,) if isinstance(self.shape, int) else tuple(self.shape)
        if not all(isinstance(size, (int, np.integer)) and size > 0 for size in sizes):
            raise ValueError(f"shape must hold positive sizes, got {self.shape!r}")
        dtype = np.dtype(self.dtype)
        if dtype not in (np.float32, np.int64):
            raise ValueError(
                f"dtype must be float32 or int64, the numbers that a tf.Example holds; got {dtype}"
            )
        object.__setattr__(self, "shape", tuple(int(size) for size in sizes))
        object.__setattr__(self, "dtype", dtype)
        self.default()

    def default(self) -> np.ndarray[Any, Any]:
        """The default as an array of the feature's shape; without elements if there is none."""
        if self.default_value is None:
            return np.empty(0, self.dtype)
        try:
            return np.broadcast_to(np.asarray(self.default_value, self.dtype), self.shape)
        except (TypeError, ValueError):
            raise ValueError(
                f"default_value must fit the shape {self.shape} and the type {self.dtype}, got "
                f"{self.default_value!r}"
            ) from None


def build_raw_serving_input_receiver_fn(
    features: Mapping[str, Described], default_batch_size: int | None = None
) -> ServingInputReceiverFunction:
    """Builds a serving_input_receiver_fn for requests that hold the features as they are.

    Args:
        features: The features by name: placeholders, TensorSpecs, or arrays such as the model was
            trained on. Only type and shape count, and the first axis is the batch.
        default_batch_size: The number of rows of each request; None leaves it open.

    Returns:
        A function for `export_savedmodel`.

    Raises:
        ValueError: If `features` is not a dict of such things, or one has no axis for the batch.

    >>> receive = build_raw_serving_input_receiver_fn({"x": np.zeros((1, 2), np.float32)})
    >>> receive().named_receivers["x"].shape
    (None, 2)
    """
    if not isinstance(features, Mapping) or not features:
        raise ValueError(f"features must be a dict of features by name, got {features!r}")
    described = {}
    for name, feature in features.items():
        if not isinstance(name, str):
            raise ValueError(f"names of features must be strings, got {name!r}")
        if not hasattr(feature, "dtype") or not hasattr(feature, "shape"):
            raise ValueError(
                f"features[{name!r}] must have a dtype and a shape, as placeholders and arrays do; "
                f"got {feature!r}"
            )
        if len(feature.shape) == 0:
            raise ValueError(f"features[{name!r}] has the shape (); its first axis is the batch")
        described[name] = (np.dtype(feature.dtype), (default_batch_size, *feature.shape[1:]))

    def serving_input_receiver_fn() -> ServingInputReceiver:
        tensors = {
            name: placeholder(dtype, shape, name) for name, (dtype, shape) in described.items()
        }
        return ServingInputReceiver(tensors, tensors)

    return serving_input_receiver_fn


def build_columns_serving_input_receiver_fn(
    columns: Sequence[str], dtype: DTypeLike = np.float32
) -> ServingInputReceiverFunction:
    """Builds a serving_input_receiver_fn for points whose columns have names.

    Requests hold `points`, a matrix [n, d] of the columns in their order. For the signatures that
    begin with "columns:" they hold each column [n] by its name, in any order.

    Args:
        columns: The names, in the order in which the model was trained with them.
        dtype: Their type.

    Returns:
        A function for `export_savedmodel`.

    Raises:
        TypeError: If `columns` is not a list of strings.
        ValueError: If it is empty, or TensorFlow 2 could not load inputs of these names; see
            `check_argument_names`.

    >>> receiver = build_columns_serving_input_receiver_fn(["height", "width"])()
    >>> list(receiver.named_receivers)
    ['points']
    >>> list(receiver.named_alternatives["columns"].named_receivers)
    ['height', 'width']
    """
    names = check_columns(columns)
    if not names:
        raise ValueError("columns must have at least one name, got []")
    check_argument_names(names)
    kind = np.dtype(dtype)

    def serving_input_receiver_fn() -> ServingInputReceiver:
        points = placeholder(kind, (None, len(names)), POINTS)
        each = {name: placeholder(kind, (None,), name) for name in names}
        joined = concat_columns([as_columns(tensor) for tensor in each.values()])
        by_name = ServingInputReceiver(joined, each)
        return ServingInputReceiver(points, {POINTS: points}, {COLUMNS: by_name})

    return serving_input_receiver_fn


def build_parsing_serving_input_receiver_fn(
    feature_spec: Mapping[str, FixedLenFeature], default_batch_size: int | None = None
) -> ServingInputReceiverFunction:
    """Builds a serving_input_receiver_fn for requests that hold serialized tf.Example protos.

    Args:
        feature_spec: How to parse each feature, by its name in the protos.
        default_batch_size: The number of examples of each request; None leaves it open.

    Returns:
        A function for `export_savedmodel`. Requests fill the input "examples".

    Raises:
        ValueError: If `feature_spec` is not a dict of FixedLenFeature.

    >>> receive = build_parsing_serving_input_receiver_fn({"x": FixedLenFeature([2], np.float32)})
    >>> receive().features["x"].shape
    (None, 2)
    """
    spec = _check_feature_spec("feature_spec", feature_spec)

    def serving_input_receiver_fn() -> ServingInputReceiver:
        serialized = placeholder(_STRING, (default_batch_size,), "input_example_tensor")
        return ServingInputReceiver(_parse_examples(serialized, spec), {EXAMPLES: serialized})

    return serving_input_receiver_fn


def parse_example(serialized: Tensor, features: Mapping[str, FixedLenFeature]) -> dict[str, Tensor]:
    """The features of a batch of serialized tf.Example protos, for receivers of one's own.

    Args:
        serialized: The protos, [n] of the type "S": a placeholder that requests fill.
        features: How to parse each feature, by its name in the protos.

    Returns:
        A tensor [n, *shape] for each feature.

    Raises:
        ValueError: If `serialized` is not a vector of strings, or `features` not a dict of
            FixedLenFeature.

    A receiver whose requests fill the input "rows":

    >>> def receive():
    ...     rows = placeholder("S", (None,), "rows")
    ...     return ServingInputReceiver(
    ...         parse_example(rows, {"x": FixedLenFeature([2], np.float32)}), {"rows": rows}
    ...     )
    >>> receive().features["x"].shape
    (None, 2)
    """
    if not isinstance(serialized, Tensor) or serialized.dtype.kind != "S":
        raise ValueError(f'serialized must be a tensor of the type "S", got {serialized!r}')
    if len(serialized.shape) != 1:
        raise ValueError(f"serialized must have one axis, got the shape {serialized.shape}")
    return _parse_examples(serialized, _check_feature_spec("features", features))


def _check_feature_spec(argument: str, spec: Any) -> dict[str, FixedLenFeature]:
    if not isinstance(spec, Mapping) or not spec:
        raise ValueError(f"{argument} must be a dict of FixedLenFeature by name, got {spec!r}")
    for name, feature in spec.items():
        if not isinstance(name, str) or not isinstance(feature, FixedLenFeature):
            raise ValueError(
                f"{argument}[{name!r}] must be a FixedLenFeature with a string for a name, got "
                f"{feature!r}"
            )
    return dict(spec)


def _parse_examples(serialized: Tensor, spec: Mapping[str, FixedLenFeature]) -> dict[str, Tensor]:
    """The features of a batch of serialized tf.Examples, [n, *shape] each."""
    names = sorted(spec)
    features = [spec[name] for name in names]
    node = Node(
        "ParseExample",
        (
            serialized,
            constant(np.empty(0, "S1")),
            *(constant(np.array(name.encode())) for name in names),
            *(constant(feature.default()) for feature in features),
        ),
        {
            "Nsparse": 0,
            "Ndense": len(names),
            "sparse_types": [],
            "Tdense": [feature.dtype for feature in features],
            "dense_shapes": [feature.shape for feature in features],
        },
        "ParseExample",
        output="dense_values",
    )
    return {
        name: Tensor(node, np.dtype(feature.dtype), (*serialized.shape, *feature.shape), index)
        for index, (name, feature) in enumerate(zip(names, features, strict=True))
    }


def _check_tensors(name: str, value: Any) -> None:
    if isinstance(value, Tensor):
        return
    if not isinstance(value, Mapping) or not value:
        raise ValueError(f"{name} must be a tensor or a dict of them by name, got {value!r}")
    for key, tensor in value.items():
        if not isinstance(key, str):
            raise ValueError(f"names in {name} must be strings, got {key!r}")
        if not isinstance(tensor, Tensor):
            raise ValueError(f"{name}[{key!r}] must be a tensor, got {tensor!r}")
