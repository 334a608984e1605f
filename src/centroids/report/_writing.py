"""A report of a model on points that are in memory."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids import kernels
from centroids.files import atomic_file
from centroids.inputs.convert import convert_features
from centroids.kmeans import COSINE_DISTANCE, KMeansClustering
from centroids.report._page import Findings, render
from centroids.report._tally import Tally
from centroids.report.curve import read_loss_curve
from centroids.rows import is_sparse

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
) -> None:
    """Writes a report of a trained model on points: one HTML file that needs no network.

    It shows sizes, a map, the loss of training, the profile and members of the largest clusters,
    and the settings. The file depends on the model, the points and the date alone.

    Args:
        model: A trained model.
        points: [n, d] array or data frame of numbers.
        output: The file to write. It is written as a whole or not at all.
        columns: [d], the names of the columns; None for numbers.
        names: [n], names of the points; None for the numbers of the rows.
        title: What the points are.

    Raises:
        TypeError: If points are sparse, or not real numbers.
        ValueError: If there are no points, a point is NaN or infinite, the model is not trained,
            or a length does not match.
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
    every = convert_features(points)
    if isinstance(every, dict) or is_sparse(every):
        raise TypeError("points must be one dense matrix, got another kind")
    if every.ndim != 2 or len(every) == 0:
        raise ValueError(f"points must be of shape [n, d] with n at least 1, got {every.shape}")
    _check_length("columns", columns, every.shape[1])
    _check_length("names", names, len(every))
    centers = model.cluster_centers()
    cosine = model.params["distance_metric"] == COSINE_DISTANCE
    index = kernels.assign(every, centers, cosine=cosine).cluster_index
    tally = Tally(centers, cosine=cosine)
    for start in range(0, len(every), _BATCH_ROWS):
        part = slice(start, start + _BATCH_ROWS)
        numbers = np.arange(start, start + len(every[part]))
        tally.add(every[part], numbers, index[part])
    settings = describe_model(
        {
            "points": title,
            "model": model.model_dir,
            "distance metric": model.params["distance_metric"],
            "clusters": f"{len(centers):,}",
            "steps of training": f"{int(model.get_variable_value('global_step')):,}",
        }
    )
    found = Findings(
        title=title,
        tally=tally,
        centers=centers,
        cosine=cosine,
        sample=_sample(every),
        columns=[f"column {place}" for place in range(every.shape[1])]
        if columns is None
        else list(columns),
        losses=read_loss_curve(model.model_dir),
        settings=settings,
        names={} if names is None else dict(enumerate(map(str, names))),
    )
    write_page(found, output)


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


def _sample(points: NDArray[Any]) -> NDArray[Any]:
    if len(points) <= _SAMPLE_ROWS:
        return points
    random = np.random.default_rng(0)
    return points[np.sort(random.choice(len(points), _SAMPLE_ROWS, replace=False))]


def _check_length(name: str, given: Sequence[str] | None, count: int) -> None:
    if given is not None and len(given) != count:
        raise ValueError(
            f"{name} must have {count:,} entries, as the points do, got {len(given):,}"
        )
