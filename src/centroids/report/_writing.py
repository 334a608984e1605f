"""A report of a model on points that are in memory."""

from __future__ import annotations

import dataclasses
import datetime
import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from centroids import kernels
from centroids.clustering import Preparation
from centroids.files import atomic_file
from centroids.inputs.convert import convert_features
from centroids.kmeans import COSINE_DISTANCE, KMeansClustering
from centroids.kmeans.variables import CLUSTERS, preparation_of
from centroids.report._findings import Findings
from centroids.report._page import render
from centroids.report._pictures import check_shape
from centroids.report._planes import has_umap
from centroids.report._tally import Tally, prepared
from centroids.report.curve import read_loss_curve
from centroids.rows import Rows, WeightedPoints, is_sparse, split_weights, with_weights

_BATCH_ROWS = 1 << 14
_SAMPLE_ROWS = 1 << 14


def write_report(
    model: KMeansClustering,
    points: Any,
    output: str | os.PathLike[str],
    *,
    columns: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    title: str = "points",
    weights: ArrayLike | None = None,
    picture_shape: tuple[int, ...] | None = None,
    umap: bool | None = None,
) -> None:
    """Writes a report of a trained model on points: one HTML file that needs no network.

    It shows sizes, a map, silhouettes, the loss of training, the profile and members of the largest
    clusters, and the settings. The file depends on the model, the points and the date alone.

    Args:
        model: A trained model.
        points: [n, d] array or data frame of numbers.
        output: The file to write. It is written as a whole or not at all.
        columns: [d], the names of the columns; None for those of a data frame, or else numbers.
        names: [n], names of the points; None for the numbers of the rows.
        title: What the points are.
        weights: [n], how much each point counts, finite and not negative; None: 1.
        picture_shape: If points are pictures: their height and width, and 3 if each pixel is red,
            green and blue. Members are then shown as pictures.
        umap: Whether UMAP draws another map; None: if it is installed.

    Raises:
        TypeError: If points are sparse, or points or weights are not real numbers.
        ValueError: If there are no points, a point is NaN or infinite, a weight is negative or not
            finite, the model is not trained, or a length or shape does not match.
        ImportError: If UMAP is asked for and not installed.
        OSError: If the file cannot be written.

    >>> import tempfile
    >>> points = np.array([[0.0, 1.0], [1.0, 0.0], [9.0, 9.0]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model = KMeansClustering(2, folder, use_mini_batch=False)
    ...     _ = model.train(lambda: points, steps=3)
    ...     write_report(model, points, f"{folder}/report.html")
    ...     os.path.exists(f"{folder}/report.html")
    True
    """
    found = examine(model, points, columns=columns, names=names, title=title, weights=weights)
    if picture_shape is not None:
        picture_shape = check_shape(picture_shape, len(found.columns))
    umap = has_umap() if umap is None else umap
    write_page(dataclasses.replace(found, picture_shape=picture_shape, umap=umap), output)


def examine(
    model: KMeansClustering,
    points: Any,
    *,
    columns: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    title: str = "points",
    weights: ArrayLike | None = None,
) -> Findings:
    """What a report and plots show of a model and points, for the arguments of `write_report`.

    Raises:
        TypeError: As `write_report`.
        ValueError: As `write_report`.
    """
    if columns is None and hasattr(points, "columns"):
        columns = [str(name) for name in points.columns]
    every = convert_features(points)
    if isinstance(every, dict) or is_sparse(every):
        raise TypeError("points must be one dense matrix, got another kind")
    if every.ndim != 2 or len(every) == 0:
        raise ValueError(f"points must be of shape [n, d] with n at least 1, got {every.shape}")
    _check_length("columns", columns, every.shape[1])
    _check_length("names", names, len(every))
    own = None if weights is None else kernels.check_weights(weights, len(every))
    if own is not None and not own.any():
        raise ValueError("all weights are 0: there is no point to report on")
    centers, preparation = model.get_variable_value(CLUSTERS), _preparation_of(model)
    cosine = model.params["distance_metric"] == COSINE_DISTANCE
    tally = Tally(centers, cosine=cosine, weighted=own is not None, preparation=preparation)
    for start in range(0, len(every), _BATCH_ROWS):
        part = slice(start, start + _BATCH_ROWS)
        rows = prepared(preparation, every[part])
        index = kernels.assign(rows, centers, cosine=cosine, inertia=False).cluster_index
        numbers = np.arange(start, start + len(rows))
        tally.add(every[part], numbers, index, None if own is None else own[part])
    sample, sample_weights = split_weights(_sample(with_weights(every, own)))
    if columns is None:
        columns = [f"column {place}" for place in range(every.shape[1])]
    return Findings(
        title=title,
        tally=tally,
        centers=centers,
        cosine=cosine,
        sample=np.asarray(sample),
        columns=list(columns),
        losses=read_loss_curve(model.model_dir),
        settings=_describe(model, title, len(centers), weighted=own is not None),
        names={} if names is None else dict(enumerate(map(str, names))),
        weights=sample_weights,
        preparation=preparation,
    )


def _preparation_of(model: KMeansClustering) -> Preparation | None:
    """What the model does to points; missing values stay what they are unless it fills them."""
    names = model.get_variable_names()
    # In one call, which reads the checkpoint once.
    variables = dict(zip(names, model.get_variable_value(names), strict=True))
    return preparation_of(variables, fills=model.params.get("missing") == "mean")


def _describe(
    model: KMeansClustering, title: str, num_clusters: int, *, weighted: bool
) -> dict[str, str]:
    known = {
        "points": title,
        "model": model.model_dir,
        "distance metric": model.params["distance_metric"],
        "clusters": f"{num_clusters:,}",
        "weights": "as given" if weighted else "",
        "steps of training": f"{int(model.get_variable_value('global_step')):,}",
    }
    return describe_model({name: value for name, value in known.items() if value})


def describe_model(known: Mapping[str, str]) -> dict[str, str]:
    """Settings as a report lists them: what is known of a model, then the versions and the date."""
    from centroids import __version__

    return {
        **known,
        "version of centroids": __version__,
        "version of NumPy": np.__version__,
        "version of Python": platform.python_version(),
        "date of the report": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def write_page(found: Findings, output: str | os.PathLike[str]) -> None:
    """Writes a report, whole or not at all.

    Raises:
        OSError: If the file cannot be written.
    """
    page = render(found).encode()
    with atomic_file(os.fspath(output)) as file:
        file.write(page)


def _sample(points: Rows | WeightedPoints) -> Rows | WeightedPoints:
    """Some of the points that count."""
    _, weights = split_weights(points)
    rows = np.arange(points.shape[0]) if weights is None else np.flatnonzero(weights)
    if len(rows) > _SAMPLE_ROWS:
        random = np.random.default_rng(0)
        rows = rows[np.sort(random.choice(len(rows), _SAMPLE_ROWS, replace=False))]
    return points if len(rows) == points.shape[0] else points[rows]


def _check_length(name: str, given: Sequence[str] | None, count: int) -> None:
    if given is not None and len(given) != count:
        raise ValueError(
            f"{name} must have {count:,} entries, as the points do, got {len(given):,}"
        )
