"""The plots show what a report shows, on the axes that they are given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import centroids
from centroids import plotting

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")

ROWS = np.array([[0, 0], [0, 2], [10, 1], [10, 3], [10, 8], [12, 4]], float)
LABELS = np.array([0, 0, 1, 1, 1, 1])
WEIGHTS = np.array([1.0, 2, 0, 1, 1, 3])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> centroids.KMeansClustering:
    folder = str(tmp_path_factory.mktemp("model"))
    model = centroids.KMeansClustering(
        2, folder, initial_clusters=np.array([[0.0, 1], [10, 4]]), use_mini_batch=False
    )
    return model.train(lambda: ROWS, steps=3)


@pytest.fixture
def ax() -> Iterator[Any]:
    from matplotlib.figure import Figure

    yield Figure().subplots()


PLOTS: dict[str, Callable[..., Any]] = {
    name: getattr(plotting, name) for name in plotting.__all__ if name != "plot_loss"
}


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_takes_axes_and_returns_them(model: Any, ax: Any, name: str) -> None:
    assert PLOTS[name](model, ROWS, ax=ax) is ax
    assert ax.get_title()
    ax.figure.savefig("/dev/null", format="png")


@pytest.mark.parametrize("name", PLOTS)
def test_without_axes_there_is_a_new_figure(model: Any, name: str) -> None:
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    made = PLOTS[name](model, ROWS)
    (number,) = set(pyplot.get_fignums()) - set(before)
    assert made.figure is pyplot.figure(number)
    pyplot.close(number)


def test_the_loss_is_that_of_the_event_files(model: Any, ax: Any, tmp_path: Path) -> None:
    assert plotting.plot_loss(model, ax=ax) is ax
    (line,) = ax.lines
    first = sum(min(((row - center) ** 2).sum() for center in ([0, 1], [10, 4])) for row in ROWS)
    assert (line.get_xdata()[0], line.get_ydata()[0]) == (1, first)
    new = centroids.KMeansClustering(2, str(tmp_path))
    with pytest.raises(ValueError, match="have no loss: train the model first"):
        plotting.plot_loss(new, ax=ax)


def test_sizes_are_counts_or_weights(model: Any, ax: Any) -> None:
    plotting.plot_sizes(model, ROWS, ax=ax)
    assert [bar.get_height() for bar in ax.patches] == [4, 2]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1", "0"]
    ax.clear()
    plotting.plot_sizes(model, ROWS, weights=WEIGHTS, ax=ax)
    assert [bar.get_height() for bar in ax.patches] == [5, 3]
    assert ax.get_ylabel() == "weight"


def test_many_numbers_of_clusters_do_not_touch(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    points = np.repeat(np.arange(24.0) * 100, 3)[:, None]
    model = centroids.KMeansClustering(24, str(tmp_path), initial_clusters=points[::3])
    model.train(lambda: points, steps=1)
    figure = Figure(figsize=(4, 3))
    ax = plotting.plot_sizes(model, points, ax=figure.subplots())
    figure.canvas.draw()
    boxes = [tick.get_window_extent() for tick in ax.get_xticklabels()]
    assert len(boxes) == 24
    assert all(one.x1 < next.x0 for one, next in pairwise(boxes))


def test_the_map_keeps_distances_of_points_in_a_plane(model: Any, ax: Any) -> None:
    plotting.plot_map(model, ROWS, ax=ax)
    points, centers = (np.asarray(each.get_offsets()) for each in ax.collections)
    away = np.linalg.norm(ROWS[:, None] - ROWS, axis=2)
    drawn = np.linalg.norm(points[:, None] - points, axis=2)
    np.testing.assert_allclose(drawn / drawn.max(), away / away.max(), atol=1e-12)
    assert [text.get_text() for text in ax.texts] == ["0", "1"]
    np.testing.assert_allclose(centers, [points[c == LABELS].mean(axis=0) for c in (0, 1)])
    ax.clear()
    plotting.plot_map(model, ROWS, weights=WEIGHTS, ax=ax)
    assert len(ax.collections[0].get_offsets()) == 5
    with pytest.raises(ValueError, match="UMAP needs more points than 6"):
        plotting.plot_map(model, ROWS, umap=True, ax=ax)


def test_silhouettes_and_their_mean(model: Any, ax: Any) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    plotting.plot_silhouette(model, ROWS, ax=ax)
    expected = sklearn.silhouette_samples(ROWS, LABELS)
    for band, cluster in zip(ax.collections, (0, 1), strict=True):
        drawn = band.get_paths()[0].vertices[:, 0].max()
        assert drawn == pytest.approx(expected[cluster == LABELS].max())
    assert ax.lines[0].get_xdata()[0] == pytest.approx(expected.mean())


def test_profiles_are_in_deviations_and_named_as_the_table_is(model: Any, ax: Any) -> None:
    table = pd.DataFrame(ROWS, columns=["age", "income"])
    plotting.plot_profiles(model, table, ax=ax)
    means = np.array([ROWS[c == LABELS].mean(axis=0) for c in (0, 1)])
    expected = (means - ROWS.mean(axis=0)) / ROWS.std(axis=0)
    np.testing.assert_allclose(ax.images[0].get_array(), expected)
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["age", "income"]
    with pytest.raises(ValueError, match="columns must have 2 entries"):
        plotting.plot_profiles(model, ROWS, columns=["a"])


def test_many_clusters_and_columns_are_cut_to_what_can_be_read(tmp_path: Path, ax: Any) -> None:
    points = np.random.default_rng(0).normal(size=(300, 40))
    many = centroids.KMeansClustering(
        60, str(tmp_path), initial_clusters=points[:60], use_mini_batch=False
    ).train(lambda: points, steps=1)
    plotting.plot_profiles(many, points, ax=ax)
    assert ax.images[0].get_array().shape == (24, 20)
    ax.clear()
    assert len(plotting.plot_sizes(many, points, ax=ax).patches) == 60


def test_plotting_is_imported_without_matplotlib(model: Any, monkeypatch: Any) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'centroids\[plot\]'"):
        plotting.plot_sizes(model, ROWS)


def test_dollars_in_names_are_no_formulas(model: Any, ax: Any) -> None:
    plotting.plot_profiles(model, ROWS, columns=["$x^{$", "in $"], ax=ax)
    ax.figure.savefig("/dev/null", format="png")


@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_numbers_of_clusters_and_the_mean_stand_out_in_every_style(model: Any, style: str) -> None:
    from matplotlib import colors, pyplot

    def luminance(color: Any) -> float:
        parts = np.array(colors.to_rgb(color))
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    def contrast(*pair: Any) -> float:
        low, high = sorted(map(luminance, pair))
        return (high + 0.05) / (low + 0.05)

    with pyplot.style.context(style):
        axes = pyplot.figure().subplots(2)
        plotting.plot_map(model, ROWS, ax=axes[0])
        discs = axes[0].collections[1].get_facecolors()
        for text, disc in zip(axes[0].texts, discs, strict=True):
            assert contrast(text.get_color(), disc) > 4.5
        plotting.plot_silhouette(model, ROWS, ax=axes[1])
        assert contrast(axes[1].lines[0].get_color(), axes[1].get_facecolor()) > 4.5
        pyplot.close()


def test_the_map_numbers_no_more_centers_than_a_report(tmp_path: Path, ax: Any) -> None:
    points = np.random.default_rng(0).normal(size=(300, 2))
    many = centroids.KMeansClustering(
        60, str(tmp_path), initial_clusters=points[:60], use_mini_batch=False
    ).train(lambda: points, steps=1)
    plotting.plot_map(many, points, ax=ax)
    sizes = ax.collections[1].get_sizes()
    assert len(ax.texts) == 24 == (sizes == sizes.max()).sum()
    assert len(sizes) == 60


def test_numbers_of_small_clusters_have_room(tmp_path: Path, ax: Any) -> None:
    # One large cluster, and 23 of two points.
    points = np.repeat(np.arange(24.0)[:, None] * 100, [1000, *[2] * 23], axis=0)
    points += np.random.default_rng(0).normal(size=points.shape)
    centers = np.arange(24.0)[:, None] * 100
    many = centroids.KMeansClustering(
        24, str(tmp_path), initial_clusters=centers, use_mini_batch=False
    ).train(lambda: points, steps=1)
    plotting.plot_silhouette(many, points, ax=ax)
    low, high = sorted(ax.get_ylim())
    assert len(ax.get_yticks()) == 24
    assert np.diff(np.sort(ax.get_yticks())).min() > (high - low) / 40
