"""The contract of sources whose position can be saved, and what all of ours share."""

from __future__ import annotations

import abc
import contextlib
import itertools
from collections.abc import Generator, Iterator, Mapping
from typing import Any, Protocol, TypeAlias, runtime_checkable

Position: TypeAlias = dict[str, Any]


@runtime_checkable
class Source(Protocol):
    """A stream of batches that can tell where it stands and go on from there.

    What an input function may return, beside plain iterators and batches. Any class with these
    three methods is one.
    """

    def __iter__(self) -> Iterator[Any]:
        """Yields batches: from the restored position on once after `restore`, else from the start.

        A batch is features or (features, labels).
        """

    def position(self) -> Position | None:
        """Where the source stands after the batch yielded last.

        Returns:
            A dict that JSON can hold, or None when the position cannot be saved.
        """

    def restore(self, position: Position) -> None:
        """Makes the next iteration begin after the batch at which `position` was taken.

        Raises:
            ValueError: If the source is not the one of `position`; it names both values.
        """


class EpochSource(abc.ABC):
    """A data set read epoch after epoch; its position is the epoch and the place within it.

    Args:
        kind: The name of the kind of source.
        num_epochs: How often the data is read; None: for ever.
        identity: What must be equal for a saved position to mean the same place.
    """

    def __init__(self, kind: str, num_epochs: int | None, identity: Mapping[str, Any]) -> None:
        self._identity: dict[str, Any] = {"source": kind, **identity}
        self._num_epochs = num_epochs
        self._restored: tuple[int, Position] | None = None
        self._place: tuple[int, Position] = (0, {})

    @abc.abstractmethod
    def _read_epoch(self, epoch: int, place: Position) -> Generator[tuple[Any, Position]]:
        """Yields each batch of an epoch with the place after it.

        Args:
            epoch: Counted from 0.
            place: A place that it yielded earlier, to begin after; or empty for the beginning.
        """

    @abc.abstractmethod
    def _check_place(self, place: Position) -> None:
        """Raises a ValueError if `place` cannot be in this source."""

    def __iter__(self) -> Iterator[Any]:
        """Yields the batches of the epochs that remain."""
        first_epoch, place = self._restored or (0, {})
        self._restored, self._place = None, (first_epoch, place)
        for epoch in itertools.count(first_epoch):
            if self._num_epochs is not None and epoch >= self._num_epochs:
                return
            begins, empty = not place, True
            with contextlib.closing(self._read_epoch(epoch, place)) as batches:
                for batch, place_after in batches:
                    self._place, empty = (epoch, place_after), False
                    yield batch
            if begins and empty:
                return  # no rows at all: endless epochs of them would never return
            place = {}

    def position(self) -> Position:
        """Where the source stands after the batch yielded last."""
        epoch, place = self._restored or self._place
        return {**self._identity, "epoch": epoch, **place}

    def restore(self, position: Position) -> None:
        """Makes the next iteration begin at `position`.

        Raises:
            ValueError: If the source is not the one of `position`; it names both values.
        """
        rest = dict(position)
        for key, value in self._identity.items():
            saved = rest.pop(key, None)
            if saved != value:
                raise ValueError(
                    f"the saved position is of another input: {key} was {saved!r}, now it is "
                    f"{value!r}"
                )
        epoch = rest.pop("epoch", None)
        if not isinstance(epoch, int) or epoch < 0:
            raise ValueError(f"the saved position has the epoch {epoch!r}; it must be at least 0")
        self._check_place(rest)
        self._restored = (epoch, rest)


def check_offset(place: Position, num_rows: int) -> None:
    """Raises a ValueError unless the place is empty or has an offset of 0 to `num_rows` rows."""
    offset = place.get("offset", 0)
    if not isinstance(offset, int) or not 0 <= offset <= num_rows:
        raise ValueError(
            f"the saved position is at row {offset!r} of an epoch, but the input has {num_rows} "
            "rows"
        )
