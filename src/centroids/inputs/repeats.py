"""Calls that never end: an input function that returns one array is called for it again and again.

The reference does so, and programs rely on it for training; but `list(kmeans.predict(lambda: x))`
then grows until memory is gone. The log says so once it has happened.
"""

from __future__ import annotations

import hashlib
import logging
from typing import Any

import numpy as np

from centroids.rows import num_rows

logger = logging.getLogger(__name__)

# Enough to tell two batches apart, and little compared with what is computed for one.
_ELEMENTS_TO_COMPARE = 1_000_000
# Equal batches whose rows are all equal may be readings of something at rest.
_REPEATS_OF_EQUAL_ROWS = 100

_AGAIN = (
    "input_fn returned the same batch of %d rows again. It is called for every batch: unless it "
    "raises StopIteration or OutOfRangeError at some point, %s"
)
PREDICT = (
    "these predictions never end; to get them once, return "
    "centroids.inputs.limit_epochs(x, num_epochs=1) from input_fn"
)
EVALUATE = (
    "this evaluation never ends; pass steps=1, or return "
    "centroids.inputs.limit_epochs(x, num_epochs=1) from input_fn"
)
TRAIN = (
    "this run never ends by itself; pass steps= or max_steps= to train, or return "
    "centroids.inputs.limit_epochs(x, num_epochs) from input_fn"
)


class RepeatWatch:
    """Looks at the first batches of an input, and logs once if they are one and the same.

    Args:
        consequence: The end of the log line.
    """

    def __init__(self, consequence: str) -> None:
        self._consequence = consequence
        self._first: Any = None
        self._digest = b""
        self._repeats_needed = 1
        self.done = False

    def see(self, features: Any, weights: Any = None) -> None:
        """Takes the next batch in."""
        if self.done:
            return
        digest, rows_differ = _look_at(features, weights)
        if not self._digest:
            self._first, self._digest = features, digest
            self._repeats_needed = 1 if rows_differ else _REPEATS_OF_EQUAL_ROWS
            return
        if digest != self._digest:  # a stream; or an array that was filled again
            self.done, self._first = True, None
            return
        self._repeats_needed -= 1
        if (features is self._first and weights is None) or self._repeats_needed == 0:
            self.done, self._first = True, None
            logger.warning(_AGAIN, num_rows(features), self._consequence)


def _look_at(features: Any, weights: Any) -> tuple[bytes, bool]:
    """A digest of a sample of a batch, and whether the rows of that differ from each other."""
    digest = hashlib.blake2b(digest_size=16)
    rows_differ = False
    columns = dict(features) if isinstance(features, dict) else {"": features}
    if weights is not None:
        columns["weights of rows"] = weights
    for name, column in columns.items():
        sample = _sample(column)
        digest.update(repr((name, column.shape, column.dtype)).encode())
        digest.update(sample.tobytes())
        rows_differ = rows_differ or bool((sample != sample[:1]).any())
    return digest.digest(), rows_differ


def _sample(rows: Any) -> Any:
    """[m, ...]: some of the rows, dense, at equal intervals."""
    width = max(1, int(np.prod(rows.shape[1:])))
    count = min(rows.shape[0], max(2, _ELEMENTS_TO_COMPARE // width))
    chosen = rows[np.linspace(0, rows.shape[0] - 1, count).astype(np.intp)]
    return chosen.toarray() if hasattr(chosen, "toarray") else np.asarray(chosen)
