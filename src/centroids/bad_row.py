"""The error about one row of a batch. Who knows where the row came from puts that in its place."""

from __future__ import annotations

from collections.abc import Callable


class BadRowError(ValueError):
    """A row of a batch that cannot be computed with.

    A kernel knows the row in the batch; the file that the batch was read from has it elsewhere. So
    the error carries the parts of its message, for `describe` to name the place that users know.

    Attributes:
        batch: The number of the batch, from 0.
        row: The row in it.
        column: The column; None if it is the whole row.

    Args:
        problem: What is wrong.
        remedy: What to do about it.
        batch: See the attributes, as for the others.
        row: See there.
        column: See there.

    >>> error = BadRowError("got nan", "remove such rows", batch=2, row=0, column=1)
    >>> print(error)
    got nan in batch 2, row 0, column 1; remove such rows
    >>> error.describe("points.csv, line 7")
    'got nan in points.csv, line 7; remove such rows'
    """

    def __init__(
        self, problem: str, remedy: str, *, batch: int, row: int, column: int | None = None
    ) -> None:
        self._problem, self._remedy = problem, remedy
        self.batch, self.row, self.column = batch, row, column
        of_column = "" if column is None else f", column {column}"
        super().__init__(self.describe(f"batch {batch}, row {row}{of_column}"))

    def describe(self, place: str) -> str:
        """The message with another place in it."""
        return f"{self._problem} in {place}; {self._remedy}"

    def at_origin(self, origin: Callable[[int, int | None], str] | None) -> ValueError:
        """The error to show: with the place that `origin` says of row and column, if it is known.

        Its class is Python's own: who catches it needs to know no other.
        """
        if origin is None:
            return ValueError(str(self))
        return ValueError(self.describe(origin(self.row, self.column)))
