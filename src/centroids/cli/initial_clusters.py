"""The first centers of a new model: chosen from the points, or read from a file."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from centroids import KMeansClustering
from centroids.cli.errors import option
from centroids.cli.points_file import PointsFile, as_matrix
from centroids.cli.sampling import choose_from_sample
from centroids.cli.settings import Settings, shuffling_seed
from centroids.cli.training_plan import TrainingPlan
from centroids.errors import MissingColumnError, Worded
from centroids.inputs.bad_rows import BadRows
from centroids.inputs.file import is_points_file
from centroids.inputs.tables.opening import KINDS
from centroids.kmeans.model import INITIAL_METHODS


def initial_clusters_of(
    plan: TrainingPlan, settings: Settings, points: PointsFile, metric: str, retries: int
) -> tuple[int, str | NDArray[Any]]:
    """The number of clusters of a new model, and what its first centers are or how they are found.

    Raises:
        ValueError: If the number is not known, two numbers are given, or there are fewer points.
    """
    given = plan.initial_clusters or KMeansClustering.KMEANS_PLUS_PLUS_INIT
    if given not in INITIAL_METHODS:
        centers = read_centers(Path(given), points, plan.bad_rows)
        if plan.num_clusters not in (None, len(centers)):
            raise ValueError(
                f"--num-clusters is {plan.num_clusters:,}, but {given} holds {len(centers):,} "
                "initial centers: leave --num-clusters out, or give as many centers"
            )
        return len(centers), centers
    k = plan.num_clusters
    if k is None:
        why = f"{plan.model_dir} holds no model yet"
        if plan.fresh:
            why = f"--fresh makes a new model, and {plan.model_dir} holds none to take it from"
        raise ValueError(f"--num-clusters is needed: {why}")
    if k < 1:
        raise ValueError(f"--num-clusters must be at least 1, got {k}")
    if not settings.use_mini_batch:
        return k, given
    # A batch of the training may be smaller than k, and the first is only a part of the file.
    return k, choose_from_sample(
        points,
        k,
        given,
        bad_rows=plan.bad_rows,
        seed=shuffling_seed(settings.seed),
        cosine=metric == KMeansClustering.COSINE_DISTANCE,
        num_retries=retries,
        num_restarts=plan.num_restarts or 1,
        standardize=bool(settings.standardize),
    )


def read_centers(path: Path, points: PointsFile, bad_rows: BadRows = "raise") -> NDArray[Any]:
    """Initial centers: the columns of a file that are named as those of the points, else all.

    Raises:
        ValueError: If it holds no centers, their width is not that of the points, or its name does
            not end like that of a file of points.
        OSError: If it cannot be read.
    """
    if not is_points_file(path):
        raise ValueError(
            f"--initial-clusters must be {', '.join(INITIAL_METHODS)}, or a file that ends in "
            f"{KINDS}; got {str(path)!r}"
        )
    try:
        centers = _read_rows(PointsFile(path), points.column_names())
    except (TypeError, ValueError) as error:
        # What it advises is for points: to leave rows out, or to take other columns.
        reason = error.problem.say(option) if isinstance(error, Worded) else error
        raise ValueError(f"--initial-clusters needs rows of finite numbers: {reason}") from error
    here, there = centers.shape[1], points.width(bad_rows)
    if there not in (None, here):
        raise ValueError(
            f"{path} has centers of {here} column{'' if here == 1 else 's'}, but the points of "
            f"{points.path} have {there}: give centers as wide as the points"
        )
    return centers


def _read_rows(file: PointsFile, names: list[str] | None) -> NDArray[Any]:
    if names is not None and file.has_columns:
        try:
            return as_matrix(dataclasses.replace(file, columns=names).read()[0])
        except MissingColumnError:
            pass
    return as_matrix(file.read()[0])
