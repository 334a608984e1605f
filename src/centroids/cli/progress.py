"""Signs of life for what takes longer than two seconds; see `centroids.progress`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

from numpy.typing import NDArray

from centroids.clustering import pass_watchers, restart_watchers
from centroids.inputs.row_count import RowCount
from centroids.progress import Activity
from centroids.rows import num_rows


@contextlib.contextmanager
def telling_restarts(shown: Activity) -> Iterator[None]:
    """Lets an activity say what is done before the first step.

    That is which choice of several of initial centers is being made, and how many rows have been
    read for means and deviations.
    """

    def tell(number: int, of: int) -> None:
        shown.update(what=f"choosing initial centers: {number} of {of}")

    reads = False

    def tell_rows(rows: int) -> None:
        nonlocal reads
        if not reads:
            reads = True
            shown.start()
        shown.update(what=f"reading means and deviations: {rows:,} rows")

    restart_watchers.append(tell)
    pass_watchers.append(tell_rows)
    try:
        yield
    finally:
        pass_watchers.remove(tell_rows)
        restart_watchers.remove(tell)


def count_rows(
    batches: Iterable[NDArray[Any]],
    text: str,
    total: int | None = None,
    count: RowCount | None = None,
) -> Iterator[NDArray[Any]]:
    """Hands on batches and shows how many rows there have been.

    Args:
        batches: Rows.
        text: What is being done.
        total: How many rows there will be; None: not known.
        count: What becomes known of that meanwhile.
    """
    rows = 0
    with Activity(text, total, "rows") as shown:
        for batch in batches:
            yield batch
            rows += num_rows(batch)
            expected = None if count is None or total is not None else count.expect()
            if expected is None:
                shown.update(rows)
            else:
                shown.update(rows, total=expected[0], is_estimate=expected[1])
