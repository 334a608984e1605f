"""How many rows an input has, as far as reading it has told."""

from __future__ import annotations


class RowCount:
    """The number of rows of an input, which may be read several times.

    It is an estimate until the input was read once: from the rows so far, and how much of the file
    they take.

    >>> count = RowCount()
    >>> count.estimate(50, 0.25)
    >>> count.expect()
    (200, True)
    >>> count.know(190)
    >>> count.estimate(50, 0.25)
    >>> count.expect(), count.exact
    ((190, False), 190)
    """

    def __init__(self) -> None:
        self._known: tuple[int, bool] | None = None

    @property
    def exact(self) -> int | None:
        """The number of rows; None if it is not known for certain."""
        return None if self._known is None or self._known[1] else self._known[0]

    def expect(self) -> tuple[int, bool] | None:
        """The number of rows, and whether it is an estimate; None as long as nothing is known."""
        return self._known

    def estimate(self, num_rows: int, share: float | None) -> None:
        """Takes in that so many rows are a share of all, which may not be known."""
        if self.exact is None and share:
            self._known = round(num_rows / min(share, 1.0)), True

    def know(self, num_rows: int) -> None:
        """Takes in that there are so many rows."""
        self._known = num_rows, False
