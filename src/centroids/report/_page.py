"""The page of a report: one HTML file without scripts, which loads nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from centroids.quality import ExtremeMembers
from centroids.report._charts import NUM_COLORS, curve_of, map_of, silhouettes_of
from centroids.report._findings import Findings, spread
from centroids.report._pictures import png_of
from centroids.report._style import STYLE
from centroids.report._text import number, shown, table

_MOST_SIZES = 200
_MOST_COLUMNS = 8
_MOST_LOSSES = 50
_CLEAR = 0.25  # Kaufman and Rousseeuw, Finding groups in data, 1990


def render(found: Findings) -> str:
    """The report as HTML; it depends on the findings alone."""
    sections = {
        "sizes": ("Sizes", _sizes(found)),
        "map": ("Map", _map(found)),
        "silhouettes": ("Silhouettes", _silhouettes(found)),
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
        f"<body><header><h1>{title}</h1>{_summary(found)}"
        f'<nav aria-label="Sections"><ul>{links}</ul></nav></header>\n'
        f"<main>{body}</main></body></html>\n"
    )


def _distance_name(found: Findings) -> str:
    return "cosine distance" if found.cosine else "squared distance"


def _summary(found: Findings) -> str:
    tally, scores = found.tally, found.silhouettes
    mean = scores.mean()
    empty = int((tally.sizes == 0).sum())
    tiles = {"points": f"{tally.num_points:,}"}
    if tally.weighted:
        tiles["their weight"] = number(tally.total)
    tiles |= {
        "clusters": f"{len(tally.sizes):,}",
        "clusters without points": f"{empty:,}",
        f"mean {_distance_name(found)}": number(float(tally.totals.sum()) / tally.total),
        f"sum of {_distance_name(found)}s": number(float(tally.totals.sum())),
        "silhouette": _score(mean),
    }
    if math.isnan(mean):
        told = "With points in fewer than two clusters there is no silhouette."
    else:
        much = "closer to" if mean >= _CLEAR else "hardly closer to"
        told = (
            f"The silhouette ({len(scores.scores):,} points) goes from -1 to 1. "
            f"Points are {much} their own cluster than to the next one."
        )
    if tally.weighted:
        told += " Shares, means and silhouettes count each point by its weight."
    items = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in tiles.items())
    return f'<dl>{items}</dl><p class="soft">{told}</p>'


def _score(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "-"


def _sizes(found: Findings) -> str:
    tally = found.tally
    order = found.largest(_MOST_SIZES)
    largest = float(tally.sizes.max()) or 1.0

    def rows() -> Iterable[list[str]]:
        for cluster in order:
            size = tally.sizes[cluster]
            color, share = f"c{cluster % NUM_COLORS}", f"{size / largest:.3f}"
            yield [
                str(cluster),
                f'<span class="bar {color}" style="--share:{share}"></span>',
                f"{tally.counts[cluster]:,}",
                *([number(size)] if tally.weighted else []),
                f"{size / tally.total:.1%}",
                number(tally.totals[cluster] / size if size else math.nan),
                _score(found.silhouettes.mean(cluster)),
            ]

    heads = ["cluster", "size", "points", *(["weight"] if tally.weighted else []), "share"]
    heads += [f"mean {_distance_name(found)}", "silhouette"]
    more = len(tally.sizes) - len(order)
    note = f"<p>The {len(order):,} largest of {len(tally.sizes):,} clusters.</p>" if more else ""
    return note + table("Clusters from the largest to the smallest", heads, rows(), words=2)


def _map(found: Findings) -> str:
    plane, labelled = found.principal_plane(), set(found.detailed())
    assert plane.shares is not None
    length = " scaled to length 1" if found.cosine else ""
    one = (
        f"<figure>{map_of(plane, labelled)}<figcaption>A random sample of {len(plane.points):,} "
        f"points{length}, and the centers with their numbers, in the plane of the first two "
        f"principal components. It shows {sum(plane.shares):.0%} of the variance "
        f"({plane.shares[0]:.0%} from left to right, {plane.shares[1]:.0%} upward): clusters that "
        "lie over each other here may be far apart.</figcaption></figure>"
    )
    placed = found.umap_plane() if found.umap else None
    if placed is None:
        return one
    return (
        f"{one}<figure>{map_of(placed, labelled)}<figcaption>The same points as UMAP places them: "
        "what is near in all columns is near here. How far apart two groups are, and how large "
        "they look, says little.</figcaption></figure>"
    )


def _silhouettes(found: Findings) -> str:
    scores = found.silhouettes
    bands = {cluster: scores.falling(cluster) for cluster in found.detailed()}
    bands = {cluster: band for cluster, band in bands.items() if len(band)}
    if math.isnan(scores.mean()):
        return "<p>With points in fewer than two clusters there is no silhouette.</p>"
    return (
        f"<figure>{silhouettes_of(bands, scores.mean())}<figcaption>Each band is a cluster, and "
        "each line in it a point of the sample, from the highest silhouette to the lowest. Near 1 "
        "a point is far closer to its own cluster than to the next one; below 0 it is closer to "
        "the next one. The dashed line is the mean of all.</figcaption></figure>"
    )


def _loss(found: Findings) -> str:
    losses = [(step, loss) for step, loss in found.losses if math.isfinite(loss)]
    if len(losses) < 2:
        return (
            "<p>The model folder has fewer than two losses in its event files, so there is no "
            "curve.</p>"
        )
    places = spread(len(losses), _MOST_LOSSES)
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
        order = found.most_different(cluster, _MOST_COLUMNS)
        count = int(found.tally.counts[cluster])
        points = f"{count:,} point{'' if count == 1 else 's'}"
        rows = _profile_rows(found, order, profile[cluster], means[cluster], mean)
        heads = ["column", "difference", "in deviations", "mean of cluster", "mean of all"]
        parts.append(
            f"<details{' open' if place == 0 else ''}><summary>"
            f'<span class="dot c{cluster % NUM_COLORS}"></span> Cluster {cluster}: {points}, '
            f"{found.tally.sizes[cluster] / found.tally.total:.1%}</summary>"
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
        share, side = abs(profile[column]) / most, "below" if profile[column] < 0 else "above"
        yield [
            shown(found.columns[column]),
            f'<span class="sides"><span class="bar {side}" style="--share:{share:.3f}"></span>'
            "</span>",
            f"{profile[column]:+.2f}",
            number(means[column]),
            number(mean[column]),
        ]


def _members(
    found: Findings, cluster: int, order: NDArray[np.intp], kind: str, members: ExtremeMembers
) -> str:
    side = "to" if kind == "nearest" else "from"
    caption = f"The {kind} {side} the center of cluster {cluster}"
    if found.picture_shape is not None:
        return _pictures(found, cluster, caption, members)
    # In the order of the file, where all of them fit.
    columns = np.sort(order) if len(found.columns) <= _MOST_COLUMNS else order
    rows = []
    for place, row in enumerate(members.numbers[cluster]):
        if row >= 0:
            values = members.values[cluster, place, columns]
            rows.append(
                [
                    _name(found, int(row)),
                    *(_detail(found, text) for text in found.details.get(int(row), ())),
                    number(members.distances[cluster, place]),
                    *map(number, values.tolist()),
                ]
            )
    heads = ["point", *map(shown, found.detail_columns), _distance_name(found)]
    heads += [shown(found.columns[place]) for place in columns]
    some = " (the columns of the profile)" if len(columns) < len(found.columns) else ""
    return table(f"{caption}{some}", heads, rows, words=1 + len(found.detail_columns))


def _detail(found: Findings, text: str) -> str:
    """A value of another column: what it says, and the picture that it names."""
    seen = found.thumbnails.get(text)
    if seen is None:
        return shown(text)
    if not seen.startswith("data:"):
        return f"{shown(text)} ({seen})"
    return f'<img class="thumbnail" src="{seen}" alt=""> {shown(text)}'


def _name(found: Findings, row: int) -> str:
    return shown(found.names.get(row, f"row {row:,}"))


def _pictures(found: Findings, cluster: int, caption: str, members: ExtremeMembers) -> str:
    assert found.picture_shape is not None
    low, high = float(np.nanmin(found.sample)), float(np.nanmax(found.sample))

    def picture(values: NDArray[np.float64], name: str, under: str) -> str:
        image = png_of(values.reshape(found.picture_shape), low, high)
        return (
            f'<li><figure><img src="{image}" alt="{name}"><figcaption>{under}</figcaption>'
            "</figure></li>"
        )

    center = found.centers_in_units[cluster].astype(np.float64)
    pictures = [picture(center, f"center of cluster {cluster}", "center")]
    for place, row in enumerate(members.numbers[cluster]):
        if row >= 0:
            name = _name(found, int(row))
            away = number(members.distances[cluster, place], 3)
            under = f"{name}<br>{_distance_name(found)} {away}"
            pictures.append(picture(members.values[cluster, place], name, under))
    return f'<h4>{caption}</h4><ul class="pictures">{"".join(pictures)}</ul>'


def _settings(found: Findings) -> str:
    rows = [[shown(name), shown(value)] for name, value in found.settings.items()]
    return table("What was clustered and how", ["setting", "value"], rows, words=2)
