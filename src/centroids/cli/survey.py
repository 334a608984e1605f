"""The points of a file by their clusters: sizes, distances, and the nearest members of each."""

from __future__ import annotations

import collections
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids import KMeansClustering, ProgressBarHook
from centroids.cli.inference import batch_size
from centroids.cli.points_file import PointsFile, as_matrix
from centroids.clustering import Preparation
from centroids.inputs.bad_rows import BadRows, keep_rows
from centroids.inputs.batch import Batch
from centroids.inputs.file import is_svmlight_file
from centroids.inputs.missing import MissingRows, leaving_out_missing
from centroids.inputs.weights import WeightColumn, check_weights
from centroids.kernels import l2_normalize
from centroids.quality import ExtremeMembers, distances_to_own
from centroids.rows import num_rows


@dataclass(frozen=True)
class Survey:
    """What a file of points looks like to a model.

    Attributes:
        num_rows: The rows of the file, including those left out.
        sizes: [k], the points of each cluster.
        total: The sum of the distances of the points to their centers.
        nearest: [k, m], the rows nearest to each center of those that belong to it, the nearest
            first; -1 where there are no more.
    """

    num_rows: int
    sizes: NDArray[np.int64]
    total: float
    nearest: NDArray[np.int64]


def survey(
    model: KMeansClustering,
    centers: NDArray[Any],
    points: PointsFile,
    num_nearest: int,
    bad_rows: BadRows = "raise",
    preparation: Preparation | None = None,
) -> Survey:
    """Finds the cluster of each point of a file, in bounded memory.

    Rows keep their numbers in the file even if bad ones are left out.

    Raises:
        ValueError: If the file has no rows, or they are not as wide as the centers.
        OSError: If it cannot be read.
    """
    centers = centers.astype(np.float64)
    cosine = model.params["distance_metric"] == model.COSINE_DISTANCE
    centers = l2_normalize(centers) if cosine else centers
    sizes = np.zeros(len(centers), np.int64)
    nearest = ExtremeMembers(len(centers), num_nearest)
    total, read = 0.0, Read()
    for rows, numbers, index, _ in labelled_batches(model, points, bad_rows, read):
        if preparation is not None:
            rows = np.asarray(preparation.prepare(as_matrix(rows)))
        distances = distances_to_own(rows, centers, index, cosine=cosine)
        sizes += np.bincount(index, minlength=len(sizes))
        total += float(distances.sum())
        nearest.add(index, distances, numbers)
    if not read.count:
        raise ValueError(f"{points.path} has no rows")
    return Survey(read.count, sizes, total, nearest.numbers)


class Read:
    """What was read of a file: its number of rows, and batches that are not surveyed yet.

    Attributes:
        count: The rows so far, bad ones included.
        batches: Points, their numbers in the file and their weights; at most those that are read
            ahead.
    """

    def __init__(self) -> None:
        self.count = 0
        self.batches: collections.deque[
            tuple[NDArray[Any], NDArray[np.int64], NDArray[np.float64] | None]
        ] = collections.deque()

    def add(
        self,
        batch: Batch,
        index: int,
        incomplete: MissingRows | None,
    ) -> NDArray[Any]:
        """Takes a batch and returns its good rows.

        Args:
            batch: The batch.
            index: Its number.
            incomplete: Leaves out its rows that have missing values; None: they stay.
        """
        count = num_rows(batch.features)
        batch.labels = np.arange(self.count, self.count + count)
        self.count += count
        if batch.keep is not None:
            batch.features, batch.labels, batch.weights = keep_rows(
                (batch.features, batch.labels, batch.weights), batch.keep
            )
        if incomplete is not None:
            incomplete.leave_out(batch, index)
        rows: NDArray[Any] = batch.features
        if num_rows(rows):
            self.batches.append((rows, batch.labels, batch.weights))
        return rows


def labelled_batches(
    model: KMeansClustering,
    points: PointsFile,
    bad_rows: BadRows,
    read: Read,
) -> Iterator[
    tuple[NDArray[Any], NDArray[np.int64], NDArray[np.int32], NDArray[np.float64] | None]
]:
    """Batches of points, their numbers, the clusters that the model predicts, and their weights.

    Args:
        model: The model.
        points: The file. Missing values that are kept are yielded as they are.
        bad_rows: What to do with rows that are not numbers.
        read: Counts the rows.
    """
    input_fn = points.open(batch_size(model, distances=False), bad_rows=bad_rows)
    if is_svmlight_file(points.path):
        raise ValueError(
            f"{points.path} has sparse points, whose members cannot be shown: train, evaluate "
            "and predict take them"
        )

    column = None if points.weight_column is None else WeightColumn(points.weight_column)

    def remember() -> Iterator[NDArray[Any]]:
        source = input_fn()
        source.keeps_missing = points.missing != "raise"
        if column is not None:  # it takes the weights out of the points
            source.weight_column = column
        left_out = leaving_out_missing(begins=True) if points.missing == "drop" else None
        with (
            contextlib.closing(source.batches()) as batches,
            left_out or contextlib.nullcontext() as incomplete,
        ):
            for number, batch in enumerate(batches):
                if column is not None and batch.keep is None:
                    check_weights(batch.weights, column, number, batch.origin)
                kept = read.add(batch, number, incomplete)
                if num_rows(kept):
                    yield kept

    predictions = model.predict(
        remember,
        predict_keys=[model.CLUSTER_INDEX],
        hooks=[
            ProgressBarHook(description="comparing", value=None, num_rows=points.expected_rows())
        ],
        yield_single_examples=False,
    )
    for prediction in predictions:
        rows, numbers, weights = read.batches.popleft()
        yield rows, numbers, prediction[model.CLUSTER_INDEX], weights
