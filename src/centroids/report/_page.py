"""The page of a report: one HTML file without scripts, which loads nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids import kernels
from centroids.quality import ExtremeMembers, pair_distances, silhouettes
from centroids.report._charts import NUM_COLORS, curve_of, map_of
from centroids.report._style import STYLE
from centroids.report._tally import Tally
from centroids.report._text import number, shown, table

MOST_DETAILED = 24
_MOST_SIZES = 200
_MOST_COLUMNS = 8
_MOST_MAP_ROWS = 1_500
_MOST_SILHOUETTE_ROWS = 3_000
_MOST_SAMPLE_VALUES = 1 << 22
_MOST_LOSSES = 50
_CLEAR = 0.25  # Kaufman and Rousseeuw, Finding groups in data, 1990


@dataclass(frozen=True)
class Findings:
    """What a report is made of.

    Attributes:
        title: What was clustered.
        tally: What a pass over all points told.
        centers: [k, d].
        cosine: Whether distances are cosine distances.
        sample: [m, d], points drawn at random, at least one.
        columns: [d], the names of the columns.
        losses: The losses of training by step.
        settings: The model and where it comes from, as names and values.
        names: Names of points by their numbers; other points are called "row 7".
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

    def detailed(self) -> list[int]:
        """The clusters that are shown in detail: the largest ones, by their numbers."""
        return detailed_clusters(self.tally)


def detailed_clusters(tally: Tally) -> list[int]:
    """The clusters that a report shows in detail: the largest ones, by their numbers."""
    order = np.argsort(-tally.sizes, kind="stable")[:MOST_DETAILED]
    return sorted(int(cluster) for cluster in order if tally.sizes[cluster])


def rows_shown(tally: Tally) -> set[int]:
    """The numbers of the points that a report shows, which may be given names."""
    clusters = detailed_clusters(tally)
    kinds = (tally.nearest.numbers[clusters], tally.farthest.numbers[clusters])
    return {int(row) for kind in kinds for row in kind.ravel() if row >= 0}


def render(found: Findings) -> str:
    """The report as HTML; it depends on the findings alone."""
    scores = _silhouettes(found)
    sections = {
        "sizes": ("Sizes", _sizes(found, scores)),
        "map": ("Map", _map(found)),
        "loss": ("Loss of training", _loss(found)),
        "clusters": ("Clusters in detail", _details(found)),
        "settings": ("Settings and provenance", _settings(found)),
    }
    links = "".join(
        f'<li><a href="#{name}">{head}</a></li>' for name, (head, _) in sections.items()
    )
    body = "".join(
        f'<section aria-labelledby="{name}"><h2 id="{name}">{head}</h2>{content}</section>'
        for name, (head, content) in sections.items()
    )
    title = f"Clusters of {shown(found.title)}"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head>\n"
        f"<body><header><h1>{title}</h1>{_summary(found, scores)}"
        f'<nav aria-label="Sections"><ul>{links}</ul></nav></header>\n'
        f"<main>{body}</main></body></html>\n"
    )


def _distance_name(found: Findings) -> str:
    return "cosine distance" if found.cosine else "squared distance"


def _silhouettes(found: Findings) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """The silhouettes of a part of the sample, and its clusters."""
    width = max(found.sample.shape[1], 1)
    rows = found.sample[_spread(len(found.sample), _MOST_SILHOUETTE_ROWS, width)]
    labels = kernels.assign(rows, found.centers, cosine=found.cosine).cluster_index
    points = kernels.l2_normalize(rows) if found.cosine else rows
    return silhouettes(pair_distances(points, cosine=found.cosine), labels), labels


