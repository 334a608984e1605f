"""What the log says of an assignment."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from centroids.kernels import _native


def describe_search(
    points: NDArray[Any],
    num_centers: int,
    search: _native.Search,
    with_bounds: bool,
    rows: int,
    questioned: int,
    panels: int,
    compared: int,
    followed: int,
    read: int,
) -> str:
    """Which kernel ran and what it did, for the log."""
    n, d = points.shape
    text = f"assigned {n} x {d} {points.dtype} to {num_centers} centers by {search.name}"
    if with_bounds:
        text += f" with bounds, which settled {1 - questioned / max(rows, 1):.1%} of the points"
        if read < rows:
            text += f", with {read / rows:.1%} read"
    if rows:
        text += f"; per point {panels / rows:.2f} panels searched, {compared / rows:.2f} compared"
    if followed >= 0:
        text += f"; sums followed {followed} points"
    return text
