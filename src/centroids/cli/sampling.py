"""A random sample of the rows of a file, and initial centers that are chosen from it."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids import clustering, kernels
from centroids.cli.errors import without_log_of
from centroids.cli.points_file import PointsFile, as_matrix, num_rows_of
from centroids.cli.progress import count_rows, telling_restarts
from centroids.inputs.bad_rows import BadRows, is_not_infinite
from centroids.inputs.drawing import LowestNumbers
from centroids.inputs.missing import Treatment
from centroids.inputs.npy import NpyFile
from centroids.progress import Activity
from centroids.rows import (
    Rows,
    WeightedPoints,
    is_sparse,
    split_weights,
    with_weights,
)

_READ_ROWS = 1 << 14
_SAMPLE_ROWS = 1 << 16
_SAMPLE_BYTES = 64 << 20
_SAMPLE_ROWS_PER_CLUSTER = 20


@dataclass(frozen=True)
class Sample:
    """Rows drawn without replacement.

    Attributes:
        points: [m, d], the rows in the order of the file, of those that are finite. Weights are
            the last column, if there are such.
        num_rows: How many rows the file has.
    """

    points: NDArray[Any]
    num_rows: int


def choose_from_sample(
    file: PointsFile,
    num_clusters: int,
    method: clustering.InitialMethod,
    *,
    bad_rows: BadRows,
    seed: int,
    cosine: bool,
    num_retries: int,
    num_restarts: int,
    standardize: bool = False,
) -> NDArray[Any]:
    """Initial centers from a random sample of a file, as a full batch has them from all its rows.

    The sample is as large as 64 MiB allow, 65,536 rows at most, but at least 20 rows for each
    cluster. It depends on the file and the seed alone. Of several restarts the one with the lowest
    loss on the sample is taken. Missing values are filled, and columns scaled, by the means and
    deviations of the sample.

    Returns:
        [num_clusters, d], rows of the file (L2-normalised for cosine).

    Raises:
        ValueError: If the file has fewer rows than clusters are asked for.
        OSError: If it cannot be read.
    """
    # Two generators: what a file of another format draws for its sample changes no choice.
    drawing, choosing = (np.random.default_rng([seed, use]) for use in (0, 1))
    at_least = _SAMPLE_ROWS_PER_CLUSTER * num_clusters
    sample = draw_sample(file, at_least, drawing, bad_rows)
    check_enough(num_clusters, sample.num_rows, file.path)
    check_enough(num_clusters, sample.points.shape[0], file.path)
    points: Rows | WeightedPoints = sample.points
    if file.weighted:
        points = weighted_sample(sample.points)
    preparation = None
    if standardize or file.missing == "keep":
        rows, weights = split_weights(points)
        with file.naming_empty_columns():
            preparation = clustering.fit_preparation(
                kernels.sum_columns(rows, weights),
                standardize=standardize,
                fills=file.missing == "keep",
            )
        points = with_weights(preparation.prepare(rows), weights)
    batches = clustering.PulledBatches(iter([points]))
    choose = functools.partial(
        clustering.choose_initial_centers,
        batches,
        num_clusters,
        method,
        seed=choosing,
        cosine=cosine,
        num_retries=num_retries,
        whole_input_in_batch=True,
    )
    with Activity("choosing initial centers") as shown, telling_restarts(shown):
        centers = clustering.choose_best_centers(choose, num_restarts, batches, cosine=cosine)
    return centers if preparation is None else preparation.undo(centers)


def weighted_sample(rows: NDArray[Any]) -> WeightedPoints:
    """The rows of a sample whose last column holds weights."""
    points, weights = rows[:, :-1], rows[:, -1].astype(np.float64)
    good = weights >= 0  # others are refused by their place in the file, as NaN is
    return WeightedPoints(points[good], weights[good])


def check_enough(num_clusters: int, num_rows: int, path: Path) -> None:
    """Raises a ValueError that names both numbers if there are more clusters than points."""
    if num_rows == 0:
        raise ValueError(f"{path} has no rows")
    if num_rows < num_clusters:
        raise ValueError(
            f"--num-clusters is {num_clusters:,}, but {path} has only {num_rows:,} "
            f"point{'' if num_rows == 1 else 's'}: use fewer clusters or more points"
        )


def draw_sample(
    file: PointsFile,
    at_least: int,
    random: np.random.Generator,
    bad_rows: BadRows = "raise",
) -> Sample:
    """Draws rows of a file, each with the same probability; other files than .npy are read once.

    Args:
        file: The file.
        at_least: How many rows to draw at least, if there are that many; more if 64 MiB hold more,
            up to 65,536.
        random: Draws them.
        bad_rows: "drop" leaves out lines that are not rows of numbers.
    """
    if file.is_npy and bad_rows == "raise":
        file.open()  # refuses anything but a matrix of numbers
        array = NpyFile(file.path)
        size = min(_sample_size(array.row_bytes, at_least), len(array))
        drawn = np.sort(random.choice(len(array), size, replace=False))
        rows = array.empty(size)
        for place, row in enumerate(drawn):
            array.read_into(rows[place : place + 1], int(row))
        return Sample(_finite(as_matrix(rows), file.missing), len(array))
    # Dropped rows are reported when training reads them, not a second time.
    with without_log_of("centroids.inputs.bad_rows"):
        batches = file.open(_READ_ROWS, bad_rows=bad_rows)()
        batches.keeps_missing = file.missing != "raise"
        text = f"reading {file.path.name} for a sample"
        counted = count_rows(batches, text, num_rows_of(batches), file.count)
        return _draw_from(counted, at_least, random, file.missing)


def _draw_from(
    batches: Iterator[NDArray[Any]],
    at_least: int,
    random: np.random.Generator,
    missing: Treatment,
) -> Sample:
    """Each row gets a random number; those with the lowest ones are the sample."""
    drawn: LowestNumbers | None = None
    num_rows = 0
    for batch in map(as_matrix, batches):
        if drawn is None:
            drawn = LowestNumbers(_sample_size(_row_bytes(batch), at_least))
        count: int = batch.shape[0]
        drawn.add(random.random(count), num_rows, batch)
        num_rows += count
    if drawn is None:
        return Sample(np.empty((0, 1)), 0)
    return Sample(_finite(drawn.rows(), missing), num_rows)


def _row_bytes(rows: NDArray[Any]) -> int:
    """About the bytes of a row."""
    if is_sparse(rows):
        return int(2 * rows.data.nbytes // max(rows.shape[0], 1))
    return rows[:1].nbytes


def _sample_size(row_bytes: int, at_least: int) -> int:
    return max(min(_SAMPLE_BYTES // max(row_bytes, 1), _SAMPLE_ROWS), at_least)


def _finite(rows: NDArray[Any], missing: Treatment) -> NDArray[Any]:
    """Without rows that training will refuse by their place in the file, or leave out."""
    if rows.dtype.kind != "f" or is_sparse(rows):  # the latter are looked at when they are read
        return rows
    is_good = is_not_infinite if missing == "keep" else np.isfinite
    good = is_good(rows).all(axis=1)
    return rows if good.all() else rows[good]
