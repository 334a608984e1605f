"""One batch, from the source that yields it to the step that takes it, and what a source is."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Iterator, Mapping, MutableMapping
from typing import Any, NamedTuple, Protocol, Self, TypeAlias, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")

Position: TypeAlias = dict[str, Any]
Mask: TypeAlias = NDArray[np.bool_]

# Where a row of a batch came from, by its number and that of a column; None: the whole row.
Origin: TypeAlias = Callable[[int, int | None], str]

_UNSET: Any = object()


class TableColumn(NamedTuple):
    """What one or more columns of a matrix were in the table that it was made of.

    Attributes:
        name: The name of the column.
        width: How many columns of the matrix it became.
        dtype: Its type.
    """

    name: str
    width: int
    dtype: np.dtype[Any]


class Batch:
    """One batch of an input, as the functions of an EstimatorSpec get it.

    Attributes:
        features: [n, ...] with n at least 1, dense or compressed sparse rows, or a dict of such.
            A source gives them as they are, in a tuple if there are labels; the stream converts
            them.
        labels: Converted in the same way, of any type; None if there are none.
        index: The number of the batch within this call, from 0.
        variables: The variables of the session; `train_op` writes its results here.
        random: The generator of the session, seeded with the spec's `random_seed`. Checkpoints
            hold its state.
        epoch: Which pass over the data the batch belongs to, counted from 0, for sources of
            `centroids.inputs`; None if the input does not say.
        position: Where the source stands after this batch, as JSON can hold it; None if that cannot
            be saved.
        keep: Which rows the stream should keep, as the source says; None: all.
        num_dropped_rows: The bad rows left out since the previous batch: of this one, and of any in
            between that had no other rows. Always 0 unless the source drops bad rows.
        may_change: Whether the input may write a later batch into the same memory. If not, and the
            features are the same object as before, rows are read again only where needed.
        origin: Says where a row came from, by its number in the batch and, if it is about one
            column, that of the column: "points.csv, line 7, column 'height'". None if that is not
            known.
        names: For the first batch, the names of the columns in their order; None if it has none.
        weights: [n] float64, how much each row counts; None: all count as one.
    """

    def __init__(
        self,
        features: Any,
        labels: Any = None,
        index: int = 0,
        variables: MutableMapping[str, NDArray[Any]] | None = None,
        random: np.random.Generator | None = None,
        epoch: int | None = None,
        *,
        position: Position | None = None,
        keep: Mask | None = None,
        may_change: bool = False,
        origin: Origin | None = None,
        names: tuple[str, ...] | None = None,
        weights: NDArray[np.float64] | None = None,
    ) -> None:
        self.features, self.labels = features, labels
        self.index = index
        self.variables = {} if variables is None else variables
        self._random = random
        self.epoch, self.position = epoch, position
        self.keep, self.num_dropped_rows = keep, 0
        self.may_change, self.origin, self.names = may_change, origin, names
        self.weights = weights
        self._values: dict[Any, Any] = {}

    @property
    def random(self) -> np.random.Generator:
        """The generator of the session."""
        if self._random is None:
            self._random = np.random.default_rng(0)
        return self._random

    def get(self, function: Callable[[Batch], T]) -> T:
        """Returns `function(self)`, evaluated at most once for this batch.

        Use it for intermediate results that several functions of a spec share.

        >>> batch = Batch(np.array([1.0, 3.0]), None, 0, {})
        >>> def total(batch):
        ...     print("evaluated")
        ...     return float(batch.features.sum())
        >>> batch.get(total) + batch.get(total)
        evaluated
        8.0
        """
        value = self._values.get(function, _UNSET)
        if value is _UNSET:
            value = self._values[function] = function(self)
        return value  # type: ignore[no-any-return]

    def for_step(
        self,
        index: int,
        variables: MutableMapping[str, NDArray[Any]],
        random: np.random.Generator,
    ) -> Batch:
        """The batch as a session hands it to its functions, with nothing evaluated yet."""
        return Batch(
            self.features,
            self.labels,
            index,
            variables,
            random,
            self.epoch,
            position=self.position,
            may_change=self.may_change,
            origin=self.origin,
            names=self.names,
            weights=self.weights,
        )

    def kept(self) -> Self:
        """A copy of the batch, for callers that keep it while the input continues."""
        if not self.may_change:
            return self
        batch = copy.copy(self)
        batch.features, batch.labels = _copy(self.features), _copy(self.labels)
        batch.weights = _copy(self.weights)
        batch.may_change = False
        return batch


@runtime_checkable
class Source(Protocol):
    """A stream of batches that knows its position and can continue from there.

    What an input function may return, besides plain iterators and batches. Any class with these
    three methods is one.
    """

    def __iter__(self) -> Iterator[Any]:
        """Yields batches: from the restored position on once after `restore`, else from the start.

        A batch is features or (features, labels).
        """

    def position(self) -> Position | None:
        """Where the source stands after the batch yielded last.

        It is copied at once: a source may return the dict that it counts in.

        Returns:
            A dict that JSON can hold (NumPy's numbers count as Python's), or None when the position
            cannot be saved.
        """

    def restore(self, position: Position) -> None:
        """Makes the next iteration begin after the batch at which `position` was taken.

        Raises:
            ValueError: If the source is not the one of `position`; it names both values.
        """


@runtime_checkable
class BatchSource(Source, Protocol):
    """A source that says more about its batches, as those of `centroids.inputs` do."""

    def batches(self) -> Generator[Batch]:
        """Yields the same batches as `__iter__`, with everything known about each.

        Each has features (or a tuple of features and labels), its position, and what else of the
        attributes of `Batch` the source can tell. Rows to leave out are still there, and marked in
        `keep`: so labels from elsewhere can be kept in line.
        """


def copy_position(position: Any) -> Position | None:
    """A position as it is now, in the types that JSON gives back.

    Raises:
        TypeError: If it is neither None nor a dict, or JSON cannot hold it; the message names the
            place.

    >>> copy_position({"row": np.int64(3), "parts": (1, 2)})
    {'row': 3, 'parts': [1, 2]}
    """
    if position is not None and not isinstance(position, Mapping):
        raise TypeError(
            f"position() of a source must return a dict or None, got {type(position).__name__}"
        )
    copied: Position | None = _copy_part(position, "position")
    return copied


def _copy_part(value: Any, place: str) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [_copy_part(part, f"{place}[{index}]") for index, part in enumerate(value)]
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"the keys of {place} must be strings, got {key!r}")
        return {key: _copy_part(part, f"{place}[{key!r}]") for key, part in value.items()}
    raise TypeError(
        f"{place} must be what JSON can hold (numbers, strings, None, and lists and dicts of "
        f"these), got {type(value).__name__}"
    )


def _copy(columns: Any) -> Any:
    if columns is None:
        return None
    if isinstance(columns, dict):
        return {key: _copy(column) for key, column in columns.items()}
    if isinstance(columns, np.ndarray):
        return np.array(columns, order="K")
    return columns.copy()
