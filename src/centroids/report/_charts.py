"""Pictures as inline SVG: points and centers in the plane, and a curve."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.report._text import number

WIDTH, HEIGHT, EDGE = 480, 360, 22
_CURVE_HEIGHT, _LEFT, _BOTTOM = 220, 64, 34
_MOST_CURVE_POINTS = 400
NUM_COLORS = 10


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


def map_of(
    points: NDArray[np.float64],
    labels: NDArray[Any],
    centers: NDArray[np.float64],
    labelled: set[int],
) -> tuple[str, list[float]]:
    """Draws a sample and the centers in the plane of the sample's principal axes.

    Args:
        points: [m, d], at least one.
        labels: [m], their clusters.
        centers: [k, d].
        labelled: The centers that are drawn with their numbers.

    Returns:
        The SVG element, and the shares of the variance that the axes show.
    """
    # Squares of numbers up to 1 cannot overflow.
    largest = max(float(np.abs(points).max()), float(np.abs(centers).max())) or 1.0
    points, centers = points / largest, centers / largest
    mean = points.mean(axis=0)
    axes, shares = principal_axes(points - mean)
    flat, flat_centers = (points - mean) @ axes, (centers - mean) @ axes
    every = np.concatenate([flat, flat_centers])
    low, high = every.min(axis=0), every.max(axis=0)
    widest = float((high - low).max()) or 1.0
    span = np.maximum(high - low, 1e-9 * widest)
    scale = min((WIDTH - 2 * EDGE) / span[0], (HEIGHT - 2 * EDGE) / span[1])
    middle = (low + high) / 2

    def place(rows: NDArray[np.float64]) -> NDArray[np.float64]:
        # The second axis points upward.
        moved = (rows - middle) * scale * np.array([1, -1])
        return np.asarray(moved + np.array([WIDTH / 2, HEIGHT / 2]))

    placed = place(flat)
    parts = [
        f'<path class="dots c{cluster % NUM_COLORS}" d="{_dots(placed[labels == cluster])}"/>'
        for cluster in np.unique(labels)
    ]
    parts += [_center(cluster, at, labelled) for cluster, at in enumerate(place(flat_centers))]
    text = (
        f"{len(points):,} points and {len(centers):,} centers in the plane of the first two "
        "principal components"
    )
    return _svg(HEIGHT, text, "".join(parts)), shares


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
        f'<text class="name" x="{x:.1f}" y="{y + 4.5:.1f}">{cluster}</text>'
    )


def curve_of(losses: list[tuple[int, float]]) -> str:
    """Draws a loss over the steps, at least two of them."""
    if len(losses) > _MOST_CURVE_POINTS:
        kept = np.linspace(0, len(losses) - 1, _MOST_CURVE_POINTS).round().astype(int)
        losses = [losses[place] for place in kept]
    steps, values = (np.array(row, float) for row in zip(*losses, strict=True))
    low, high = values.min(), values.max()
    x = _LEFT + (steps - steps[0]) / max(steps[-1] - steps[0], 1) * (WIDTH - _LEFT - 14)
    tall = _CURVE_HEIGHT - _BOTTOM - 14
    y = 14 + (high - values) / ((high - low) or 1) * tall
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    foot = _CURVE_HEIGHT - _BOTTOM
    parts = [f'<path class="axis" d="M{_LEFT} 8V{foot}H{WIDTH - 8}"/>']
    parts.append(f'<polyline class="line" points="{line}"/>')
    if len(losses) <= 40:
        parts.append(f'<path class="dots line-dots" d="{_dots(np.stack([x, y], axis=1))}"/>')
    for value in dict.fromkeys([high, low]):
        at = 14 + (high - value) / ((high - low) or 1) * tall
        parts.append(
            f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" class="end">{number(value, 4)}</text>'
        )
    under = _CURVE_HEIGHT - 14
    parts.append(f'<text x="{_LEFT}" y="{under}">step {int(steps[0]):,}</text>')
    parts.append(f'<text x="{WIDTH - 8}" y="{under}" class="end">step {int(steps[-1]):,}</text>')
    text = (
        f"The loss of training: {number(values[0], 4)} at step {int(steps[0]):,}, "
        f"{number(values[-1], 4)} at step {int(steps[-1]):,}"
    )
    return _svg(_CURVE_HEIGHT, text, "".join(parts))


def _svg(height: int, text: str, content: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{text}">'
        f"<title>{text}</title>{content}</svg>"
    )
