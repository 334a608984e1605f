"""When a fit of mini-batches has got as far as it will."""

from __future__ import annotations


class Progress:
    """Follows the batches of a fit, by the rules of scikit-learn's MiniBatchKMeans.

    A fit ends after a number of steps; before that if its centers hardly move, or if the smoothed
    inertia of its batches does not come down. The inertia of the first batch, which is that of the
    initial centers, does not count.

    Args:
        batch_size: Rows of a batch.
        size: Rows that batches are drawn from.
        num_steps: The most batches.
        tolerance: Of the squared shift of all centers in a step; 0: does not end a fit.
        most_fruitless: Batches without a lower smoothed inertia that end a fit; None: none do.
        verbose: Print each batch, as scikit-learn does.

    Attributes:
        ended: Whether the fit is at its end.
        smoothed: The smoothed inertia of a row.

    >>> progress = Progress(5, 100, 9, tolerance=0.0, most_fruitless=1, verbose=False)
    >>> for inertia in (40.0, 20.0, 30.0):
    ...     progress.add(inertia, 1.0)
    >>> progress.ended, round(progress.smoothed, 2)
    (True, 4.2)
    """

    def __init__(
        self,
        batch_size: int,
        size: int,
        num_steps: int,
        *,
        tolerance: float,
        most_fruitless: int | None,
        verbose: bool,
    ) -> None:
        self._batch_size, self._num_steps, self._verbose = batch_size, num_steps, verbose
        self._tolerance, self._most_fruitless = tolerance, most_fruitless
        self._share = min(2 * batch_size / (size + 1), 1.0)
        self._step = self._fruitless = 0
        self._lowest = float("inf")
        self.ended, self.smoothed = False, 0.0

    def add(self, inertia: float, squared_shift: float) -> None:
        """Takes note of a batch.

        Args:
            inertia: Of the batch, before the centers moved.
            squared_shift: How far they did.
        """
        self._step += 1
        self.ended = self._step >= self._num_steps
        inertia /= self._batch_size
        new = (
            inertia if self._step <= 2 else (inertia - self.smoothed) * self._share + self.smoothed
        )
        self.smoothed = new
        self._say(f"mean batch inertia: {inertia}, smoothed: {new}")
        if self._step == 1:
            return
        if self._tolerance > 0 and squared_shift <= self._tolerance:
            self._end("small centers change")
            return
        self._fruitless = 0 if new < self._lowest else self._fruitless + 1
        self._lowest = min(self._lowest, new)
        if self._most_fruitless is not None and self._fruitless >= self._most_fruitless:
            self._end("lack of improvement in inertia")

    def _end(self, reason: str) -> None:
        self.ended = True
        self._say(f"Converged ({reason})")

    def _say(self, what: str) -> None:
        if self._verbose:
            print(f"Minibatch step {self._step}/{self._num_steps}: {what}")
