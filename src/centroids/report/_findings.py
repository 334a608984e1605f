"""What a report and plots show of a model and points, before anything is drawn."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids import kernels
from centroids.clustering import Preparation
from centroids.quality import pair_distances, silhouettes
from centroids.report._planes import LEAST_UMAP_POINTS, Plane, principal_plane, umap_plane
from centroids.report._tally import Tally, prepared

MOST_DETAILED = 24
_MOST_MAP_ROWS = 1_500
_MOST_SILHOUETTE_ROWS = 3_000
_MOST_SAMPLE_VALUES = 1 << 22


@dataclass(frozen=True)
class Silhouettes:
    """Silhouettes of a part of the sample.

    Attributes:
        scores: [m]; NaN if the points are in fewer than two clusters.
        labels: [m], the clusters of the points.
        weights: [m], how much they count; None: 1.
    """

    scores: NDArray[np.float64]
    labels: NDArray[np.int32]
    weights: NDArray[np.float64] | None = None

    def mean(self, cluster: int | None = None) -> float:
        """That of all, or of one cluster; NaN if none of its points is among them."""
        of_these = slice(None) if cluster is None else self.labels == cluster
        scores = self.scores[of_these]
        weights = None if self.weights is None else self.weights[of_these]
        return float(np.average(scores, weights=weights)) if len(scores) else math.nan

    def falling(self, cluster: int) -> NDArray[np.float64]:
        """Those of one cluster, from the highest to the lowest."""
        return np.sort(self.scores[self.labels == cluster])[::-1]


@dataclass(frozen=True)
class Findings:
    """What a report is made of.

    Attributes:
        title: What was clustered.
        tally: What a pass over all points told.
        centers: [k, d], among prepared points.
        cosine: Whether distances are cosine distances.
        sample: [m, d], points drawn at random, at least one.
        columns: [d], the names of the columns.
        losses: The losses of training by step.
        settings: The model and where it comes from, as names and values.
        names: Names of points by their numbers; other points are called "row 7".
        details: More columns of points, by their numbers, as far as they are shown.
        detail_columns: The names of those columns.
        thumbnails: By values of those columns that name pictures: the address of an image, with its
            data, or why there is none.
        weights: [m], how much each point of the sample counts, above 0; None: 1.
        picture_shape: The height, the width and, for colors, 3, if points are pictures.
        umap: Whether UMAP draws another map.
        preparation: What the model does to points before it clusters them; None: nothing.
    """

    title: str
    tally: Tally
    centers: NDArray[Any]
    cosine: bool
    sample: NDArray[Any]
    columns: Sequence[str]
    losses: Sequence[tuple[int, float]] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[int, str] = field(default_factory=dict)
    details: Mapping[int, Sequence[str]] = field(default_factory=dict)
    detail_columns: Sequence[str] = ()
    thumbnails: Mapping[str, str] = field(default_factory=dict)
    weights: NDArray[np.float64] | None = None
    picture_shape: tuple[int, ...] | None = None
    umap: bool = False
    preparation: Preparation | None = None

    @property
    def centers_in_units(self) -> NDArray[Any]:
        """[k, d], the centers among the points as they came."""
        return self.centers if self.preparation is None else self.preparation.undo(self.centers)

    def largest(self, most: int) -> list[int]:
        """Clusters from the largest to the smallest, by their numbers."""
        return [int(cluster) for cluster in np.argsort(-self.tally.sizes, kind="stable")[:most]]

    def detailed(self) -> list[int]:
        """The clusters that are shown in detail: the largest ones, in the order of their numbers.

        Each of them has points.
        """
        return detailed_clusters(self.tally)

    @functools.cached_property
    def silhouettes(self) -> Silhouettes:
        """The silhouettes of a part of the sample."""
        places, rows, labels = self._part(_MOST_SILHOUETTE_ROWS)
        points = kernels.l2_normalize(rows) if self.cosine else rows
        weights = None if self.weights is None else self.weights[places]
        distances = pair_distances(points, cosine=self.cosine)
        return Silhouettes(silhouettes(distances, labels, weights), labels, weights)

    def principal_plane(self) -> Plane:
        """A part of the sample and all centers, by principal components."""
        _, rows, labels = self._part(_MOST_MAP_ROWS)
        return principal_plane(self._placed(rows), labels, self._placed(self.centers))

    def umap_plane(self) -> Plane | None:
        """A part of the sample and the centers in detail, by UMAP; None of too few points.

        Raises:
            ImportError: If umap-learn is not installed.
        """
        _, rows, labels = self._part(_MOST_MAP_ROWS)
        if len(rows) < LEAST_UMAP_POINTS:
            return None
        chosen = np.array(self.detailed(), np.intp)
        points, centers = self._placed(rows), self._placed(self.centers[chosen])
        return umap_plane(points, labels, centers, chosen, cosine=self.cosine)

    def most_different(self, cluster: int, most: int) -> NDArray[np.intp]:
        """The columns where the mean of a cluster is farthest from that of all, in deviations."""
        return np.argsort(-np.abs(self.tally.profile()[cluster]), kind="stable")[:most]

    def _placed(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        return (kernels.l2_normalize(rows) if self.cosine else rows).astype(np.float64)

    def _part(self, most: int) -> tuple[NDArray[np.intp], NDArray[Any], NDArray[np.int32]]:
        """Places in the sample, its rows there as they are clustered, and their clusters."""
        width = max(self.sample.shape[1], 1)
        places = spread(len(self.sample), max(min(most, _MOST_SAMPLE_VALUES // width), 2))
        rows = prepared(self.preparation, self.sample[places])
        return (
            places,
            rows,
            kernels.assign(rows, self.centers, cosine=self.cosine, inertia=False).cluster_index,
        )


def spread(count: int, most: int) -> NDArray[np.intp]:
    """As many places from 0 up to a count, or all.

    >>> spread(9, 3).tolist(), spread(2, 3).tolist()
    ([0, 4, 8], [0, 1])
    """
    return np.linspace(0, count - 1, min(count, most)).astype(np.intp)


def detailed_clusters(tally: Tally) -> list[int]:
    """The clusters that a report shows in detail: the largest ones, by their numbers."""
    order = np.argsort(-tally.sizes, kind="stable")[:MOST_DETAILED]
    return sorted(int(cluster) for cluster in order if tally.sizes[cluster])


def rows_shown(tally: Tally) -> set[int]:
    """The numbers of the points that a report shows, which may be given names."""
    clusters = detailed_clusters(tally)
    kinds = (tally.nearest.numbers[clusters], tally.farthest.numbers[clusters])
    return {int(row) for kind in kinds for row in kind.ravel() if row >= 0}