def _spread(count: int, most: int, width: int) -> NDArray[np.intp]:
    """Places spread over a sample in which no more values than that are wanted."""
    most = min(count, max(min(most, _MOST_SAMPLE_VALUES // width), 2))
    return np.linspace(0, count - 1, most).astype(np.intp)


def _summary(found: Findings, scores: tuple[NDArray[np.float64], NDArray[np.int32]]) -> str:
    tally = found.tally
    mean = float(scores[0].mean())
    empty = int((tally.sizes == 0).sum())
    tiles = {
        "points": f"{tally.num_points:,}",
        "clusters": f"{len(tally.sizes):,}",
        "clusters without points": f"{empty:,}",
        f"mean {_distance_name(found)}": number(tally.totals.sum() / tally.num_points),
        f"sum of {_distance_name(found)}s": number(float(tally.totals.sum())),
        "silhouette": _score(mean),
    }
    if math.isnan(mean):
        told = "With points in fewer than two clusters there is no silhouette."
    else:
        much = "closer to" if mean >= _CLEAR else "hardly closer to"
        told = (
            f"The silhouette ({len(scores[0]):,} points) goes from -1 to 1. "
            f"Points are {much} their own cluster than to the next one."
        )
    items = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in tiles.items())
    return f'<dl>{items}</dl><p class="soft">{told}</p>'


def _score(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "-"


def _sizes(found: Findings, scores: tuple[NDArray[np.float64], NDArray[np.int32]]) -> str:
    tally = found.tally
    order = np.argsort(-tally.sizes, kind="stable")[:_MOST_SIZES]
    largest = max(int(tally.sizes.max()), 1)

    def rows() -> Iterable[list[str]]:
        for cluster in map(int, order):
            size = int(tally.sizes[cluster])
            of_cluster = scores[0][scores[1] == cluster]
            color, wide = f"c{cluster % NUM_COLORS}", f"{9 * size / largest:.2f}rem"
            yield [
                str(cluster),
                f'<span class="bar {color}" style="width:{wide}"></span>',
                f"{size:,}",
                f"{size / tally.num_points:.1%}",
                number(tally.totals[cluster] / size if size else math.nan),
                _score(float(of_cluster.mean()) if len(of_cluster) else math.nan),
            ]

    heads = ["cluster", "size", "points", "share", f"mean {_distance_name(found)}", "silhouette"]
    more = len(tally.sizes) - len(order)
    note = f"<p>The {len(order):,} largest of {len(tally.sizes):,} clusters.</p>" if more else ""
    return note + table("Clusters from the largest to the smallest", heads, rows(), words=2)


def _map(found: Findings) -> str:
    width = max(found.sample.shape[1], 1)
    rows = found.sample[_spread(len(found.sample), _MOST_MAP_ROWS, width)]
    labels = kernels.assign(rows, found.centers, cosine=found.cosine).cluster_index
    centers = found.centers
    if found.cosine:
        rows, centers = kernels.l2_normalize(rows), kernels.l2_normalize(centers)
    picture, shares = map_of(
        rows.astype(np.float64), labels, centers.astype(np.float64), set(found.detailed())
    )
    length = " scaled to length 1" if found.cosine else ""
    return (
        f"<figure>{picture}<figcaption>A random sample of {len(rows):,} points{length}, and the "
        "centers with their numbers, in the plane of the first two principal components. It shows "
        f"{sum(shares):.0%} of the variance ({shares[0]:.0%} from left to right, {shares[1]:.0%} "
        "upward): clusters that lie over each other here may be far apart.</figcaption></figure>"
    )


def _loss(found: Findings) -> str:
    losses = [(step, loss) for step, loss in found.losses if math.isfinite(loss)]
    if len(losses) < 2:
        return (
            "<p>The model folder has fewer than two losses in its event files, so there is no "
            "curve.</p>"
        )
    places = _spread(len(losses), _MOST_LOSSES, 1)
    rows = [[f"{losses[place][0]:,}", number(losses[place][1], 7)] for place in places]
    return (
        f"<figure>{curve_of(losses)}<figcaption>The loss that each step began with, as the event "
        "files of the model have it.</figcaption></figure><details><summary>The loss as a table"
        f"</summary>{table('Loss by step', ['step', 'loss'], rows)}</details>"
    )


def _details(found: Findings) -> str:
    chosen, filled = found.detailed(), int((found.tally.sizes > 0).sum())
    profile, means = found.tally.profile(), found.tally.means()
    mean = found.tally.mean()
    told = (
        f"The {len(chosen)} largest of {filled:,} clusters that have points."
        if filled > len(chosen)
        else "All clusters that have points."
    )
    parts = [
        f"<p>{told} A profile shows the columns in which the mean of a cluster is farthest from "
        "the mean of all points, in standard deviations of all points.</p>"
    ]
    for place, cluster in enumerate(chosen):
        order = np.argsort(-np.abs(profile[cluster]), kind="stable")[:_MOST_COLUMNS]
        size = int(found.tally.sizes[cluster])
        points = f"{size:,} point{'' if size == 1 else 's'}"
        rows = _profile_rows(found, order, profile[cluster], means[cluster], mean)
        heads = ["column", "difference", "in deviations", "mean of cluster", "mean of all"]
        parts.append(
            f"<details{' open' if place == 0 else ''}><summary>"
            f'<span class="dot c{cluster % NUM_COLORS}"></span> Cluster {cluster}: {points}, '
            f"{size / found.tally.num_points:.1%}</summary>"
            f"<h3>Profile of cluster {cluster}</h3>"
            f"{table(f'Where cluster {cluster} differs most', heads, rows, words=2)}"
            f"<h3>Members of cluster {cluster}</h3>"
            f"{_members(found, cluster, order, 'nearest', found.tally.nearest)}"
            f"{_members(found, cluster, order, 'farthest', found.tally.farthest)}</details>"
        )
    return "".join(parts)


def _profile_rows(
    found: Findings,
    order: NDArray[np.intp],
    profile: NDArray[np.float64],
    means: NDArray[np.float64],
    mean: NDArray[np.float64],
) -> Iterable[list[str]]:
    most = max(float(np.abs(profile[order]).max(initial=0)), np.finfo(float).tiny)
    for column in order:
        width = 6 * abs(profile[column]) / most
        yield [
            shown(found.columns[column]),
            f'<span class="bar" style="width:{width:.2f}rem"></span>',
            f"{profile[column]:+.2f}",
            number(means[column]),
            number(mean[column]),
        ]


def _members(
    found: Findings, cluster: int, order: NDArray[np.intp], kind: str, members: ExtremeMembers
) -> str:
    # In the order of the file, where all of them fit.
    columns = np.sort(order) if len(found.columns) <= _MOST_COLUMNS else order
    rows = []
    for place, row in enumerate(members.numbers[cluster]):
        if row >= 0:
            values = members.values[cluster, place, columns]
            rows.append(
                [
                    shown(found.names.get(int(row), f"row {int(row):,}")),
                    number(members.distances[cluster, place]),
                    *map(number, values.tolist()),
                ]
            )
    heads = ["point", _distance_name(found), *(shown(found.columns[place]) for place in columns)]
    some = " (the columns of the profile)" if len(columns) < len(found.columns) else ""
    side = "to" if kind == "nearest" else "from"
    return table(f"The {kind} {side} the center of cluster {cluster}{some}", heads, rows)


def _settings(found: Findings) -> str:
    rows = [[shown(name), shown(value)] for name, value in found.settings.items()]
    return table("What was clustered and how", ["setting", "value"], rows, words=2)
