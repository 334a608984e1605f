"""Plots of a model and points; the numbers are those of a report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from centroids.kmeans import KMeansClustering
from centroids.report import Findings, Plane, examine, read_loss_curve

_MOST_BARS = 200
_MOST_NUMBERS, _MOST_NUMBERS_IN_A_ROW = 24, 12
_MOST_COLUMNS = 20


def plot_loss(model: KMeansClustering, *, ax: Any = None) -> Any:
    """Draws the loss of training over the steps, as the event files of the model have it.

    Args:
        model: The model.
        ax: The Axes to draw on; None: those of a new figure.

    Returns:
        The Axes.

    Raises:
        ValueError: If the event files have no loss.
        ImportError: If matplotlib is not installed.
    """
    losses = [
        (step, loss) for step, loss in read_loss_curve(model.model_dir) if math.isfinite(loss)
    ]
    if not losses:
        raise ValueError(
            f"the event files in {model.model_dir} have no loss: train the model first"
        )
    ax = _axes(ax)
    steps, values = zip(*losses, strict=True)
    ax.plot(steps, values, marker="o" if len(steps) <= 40 else None, markersize=4)
    ax.set(title="Loss of training", xlabel="step", ylabel="loss")
    ax.xaxis.get_major_locator().set_params(integer=True)
    return ax


def plot_sizes(
    model: KMeansClustering, points: Any, *, weights: ArrayLike | None = None, ax: Any = None
) -> Any:
    """Draws how large clusters are, from the largest to the smallest; 200 of them at most.

    Args:
        model: A trained model.
        points: [n, d] array or data frame of numbers.
        weights: [n], how much each point counts, finite and not negative; None: 1.
        ax: The Axes to draw on; None: those of a new figure.

    Returns:
        The Axes.

    Raises:
        TypeError: If points are sparse, or points or weights are not real numbers.
        ValueError: If there are no points, one of them or a weight is not allowed, or the model is
            not trained.
        ImportError: If matplotlib is not installed.
    """
    ax, found = _axes(ax), examine(model, points, weights=weights)
    order = found.largest(_MOST_BARS)
    bars = ax.bar(range(len(order)), found.tally.sizes[order])
    for bar, cluster in zip(bars, order, strict=True):
        bar.set_color(_color(cluster))
    if len(order) <= _MOST_NUMBERS:
        numbers, size = [str(cluster) for cluster in order], _font_size(len(order))
        # Many stand upright: side by side, two numbers would read as one.
        turn = 90 if len(order) > _MOST_NUMBERS_IN_A_ROW else 0
        ax.set_xticks(range(len(order)), numbers, fontsize=size, rotation=turn)
    else:
        ax.set_xticks([])
    what = "weight" if found.tally.weighted else "points"
    ax.set(title="Sizes of clusters", xlabel="cluster", ylabel=what)
    return ax


def plot_map(
    model: KMeansClustering,
    points: Any,
    *,
    weights: ArrayLike | None = None,
    umap: bool = False,
    ax: Any = None,
) -> Any:
    """Draws a sample of points and the centers in the plane of the first principal components.

    Args:
        model: A trained model.
        points: [n, d] array or data frame of numbers.
        weights: [n], how much each point counts; those of weight 0 are not drawn. None: 1.
        umap: Let UMAP place the points and the centers of the largest clusters instead.
        ax: The Axes to draw on; None: those of a new figure.

    Returns:
        The Axes.

    Raises:
        TypeError: As for `plot_sizes`.
        ValueError: As for `plot_sizes`; or if there are too few points for UMAP.
        ImportError: If matplotlib is not installed, or UMAP is asked for and umap-learn is not.
    """
    ax, found = _axes(ax), examine(model, points, weights=weights)
    plane = found.umap_plane() if umap else found.principal_plane()
    if plane is None:
        raise ValueError(f"UMAP needs more points than {len(found.sample)}")
    colors = [_color(cluster) for cluster in plane.labels]
    ax.scatter(*plane.points.T, s=6, alpha=0.5, c=colors, linewidths=0)
    _draw_centers(ax, plane, set(found.detailed()))
    ax.set(title="Map of points and centers", xticks=[], yticks=[])
    if plane.shares is not None:
        first, second = plane.shares
        ax.set_xlabel(f"first principal component ({first:.0%})")
        ax.set_ylabel(f"second principal component ({second:.0%})")
        ax.set_aspect("equal", adjustable="datalim")
    return ax


def plot_silhouette(
    model: KMeansClustering, points: Any, *, weights: ArrayLike | None = None, ax: Any = None
) -> Any:
    """Draws the silhouettes of a sample of points, cluster by cluster, and their mean.

    Args:
        model: A trained model.
        points: [n, d] array or data frame of numbers.
        weights: [n], how much each point counts, finite and not negative; None: 1.
        ax: The Axes to draw on; None: those of a new figure.

    Returns:
        The Axes.

    Raises:
        TypeError: As for `plot_sizes`.
        ValueError: As for `plot_sizes`; or if points are in fewer than two clusters.
        ImportError: If matplotlib is not installed.
    """
    ax, found = _axes(ax), examine(model, points, weights=weights)
    scores = found.silhouettes
    mean = scores.mean()
    if math.isnan(mean):
        raise ValueError("points are in fewer than two clusters: there is no silhouette")
    bands = {str(cluster): scores.falling(cluster) for cluster in found.detailed()}
    bands = {cluster: band for cluster, band in bands.items() if len(band)}
    least, gap = _room_for_a_number(list(map(len, bands.values())))
    start, ticks = 0.0, {}
    for cluster, band in bands.items():
        room = max(len(band), least)
        rows = start + (room - len(band)) / 2 + np.arange(len(band))
        ax.fill_betweenx(rows, 0, band, color=_color(int(cluster)), step="mid", linewidth=0)
        ticks[cluster] = start + room / 2
        start += room + gap
    # In the color of the words, which also shows on a dark background.
    ax.axvline(mean, color=ax.xaxis.label.get_color(), linestyle="--", linewidth=1)
    ax.set_yticks(list(ticks.values()), list(ticks), fontsize=_font_size(len(ticks)))
    ax.invert_yaxis()
    ax.set(title=f"Silhouettes, {mean:.2f} on average", xlabel="silhouette", ylabel="cluster")
    return ax


def plot_profiles(
    model: KMeansClustering,
    points: Any,
    *,
    columns: Sequence[str] | None = None,
    weights: ArrayLike | None = None,
    ax: Any = None,
) -> Any:
    """Draws how far the mean of each cluster is from that of all points, column by column.

    Differences are in standard deviations of all points. The 24 largest clusters are shown, and up
    to 20 columns: those in which a cluster differs most.

    Args:
        model: A trained model.
        points: [n, d] array or data frame of numbers.
        columns: [d], their names; None for those of the data frame, or else numbers.
        weights: [n], how much each point counts, finite and not negative; None: 1.
        ax: The Axes to draw on; None: those of a new figure.

    Returns:
        The Axes.

    Raises:
        TypeError: As for `plot_sizes`.
        ValueError: As for `plot_sizes`; or if there are not d names.
        ImportError: If matplotlib is not installed.
    """
    ax = _axes(ax)
    found = examine(model, points, columns=columns, weights=weights)
    clusters, profile = found.detailed(), found.tally.profile()
    order = _columns_that_differ(found)
    values = profile[clusters][:, order]
    most = float(np.abs(values).max()) or 1.0
    picture = ax.imshow(values, cmap="RdBu_r", vmin=-most, vmax=most, aspect="auto")
    numbers = [str(cluster) for cluster in clusters]
    ax.set_yticks(range(len(clusters)), numbers, fontsize=_font_size(len(clusters)))
    # Dollars are those of columns, not those of formulas.
    names = [found.columns[column].replace("$", r"\$") for column in order]
    size = _font_size(len(order))
    ax.set_xticks(range(len(order)), names, rotation=45, ha="right", fontsize=size)
    ax.set(title="Profiles", ylabel="cluster")
    ax.figure.colorbar(picture, ax=ax, label="deviations from the mean of all")
    return ax


def _draw_centers(ax: Any, plane: Plane, numbered: set[int]) -> None:
    """Draws the centers: some as discs with their numbers, and the others, maybe many, as dots."""
    from matplotlib.patheffects import withStroke

    colors = [_color(cluster) for cluster in plane.clusters]
    areas = [140 if cluster in numbered else 20 for cluster in plane.clusters.tolist()]
    ax.scatter(*plane.centers.T, s=areas, c=colors, edgecolors="white", zorder=3)
    for cluster, place, color in zip(plane.clusters.tolist(), plane.centers, colors, strict=True):
        if cluster in numbered:
            shown = ax.annotate(str(cluster), place, ha="center", va="center", fontsize=8, zorder=4)
            shown.set_color(_legible_on(color))
            # A number of three digits is wider than the disc.
            shown.set_path_effects([withStroke(linewidth=3, foreground=color)])


def _columns_that_differ(found: Findings) -> list[int]:
    """In the order of the points, those in which a cluster differs most."""
    profile = np.abs(found.tally.profile()[found.detailed()]).max(axis=0)
    return sorted(np.argsort(-profile, kind="stable")[:_MOST_COLUMNS].tolist())


def _room_for_a_number(sizes: list[int]) -> tuple[float, float]:
    """How high the thinnest band is, and what is between two: no less than 1/32 of all, and 1/100.

    Args:
        sizes: How many points each cluster has, at most 24 of them.
    """
    gap, least = sum(sizes) / 100, 0.0
    for _ in range(30):  # what small clusters get makes all of it higher
        least = sum(max(size, least) + gap for size in sizes) / 32
    return least, gap


def _font_size(count: int) -> str:
    """That of labels, so that many have room."""
    return "medium" if count <= _MOST_NUMBERS_IN_A_ROW else "x-small"


def _color(cluster: int) -> str:
    return f"C{cluster % 10}"


def _legible_on(color: str) -> str:
    """Black or white, whichever has the higher contrast (W3C, WCAG 2.2, 2023) to a color."""
    from matplotlib.colors import to_rgb

    parts = np.array(to_rgb(color))
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ [0.2126, 0.7152, 0.0722])
    # (1 + 0.05) / (luminance + 0.05) against (luminance + 0.05) / (0 + 0.05).
    return "white" if (luminance + 0.05) ** 2 < 1.05 * 0.05 else "black"


def _axes(ax: Any) -> Any:
    if ax is not None:
        return ax
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(
            "drawing needs matplotlib: pip install 'centroids[plot]'", name=error.name
        ) from error
    return pyplot.subplots(layout="constrained")[1]
