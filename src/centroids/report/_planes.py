"""Points and centers in the plane: by principal components, or by UMAP."""

from __future__ import annotations

import importlib.util
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEAST_UMAP_POINTS = 32
_NEIGHBORS = 15


@dataclass(frozen=True)
class Plane:
    """A sample and centers in two dimensions.

    Attributes:
        points: [m, 2].
        labels: [m], their clusters.
        centers: [c, 2].
        clusters: [c], whose centers they are.
        shares: Of the variance along the two axes; None if the axes mean nothing.
    """

    points: NDArray[np.float64]
    labels: NDArray[Any]
    centers: NDArray[np.float64]
    clusters: NDArray[np.intp]
    shares: tuple[float, float] | None = None


def principal_axes(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], list[float]]:
    """The two directions in which points vary most.

    Args:
        points: [m, d], with a mean of 0.

    Returns:
        [d, 2] directions (the second one is 0 if there is just one column), each with its largest
        component positive, and the two shares of the variance.

    Source: Pearson, On lines and planes of closest fit to systems of points in space,
    Philosophical Magazine 2, 1901.

    >>> axes, shares = principal_axes(np.array([[-1.0, -2.0], [1.0, 2.0]]))
    >>> (axes[:, 0] * 5**0.5).round(6).tolist(), round(shares[0], 6)
    ([1.0, 2.0], 1.0)
    """
    _, lengths, axes = np.linalg.svd(points, full_matrices=False)
    found = np.zeros((points.shape[1], 2))
    for place, axis in enumerate(axes[:2]):
        found[:, place] = axis * np.sign(axis[np.abs(axis).argmax()] or 1)
    total = float(np.square(lengths).sum()) or 1.0
    shares = [float(length**2) / total for length in lengths[:2]]
    return found, [*shares, 0.0][:2]


def principal_plane(
    points: NDArray[np.float64], labels: NDArray[Any], centers: NDArray[np.float64]
) -> Plane:
    """A sample and all centers in the plane of the sample's principal axes.

    Args:
        points: [m, d], at least one.
        labels: [m], their clusters.
        centers: [k, d].
    """
    # Squares of numbers up to 1 cannot overflow.
    largest = max(float(np.abs(points).max()), float(np.abs(centers).max())) or 1.0
    points, centers = points / largest, centers / largest
    mean = points.mean(axis=0)
    axes, (first, second) = principal_axes(points - mean)
    return Plane(
        (points - mean) @ axes,
        labels,
        (centers - mean) @ axes,
        np.arange(len(centers)),
        (first, second),
    )


def has_umap() -> bool:
    """Whether UMAP is installed; it is not imported."""
    return importlib.util.find_spec("umap") is not None


def umap_plane(
    points: NDArray[np.float64],
    labels: NDArray[Any],
    centers: NDArray[np.float64],
    clusters: NDArray[np.intp],
    *,
    cosine: bool,
) -> Plane:
    """A sample and some centers as UMAP places them, equal in each run.

    Args:
        points: [m, d], at least `LEAST_UMAP_POINTS`.
        labels: [m], their clusters.
        centers: [c, d].
        clusters: [c], whose they are.
        cosine: Neighbors are those by the cosine distance.

    Raises:
        ImportError: If umap-learn is not installed.

    Source: McInnes, Healy and Melville, UMAP: uniform manifold approximation and projection for
    dimension reduction, 2018.
    """
    try:
        from umap import UMAP
    except ImportError as error:
        raise ImportError(
            "a map by UMAP needs umap-learn: pip install umap-learn", name=error.name
        ) from error

    # Centers are placed together with the points: what is near them stays near them.
    every = np.concatenate([points, centers])
    every = every / (float(np.abs(every).max()) or 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own packages, about each other
        placed = UMAP(
            n_neighbors=_NEIGHBORS,
            metric="cosine" if cosine else "euclidean",
            random_state=0,
            n_jobs=1,
        ).fit_transform(every)
    flat = np.asarray(placed, np.float64)
    return Plane(flat[: len(points)], labels, flat[len(points) :], clusters)
