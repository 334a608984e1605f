"""Pictures as inline SVG: points and centers in the plane, a curve, and silhouettes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from centroids.report._planes import Plane
from centroids.report._text import number

WIDTH, HEIGHT, EDGE = 480, 360, 22
_CURVE_HEIGHT, _LEFT, _BOTTOM = 220, 64, 34
_MOST_CURVE_POINTS = 400
_BANDS_HEIGHT, _LEAST_BAND_HEIGHT, _MOST_BAND_POINTS = 320, 15, 60
NUM_COLORS = 10


def map_of(plane: Plane, labelled: set[int]) -> str:
    """Draws a sample and centers in the plane.

    Args:
        plane: The plane.
        labelled: The centers that are drawn with their numbers.

    Returns:
        The SVG element.
    """
    every = np.concatenate([plane.points, plane.centers])
    low, high = every.min(axis=0), every.max(axis=0)
    widest = float((high - low).max()) or 1.0
    span = np.maximum(high - low, 1e-9 * widest)
    scale = min((WIDTH - 2 * EDGE) / span[0], (HEIGHT - 2 * EDGE) / span[1])
    middle = (low + high) / 2

    def place(rows: NDArray[np.float64]) -> NDArray[np.float64]:
        # The second axis points upward.
        moved = (rows - middle) * scale * np.array([1, -1])
        return np.asarray(moved + np.array([WIDTH / 2, HEIGHT / 2]))

    placed = place(plane.points)
    parts = [
        f'<path class="dots c{cluster % NUM_COLORS}" d="{_dots(placed[plane.labels == cluster])}"/>'
        for cluster in np.unique(plane.labels)
    ]
    centers = zip(plane.clusters.tolist(), place(plane.centers), strict=True)
    parts += [_center(cluster, at, labelled) for cluster, at in centers]
    where = "as UMAP places them"
    if plane.shares is not None:
        where = "in the plane of the first two principal components"
    text = f"{len(placed):,} points and {len(plane.centers):,} centers {where}"
    return _svg(HEIGHT, text, "".join(parts))


def _dots(places: NDArray[np.float64]) -> str:
    """A path of points: lines without length, which round ends make visible."""
    return "".join(f"M{x:.1f} {y:.1f}h0" for x, y in places)


def _center(cluster: int, at: NDArray[np.float64], labelled: set[int]) -> str:
    x, y = at
    color = f"c{cluster % NUM_COLORS}"
    if cluster not in labelled:
        return f'<circle class="center {color}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
    return (
        f'<circle class="center {color}" cx="{x:.1f}" cy="{y:.1f}" r="11"/>'
        f'<text class="name {color}" x="{x:.1f}" y="{y + 4.5:.1f}">{cluster}</text>'
    )


def curve_of(losses: list[tuple[int, float]]) -> str:
    """Draws a loss over the steps, at least two of them."""
    if len(losses) > _MOST_CURVE_POINTS:
        kept = np.linspace(0, len(losses) - 1, _MOST_CURVE_POINTS).round().astype(int)
        losses = [losses[place] for place in kept]
    steps, values = (np.array(row, float) for row in zip(*losses, strict=True))
    low, high = values.min(), values.max()
    # Digits are wider on a phone, where the style makes them larger.
    left = max([_LEFT, *(14 + 10 * len(number(value, 4)) for value in (low, high))])
    x = left + (steps - steps[0]) / max(steps[-1] - steps[0], 1) * (WIDTH - left - 14)
    tall = _CURVE_HEIGHT - _BOTTOM - 14
    y = 14 + (high - values) / ((high - low) or 1) * tall
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    foot = _CURVE_HEIGHT - _BOTTOM
    parts = [f'<path class="axis" d="M{left} 8V{foot}H{WIDTH - 8}"/>']
    parts.append(f'<polyline class="line" points="{line}"/>')
    if len(losses) <= 40:
        parts.append(f'<path class="dots line-dots" d="{_dots(np.stack([x, y], axis=1))}"/>')
    for value in dict.fromkeys([high, low]):
        at = 14 + (high - value) / ((high - low) or 1) * tall
        parts.append(f'<text x="{left - 6}" y="{at + 4:.1f}" class="end">{number(value, 4)}</text>')
    under = _CURVE_HEIGHT - 14
    parts.append(f'<text x="{left}" y="{under}">step {int(steps[0]):,}</text>')
    parts.append(f'<text x="{WIDTH - 8}" y="{under}" class="end">step {int(steps[-1]):,}</text>')
    text = (
        f"The loss of training: {number(values[0], 4)} at step {int(steps[0]):,}, "
        f"{number(values[-1], 4)} at step {int(steps[-1]):,}"
    )
    return _svg(_CURVE_HEIGHT, text, "".join(parts))


def silhouettes_of(scores: Mapping[int, NDArray[np.float64]], mean: float) -> str:
    """Draws the silhouettes of points, cluster by cluster, from the highest to the lowest.

    Args:
        scores: Those of the points of some clusters, at least one; each falling.
        mean: That of all points.
    """
    count = sum(map(len, scores.values()))
    least = min(float(of_cluster.min()) for of_cluster in scores.values())
    low, gap, foot = min(np.floor(least * 5) / 5, 0.0), 4, 22
    tall = _BANDS_HEIGHT / count

    def across(score: float) -> float:
        return float(_LEFT + (score - low) / (1 - low) * (WIDTH - _LEFT - 14))

    parts, top = [], float(gap)
    for cluster, of_cluster in scores.items():
        kept = np.linspace(0, len(of_cluster) - 1, min(len(of_cluster), _MOST_BAND_POINTS))
        # A small cluster has a thin band, and still room for its number.
        thick = tall * len(of_cluster)
        room = max(thick, _LEAST_BAND_HEIGHT)
        start = top + (room - thick) / 2
        down = thick / len(kept)
        steps = "".join(f"H{across(of_cluster[int(place)]):.1f}v{down:.2f}" for place in kept)
        parts.append(
            f'<path class="band c{cluster % NUM_COLORS}" d="M{across(0):.1f} {start:.1f}{steps}'
            f'H{across(0):.1f}z"/><text x="{_LEFT - 6}" '
            f'y="{top + room / 2 + 4.5:.1f}" class="end">{cluster}</text>'
        )
        top += room + gap
    height = int(top) + foot
    parts.append(f'<path class="axis" d="M{across(0):.1f} 0V{top:.1f}"/>')
    parts.append(f'<path class="mean" d="M{across(mean):.1f} 0V{top:.1f}"/>')
    for score in dict.fromkeys([low, 0.0, 0.5, 1.0]):
        parts.append(f'<text x="{across(score):.1f}" y="{height - 5}" class="mid">{score:g}</text>')
    text = f"Silhouettes of {count:,} points in {len(scores):,} clusters; the mean is {mean:.3f}"
    return _svg(height, text, "".join(parts))


def _svg(height: int, text: str, content: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{text}">'
        f"<title>{text}</title>{content}</svg>"
    )
