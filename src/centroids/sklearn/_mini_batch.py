"""`MiniBatchKMeans`: k-means of mini-batches, behind scikit-learn's interface."""

from __future__ import annotations

import contextlib
import math
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval

from centroids.clustering import (
    ClusterState,
    is_reassignment_due,
    is_small_step,
    mini_batch_update,
    mini_batch_updates,
    reassign_low_count_centers,
    rows_with_weight,
)
from centroids.kernels import Points, assign, num_rows
from centroids.progress import MOST_STEPS_AT_ONCE, Activity
from centroids.sklearn._base import BaseKMeans, Metric, Weights
from centroids.sklearn._drawing import Population
from centroids.sklearn._inputs import check_points_of, check_weights
from centroids.sklearn._lloyd import squared_shift
from centroids.sklearn._progress import Progress
from centroids.sklearn._seeding import Drawing
from centroids.sklearn._warning import warn


class MiniBatchKMeans(BaseKMeans):
    """k-means of mini-batches: a drop-in for `sklearn.cluster.MiniBatchKMeans`.

    Each batch is drawn from all rows, with replacement and by their weights, and each center
    becomes the mean of all rows it ever had.

    Args:
        n_clusters: k.
        init: "k-means++" (greedy, as in scikit-learn), "kmeans_rejection" (k-means++ with one
            candidate for each center, in far less time for thousands of clusters), "random"
            (different rows), the centers [k, d], or a function
            `f(X, n_clusters, random_state=...)` that returns them.
        max_iter: The most passes over the points, counted in rows that were drawn.
        batch_size: Rows in a batch.
        verbose: Print each batch. Terminals and notebooks then also show the time left.
        compute_labels: Whether to find `labels_` and the exact `inertia_` at the end.
        random_state: An int, a RandomState, or None for NumPy's global one.
        tol: A fit ends when the squared shift of all centers in a step is at most `tol` times the
            mean of the variances of the columns; 0: this never ends it.
        max_no_improvement: A fit ends when the smoothed inertia of the batches has not come down
            in so many of them; None: this never ends it.
        init_size: Rows that initial centers are chosen from; None: three batches, or
            3 * n_clusters where that is fewer than n_clusters.
        n_init: How many choices of initial centers are made; the best one, by the inertia of as
            many other rows, is used. "auto": 3 for "random" and for a function, else 1.
        reassignment_ratio: Now and then, centers that have seen fewer rows than this share of what
            the center with most rows has seen are moved to rows of the batch.
        metric: "squared_euclidean" or "cosine".

    Attributes:
        cluster_centers_: [k, d]; unit vectors for cosine.
        labels_: [n] int32, with `compute_labels`.
        inertia_: The sum of the distances to the nearest centers, by weight; without
            `compute_labels` an estimate by the smoothed inertia of the batches.
        n_iter_: The number of passes over the points that were begun.
        n_steps_: The number of batches.
        counts_: [k], the weights of all rows that each center has seen.
        n_features_in_: d.
        feature_names_in_: [d], if X was a table with columns named by strings.

    Source: Sculley, Web-scale k-means clustering, WWW 2010.

    >>> X = np.array([[1.0, 2.0], [1.0, 4.0], [4.0, 2.0], [4.0, 0.0]])
    >>> kmeans = MiniBatchKMeans(n_clusters=2, init=X[[0, 3]], reassignment_ratio=0)
    >>> kmeans.partial_fit(X[:2]).partial_fit(X[2:]).cluster_centers_.tolist()
    [[1.0, 3.0], [4.0, 1.0]]
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseKMeans._parameter_constraints,
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "compute_labels": ["boolean"],
        "max_no_improvement": [Interval(Integral, 0, None, closed="left"), None],
        "init_size": [Interval(Integral, 1, None, closed="left"), None],
        "reassignment_ratio": [Interval(Real, 0, None, closed="left")],
    }
    _default_n_init = 3
    _batch_size: int
    _init_size: int

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        init: Any = "k-means++",
        max_iter: int = 100,
        batch_size: int = 1024,
        verbose: int = 0,
        compute_labels: bool = True,
        random_state: Any = None,
        tol: float = 0.0,
        max_no_improvement: int | None = 10,
        init_size: int | None = None,
        n_init: Any = "auto",
        reassignment_ratio: float = 0.01,
        metric: Metric = "squared_euclidean",
    ) -> None:
        self.n_clusters = n_clusters
        self.init = init
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.verbose = verbose
        self.compute_labels = compute_labels
        self.random_state = random_state
        self.tol = tol
        self.max_no_improvement = max_no_improvement
        self.init_size = init_size
        self.n_init = n_init
        self.reassignment_ratio = reassignment_ratio
        self.metric = metric

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> MiniBatchKMeans:
        """Finds the centers from batches that are drawn from X.

        Args:
            X: [n, d], the points: an array, a table, a tensor or a sparse matrix.
            y: Ignored.
            sample_weight: [n], the weights of the rows, which they are drawn by; None: 1.

        Returns:
            The estimator.

        Raises:
            ValueError: If X or the weights are wrong, or there are fewer rows than clusters.
        """
        points = check_points_of(self, X, reset=True, order="C")
        weights = check_weights(sample_weight, num_rows(points))
        self._check_params_vs_input(points)
        random = check_random_state(self.random_state)
        population = Population(points, weights, self._init_size, random)
        self._batch_size = min(self._batch_size, population.size)
        self._begin(self._choose_best_centers(population))
        most_steps = max(int(self.max_iter) * population.size // self._batch_size, 1)
        progress = Progress(
            self._batch_size,
            population.size,
            most_steps,
            tolerance=self._tol,
            most_fruitless=self.max_no_improvement,
            verbose=bool(self.verbose),
        )
        shown = Activity("fitting mini-batches", most_steps)
        with shown if self.verbose else contextlib.nullcontext():
            at_once = self._most_at_once(population)
            while not progress.ended:
                most = min(at_once, most_steps - self.n_steps_)
                if not self._quiet_steps(population, progress, most):
                    before = self.cluster_centers_
                    inertia = self._step(population.draw(self._batch_size), None, random)
                    progress.add(inertia, squared_shift(before, self.cluster_centers_))
                shown.update(self.n_steps_, values={"inertia of a row": progress.smoothed})
        self.n_iter_ = math.ceil(self.n_steps_ * self._batch_size / population.size)
        self._finish(points, weights)
        if not self.compute_labels:
            total = num_rows(points) if weights is None else float(weights.sum())
            self.inertia_: float = np.float64(progress.smoothed * total)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> MiniBatchKMeans:
        """Updates the centers with one batch; the first one chooses initial centers, too.

        Args:
            X: [n, d], the batch.
            y: Ignored.
            sample_weight: [n], the weights of the rows; None: 1.

        Returns:
            The estimator.

        Raises:
            ValueError: If X or the weights are wrong, or the first batch has fewer rows than
                clusters.
        """
        first = not hasattr(self, "cluster_centers_")
        points = check_points_of(self, X, reset=first)
        weights = check_weights(sample_weight, num_rows(points))
        if not hasattr(self, "_random_state"):
            self._random_state = check_random_state(self.random_state)
        if first:
            self._check_params_vs_input(points)
            population = Population(points, weights, self._init_size, self._random_state)
            self._begin(self._choose_centers(population))
        self._step(points, weights, self._random_state)
        self._finish(points, weights)
        return self

    def _check_params_vs_input(self, points: Points) -> None:
        super()._check_params_vs_input(points)
        n = num_rows(points)
        self._batch_size = min(int(self.batch_size), n)
        size = 3 * self._batch_size if self.init_size is None else self.init_size
        if size < self.n_clusters:
            if self.init_size is not None:
                warn(
                    f"init_size={self.init_size} should be larger than n_clusters="
                    f"{self.n_clusters}; it is taken as min(3 * n_clusters, n_samples)",
                    RuntimeWarning,
                )
            size = 3 * int(self.n_clusters)
        self._init_size = min(size, n)

    def _begin(self, centers: NDArray[Any]) -> None:
        self.cluster_centers_ = centers
        self._n_features_out = len(centers)
        self.counts_: NDArray[Any] = np.zeros(len(centers), np.int64)
        self.n_steps_ = 0

    def _choose_centers(self, population: Population) -> NDArray[Any]:
        points, weights = population.for_centers()
        drawing = None
        if isinstance(self.init, str):
            drawing = Drawing(points, weights, cosine=self._cosine)
        return self._initial_centers(points, drawing, population.random)

    def _choose_best_centers(self, population: Population) -> NDArray[Any]:
        if self._n_init == 1:
            return self._choose_centers(population)
        others = population.draw(min(self._init_size, population.size))
        choices = []
        for turn in range(self._n_init):
            centers = self._choose_centers(population)
            inertia = assign(others, centers, cosine=self._cosine, labels=False).inertia
            if self.verbose:
                print(f"Inertia for init {turn + 1}/{self._n_init}: {inertia}")
            choices.append((inertia, turn, centers))
        return min(choices)[2]

    def _step(self, points: Points, weights: Weights, random: np.random.RandomState) -> float:
        """Updates the centers; returns the inertia of the batch before that."""
        centers, cosine = self.cluster_centers_, self._cosine
        found = assign(points, centers, cosine=cosine, update=True, labels=False, weights=weights)
        before = ClusterState(centers, self.counts_, centers, 0)
        after = mini_batch_update(before, found)
        if is_reassignment_due(before, rows_with_weight(points, weights).size, self.n_steps_):
            key, ratio = _draw_key(random), self.reassignment_ratio
            after = reassign_low_count_centers(
                after, points, ratio, key=key, cosine=cosine, weights=weights
            )
        self.cluster_centers_, self.counts_ = after.centers, after.counts
        self.n_steps_ += 1
        return found.inertia

    def _most_at_once(self, population: Population) -> int:
        """How many steps may be made in one call: 1 where somebody looks at each."""
        batch = population.points[: self._batch_size]
        watched = self.verbose or self._tol > 0 or self._cosine
        small = not watched and is_small_step(batch, self.cluster_centers_)
        return MOST_STEPS_AT_ONCE if small else 1

    def _quiet_steps(self, population: Population, progress: Progress, most: int) -> bool:
        """Makes several steps in one call; everything is as after so many single ones.

        Returns:
            Whether it made any: not where a center might be reassigned.
        """
        counts, random = self.counts_, population.random
        highest = counts.max() + most * self._batch_size  # that a count can become
        if most < 2 or counts.min() < max(self.reassignment_ratio * highest, 1):
            return False
        before = ClusterState(self.cluster_centers_, counts, self.cluster_centers_, 0)
        drawn_before = random.get_state()
        after, losses = mini_batch_updates(before, self._draw(population, before, most))
        done = 0
        while done < len(losses) and not progress.ended:
            progress.add(losses[done], math.inf)
            done += 1
        if done < most:  # the fit ends there, or the next step has something to say
            random.set_state(drawn_before)
            after, _ = mini_batch_updates(before, self._draw(population, before, done))
        self.cluster_centers_, self.counts_ = after.centers, after.counts
        self.n_steps_ += done
        return done > 0

    def _draw(
        self, population: Population, state: ClusterState, num_steps: int
    ) -> list[NDArray[Any]]:
        """The batches of the next steps, none of which reassigns a center."""
        batches = []
        for step in range(self.n_steps_, self.n_steps_ + num_steps):
            batches.append(population.draw(self._batch_size))
            if is_reassignment_due(state, self._batch_size, step):
                _draw_key(population.random)  # as it does before it looks which are to move
        return batches

    def _finish(self, points: Points, weights: Weights) -> None:
        if self.compute_labels:
            found = self._nearest(points, weights, labels=True)
            self.labels_, self.inertia_ = found.cluster_index, found.inertia


def _draw_key(random: np.random.RandomState) -> list[int]:
    """What rows are drawn by that centers are moved to."""
    key: list[int] = random.randint(1 << 31, size=2).tolist()
    return key
