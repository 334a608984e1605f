"""How many clusters: a range of numbers, measured on a sample and on all points."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from centroids import clustering, kernels
from centroids.checks import check_bool, check_choice, check_integer
from centroids.errors import Argument, WordedError
from centroids.inputs.missing import MissingValues
from centroids.progress import Activity
from centroids.quality import _measures as measures
from centroids.quality._points import PreparedPoints
from centroids.quality._results import Candidate, NumClusters
from centroids.quality._sources import is_source, read_sample
from centroids.rows import is_sparse, split_weights, with_weights

_MOST_SAMPLE_ROWS = 1 << 14
_MOST_SILHOUETTE_ROWS = 3_000
_MOST_SILHOUETTE_VALUES = 1 << 25
_ITERATIONS = 100
_RESTARTS = 3
_RESAMPLES = 5
# Below it there is no substantial structure: Kaufman and Rousseeuw, Finding groups in data, 1990.
_LEAST_SILHOUETTE = 0.25
_STABLE = 0.8
_AS_GOOD = 0.01


def _fits(
    measured: _Measured, numbers: Sequence[int], progress: Callable[[int], None] | bool | None
) -> dict[int, tuple[NDArray[Any], float, float, float]]:
    shown = Activity("clustering a sample", len(numbers), "numbers of clusters")
    found = {}
    with shown if progress is True else contextlib.nullcontext():
        for done, number in enumerate(numbers):
            shown.update(done, f"clustering a sample into {number:,} clusters")
            if callable(progress):
                progress(number)
            found[number] = measured.fit(number)
    return found


def choose_num_clusters(
    points: Any,
    num_clusters: Iterable[int] = range(2, 21),
    *,
    weights: ArrayLike | str | None = None,
    cosine: bool = False,
    missing: MissingValues = "raise",
    standardize: bool = False,
    seed: int = 0,
    sample_rows: int = _MOST_SAMPLE_ROWS,
    batches: Callable[[], Iterable[Any]] | None = None,
    progress: Callable[[int], None] | bool | None = True,
) -> NumClusters:
    """Measures clusterings into several numbers of clusters, and recommends one of the numbers.

    Each number is clustered to the end, three times from k-means++, on a random sample. The
    silhouette is exact for up to 3,000 rows of it; the inertia and the Calinski-Harabasz index
    are those of all points. For the stability, two halves of the sample are clustered, five
    times, and the labels that they give to the same points are compared (Lange, Roth, Braun and
    Buhmann, Stability-based validation of clustering solutions, Neural Computation 16, 2004).

    The recommendation is the number with the highest silhouette; if several are within 0.01 of it,
    the most stable one (to two digits; then the one with the highest Calinski-Harabasz index).
    If no silhouette reaches 0.25, the points have no clear clusters; then it is the knee of the
    inertia, and the reason says so.

    With weights every measure counts a point by its weight: as so many equal points in inertia,
    silhouette, Davies-Bouldin and Calinski-Harabasz index. The last one needs weights that are
    numbers of points; if they add up to no more than the number of clusters, it is NaN. For the
    stability a pair of points counts by the product of their weights. Samples and halves are drawn
    regardless of weights, and keep them.

    Args:
        points: [n, d] array or sparse matrix. If `batches` is given: a random sample of them. Or
            what `centroids.inputs.table_input_fn` takes (a path, a query, a LazyFrame, a
            DataLoader), or an input function. It is read in bounded memory: once for a random
            sample of `sample_rows` rows, which is clustered, and again for the measures of all
            points, and for means where there are such.
        num_clusters: The numbers to try, each at least 2.
        weights: [n], how much each point counts, finite and not negative; None: 1. Of points that
            are read: the name of the column that holds them.
        cosine: Use the cosine distance.
        missing: What becomes of missing values, which are NaN, as in KMeansClustering: "raise",
            "drop" leaves out their rows, "mean" takes the mean of the column.
        standardize: Subtract from each column its mean and divide by its standard deviation.
        seed: Of the sample, the initial centers and the halves: equal seeds, equal results.
        sample_rows: How many rows to cluster at most.
        batches: Makes an iterable over all points in batches, for those that are not in memory. It
            is called once, or twice with `standardize` or missing="mean", whose means are those of
            all points. With weights it makes pairs of points and their weights.
        progress: True shows a bar on a terminal or in a notebook after two seconds; False or None
            shows nothing; a function is called with each number before its clusterings.

    Raises:
        TypeError: If points or weights are not real numbers, or a number of clusters is not an
            integer.
        ValueError: If a number is below 2, there are not more points (of a weight above 0) than the
            highest number, a point is infinite, or NaN with missing="raise", a column has no value,
            or a weight is negative or not finite.

    >>> random = np.random.default_rng(0)
    >>> places = np.array([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
    >>> points = places[random.integers(3, size=300)] + random.normal(size=(300, 2))
    >>> found = choose_num_clusters(points, range(2, 7))
    >>> found.num_clusters
    3
    >>> print(found.reason)  # doctest: +ELLIPSIS
    3 clusters: they have the highest silhouette (0.79), and are stable (1.00)...
    """
    numbers = _checked_numbers(num_clusters)
    check_integer("sample_rows", sample_rows, lowest=2)
    check_choice("missing", missing, get_args(MissingValues))
    if is_source(points) or isinstance(weights, str):
        points, weights, batches = read_sample(
            points, weights, batches, missing, sample_rows, seed, shows=progress is True
        )
    every = PreparedPoints(
        points,
        weights,
        batches,
        missing=missing,
        standardize=check_bool("standardize", standardize),
    )
    own = every.weights
    random = np.random.default_rng([seed, 0])
    sample = _sampled(with_weights(every.points, own), sample_rows, random)
    sampled = sample.shape[0]
    _check_enough(numbers, sampled, _num_counting(every.points, own))
    measured = _Measured(sample, cosine, seed)
    fits = _fits(measured, numbers, progress)
    centers = {number: fit[0] for number, fit in fits.items()}
    found = _over_all(every, centers, cosine, measured.mean, shows=progress is True)
    candidates = tuple(
        Candidate(
            number,
            found.inertia[number],
            fits[number][1],
            fits[number][2],
            found.calinski_harabasz(number),
            fits[number][3],
        )
        for number in numbers
    )
    place = _knee_of(candidates)
    # More clusters than there are different points: some are empty, and the rest is as before.
    full = [each for each in candidates if found.filled[each.num_clusters] == each.num_clusters]
    best, reason = _recommend(full or candidates[:1], place)
    return NumClusters(
        best,
        reason,
        candidates,
        place,
        found.num_points,
        sampled,
        None if own is None else found.total_weight,
    )


def _num_counting(points: Any, weights: NDArray[np.float64] | None) -> int:
    return kernels.num_rows(points) if weights is None else int(np.count_nonzero(weights))


def _sampled(points: Any, most: int, random: np.random.Generator) -> Any:
    """As many points at random, of those that count."""
    _, weights = split_weights(points)
    count = _num_counting(points, weights)
    rows = None if weights is None or count == len(weights) else np.flatnonzero(weights)
    if count > most:
        drawn = np.sort(random.choice(count, most, replace=False))
        rows = drawn if rows is None else rows[drawn]
    return points if rows is None else points[rows]


class _Measured:
    """A sample, and what clusterings of it come to."""

    def __init__(self, sample: Any, cosine: bool, seed: int) -> None:
        self._sample, self._cosine, self._seed = sample, cosine, seed
        shown, self._weights = split_weights(_shown_rows(sample, np.random.default_rng([seed, 1])))
        dense = np.asarray(shown.toarray() if is_sparse(shown) else shown)
        self._shown = kernels.l2_normalize(dense) if cosine else dense
        self._distances = measures.pair_distances(dense, cosine=cosine)
        points, weights = split_weights(sample)
        start = np.zeros((1, sample.shape[1]))
        one = kernels.assign(points, start, cosine=cosine, update=True, weights=weights)
        sums, counts = _sums_and_counts(one)
        self.mean: NDArray[np.float64] = sums[0] / counts[0]

    def fit(self, number: int) -> tuple[NDArray[Any], float, float, float]:
        """The centers, the silhouette, the Davies-Bouldin index and the stability."""
        centers = _cluster(self._sample, number, self._cosine, [self._seed, 2, number])
        labels = self._labels(centers)
        return (
            centers,
            measures.silhouette(self._distances, labels, self._weights),
            measures.davies_bouldin(self._shown.astype(np.float64), labels, self._weights),
            self._stability(number),
        )

    def _stability(self, number: int) -> float:
        count = self._sample.shape[0]
        if count < 2 * number:
            return math.nan
        agreed = []
        for turn in range(_RESAMPLES):
            seeds = [self._seed, 3, number, turn]
            order = np.random.default_rng(seeds).permutation(count)
            halves = (np.sort(order[: count // 2]), np.sort(order[count // 2 :]))
            one, other = (
                self._labels(_cluster(self._sample[half], number, self._cosine, [*seeds, side]))
                for side, half in enumerate(halves)
            )
            agreed.append(measures.adjusted_rand(one, other, self._weights))
        return float(np.mean(agreed))

    def _labels(self, centers: NDArray[Any]) -> measures.Labels:
        assigned = kernels.assign(self._shown, centers, cosine=self._cosine, inertia=False)
        return np.asarray(assigned.cluster_index, np.int64)


@dataclass
class _OverAll:
    """Sums over all points."""

    inertia: dict[int, float]
    within: dict[int, float]
    filled: dict[int, int]
    total: float
    num_points: int
    total_weight: float

    def calinski_harabasz(self, number: int) -> float:
        return measures.calinski_harabasz(
            self.total, self.within[number], self.total_weight, self.filled[number]
        )


def _over_all(
    points: PreparedPoints,
    centers: dict[int, NDArray[Any]],
    cosine: bool,
    shift: NDArray[np.float64],
    *,
    shows: bool,
) -> _OverAll:
    """One pass over all points, for all numbers of clusters.

    The sums of squares about means follow from those about centers: sum |x - m|^2 =
    sum |x - c|^2 - n |m - c|^2.
    """
    tried = {**centers, 1: (kernels.l2_normalize(shift[None]) if cosine else shift[None])}
    sums: dict[int, kernels.PartialAssignment] = {}
    num_points = 0
    shown = Activity("measuring all points", unit="rows")
    with shown if shows else contextlib.nullcontext():
        for index, (rows, weights) in enumerate(points.batches()):
            with clustering.locate_bad_points(index):
                for number, of_number in tried.items():
                    part = kernels.assign_partial(rows, of_number, cosine=cosine, weights=weights)
                    sums[number] = sums[number] + part if number in sums else part
            num_points += kernels.num_rows(rows)
            shown.update(num_points)
    found = {number: part.finish() for number, part in sums.items()}
    within = {}
    for number, assigned in found.items():
        sums_of, counts = _sums_and_counts(assigned)
        means = sums_of / np.where(counts > 0, counts, 1)[:, None]
        moved = ((means - tried[number]) ** 2).sum(axis=1)
        # Half of the square of a chord is the cosine distance of its ends.
        squares = assigned.inertia * (2 if cosine else 1)
        within[number] = max(float(squares - (counts * moved).sum()), 0.0)
    return _OverAll(
        {number: float(found[number].inertia) for number in centers},
        {number: within[number] for number in centers},
        {number: int((_sums_and_counts(found[number])[1] > 0).sum()) for number in centers},
        within[1],
        num_points,
        float(_sums_and_counts(found[1])[1].sum()),
    )


def _sums_and_counts(assigned: kernels.Assignment) -> tuple[NDArray[np.float64], kernels.Counts]:
    assert assigned.sums is not None
    assert assigned.counts is not None
    return assigned.sums, assigned.counts


def _cluster(sample: Any, number: int, cosine: bool, seeds: Sequence[int]) -> NDArray[Any]:
    """The centers of the best of several whole fits."""
    points, weights = split_weights(sample)
    best: tuple[float, NDArray[Any]] | None = None
    memory = kernels.AssignmentMemory()
    for turn in range(_RESTARTS):
        centers = clustering.choose_initial_centers(
            [sample],
            number,
            "kmeans_plus_plus",
            seed=np.random.default_rng([*seeds, turn]),
            cosine=cosine,
            whole_input_in_batch=True,
        )
        inertia = math.inf
        iterations = clustering.lloyd_iterations(
            points, centers, memory=memory, cosine=cosine, weights=weights
        )
        for assigned, moved in itertools.islice(iterations, _ITERATIONS):
            if not assigned.inertia < inertia:
                break
            inertia, centers = float(assigned.inertia), moved
        if best is None or inertia < best[0]:
            best = (inertia, centers)
    assert best is not None
    return best[1]


def _shown_rows(sample: Any, random: np.random.Generator) -> Any:
    """As many rows as all pairs of them may be compared."""
    fitting = _MOST_SILHOUETTE_VALUES // max(sample.shape[1], 1)
    most = max(min(_MOST_SILHOUETTE_ROWS, fitting), 2)
    return _sampled(sample, most, random)


def _knee_of(candidates: Sequence[Candidate]) -> int | None:
    """The knee, where the numbers are equally far apart."""
    numbers = [found.num_clusters for found in candidates]
    if len({b - a for a, b in itertools.pairwise(numbers)}) > 1:
        return None
    place = measures.knee([found.inertia for found in candidates])
    return None if place is None else numbers[place]


def _recommend(candidates: Sequence[Candidate], place: int | None) -> tuple[int, str]:
    scores = [found.silhouette for found in candidates if not math.isnan(found.silhouette)]
    highest = max(scores, default=math.nan)
    if not highest >= _LEAST_SILHOUETTE:
        bends = place is not None and any(each.num_clusters == place for each in candidates)
        number = place if place is not None and bends else candidates[0].num_clusters
        why = "where the inertia bends most" if bends else "the lowest number that was tried"
        known = (
            "there is no silhouette"
            if math.isnan(highest)
            else f"the highest silhouette is {highest:.2f}"
        )
        return number, (
            f"{number} clusters, but be careful with it: no number gives clear clusters ({known}); "
            f"it is {why}."
        )
    as_good = [found for found in candidates if found.silhouette >= highest - _AS_GOOD]
    best = max(as_good, key=_stability_then_variance)
    first = (
        "they have the highest silhouette"
        if best.silhouette == highest
        else ("their silhouette is among the highest")
    )
    if math.isnan(best.stability):
        stable = "there are too few points to tell how stable they are"
    else:
        stable = "are stable" if best.stability >= _STABLE else "are not very stable"
        stable += f" ({best.stability:.2f})"
    bend = "; the inertia bends there, too" if best.num_clusters == place else ""
    return best.num_clusters, (
        f"{best.num_clusters} clusters: {first} ({best.silhouette:.2f}), and {stable}{bend}."
    )


def _stability_then_variance(found: Candidate) -> tuple[float, float]:
    stability = 0.0 if math.isnan(found.stability) else found.stability
    variance = 0.0 if math.isnan(found.calinski_harabasz) else found.calinski_harabasz
    return round(stability, 2), variance


def _checked_numbers(num_clusters: Iterable[int]) -> list[int]:
    numbers = sorted({check_integer("num_clusters", n, lowest=2) for n in num_clusters})
    if not numbers:
        raise ValueError("num_clusters must hold at least one number, got none")
    return numbers


def _check_enough(numbers: Sequence[int], sampled: int, count: int) -> None:
    if numbers[-1] >= sampled:
        of = f"{count:,} points" if sampled == count else f"sample_rows = {sampled:,}"
        told = f" goes up to {numbers[-1]:,}, which must be below {of}"
        raise WordedError(Argument("num_clusters"), told)
