"""The error about one row of a batch. Who knows where the row came from puts that in its place."""

from __future__ import annotations


class BadRowError(ValueError):
    """A row of a batch that cannot be computed with.

    A kernel knows the row in the batch; the file that the batch was read from has it elsewhere. The
    error carries both parts of its message, so that `locate` can name the place that users know.

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
    >>> error.locate("points.csv, line 7")
    >>> print(error)
    got nan in points.csv, line 7; remove such rows
    """

    def __init__(
        self, problem: str, remedy: str, *, batch: int, row: int, column: int | None = None
    ) -> None:
        self._problem, self._remedy = problem, remedy
        self.batch, self.row, self.column = batch, row, column
        super().__init__()
        of_column = "" if column is None else f", column {column}"
        self.locate(f"batch {batch}, row {row}{of_column}")

    def locate(self, place: str) -> None:
        """Names another place in the message."""
        self.args = (f"{self._problem} in {place}; {self._remedy}",)
