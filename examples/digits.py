"""Handwritten digits, each with a picture in a file. See docs/gallery/digits.md.

Needs scikit-learn, which ships the digits, and the extra `plot`.

    python examples/digits.py data       # writes digits.csv and the pictures in the folder digits
    python examples/digits.py picture    # draws digits.png from the model and shapes.npy
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SIDE = 8  # pixels
DARKEST = 16


def write_data() -> None:
    """Writes a row for each digit: its pixels, which digit it is, and where its picture is."""
    from PIL import Image
    from sklearn.datasets import load_digits

    pixels, digits = load_digits(return_X_y=True)
    Path("digits").mkdir(exist_ok=True)
    with open("digits.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*(f"p{place}" for place in range(SIDE * SIDE)), "digit", "picture"])
        for number, (row, digit) in enumerate(zip(pixels.astype(int), digits, strict=True)):
            name = f"digits/{number}.png"
            levels = (255 - row * 255 // DARKEST).astype(np.uint8).reshape(SIDE, SIDE)
            Image.fromarray(levels).resize((64, 64), Image.Resampling.NEAREST).save(name)
            writer.writerow([*row.tolist(), digit, name])


def draw() -> None:
    """Draws each center beside the four digits nearest to it."""
    from matplotlib.figure import Figure

    import centroids

    rows = np.loadtxt("digits.csv", delimiter=",", skiprows=1, usecols=range(SIDE * SIDE + 1))
    pixels, digits = rows[:, :-1], rows[:, -1].astype(int)
    kinds = np.load("shapes.npy")
    centers = centroids.KMeansClustering(10, "shapes").cluster_centers()
    counts = np.array([np.bincount(digits[kinds == kind], minlength=10) for kind in range(10)])
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    order = counts.argmax(axis=1).argsort(kind="stable")
    for axes, kind in zip(figure.subplots(2, 5).flat, order, strict=True):
        members = pixels[kinds == kind]
        nearest = np.square(members - centers[kind]).sum(axis=1).argsort()[:4]
        axes.imshow(beside(centers[kind], members[nearest]), cmap="gray_r")
        share = counts[kind].max() / counts[kind].sum()
        axes.set_title(f"{share:.0%} are {counts[kind].argmax()}", fontsize=15)
        axes.set_axis_off()
    figure.savefig("digits.png", dpi=100)


def beside(center: NDArray[np.float64], members: NDArray[np.float64]) -> NDArray[np.float64]:
    """A large picture on the left, and four small ones on the right."""
    whole = np.zeros((2 * SIDE + 1, 4 * SIDE + 3))
    whole[: 2 * SIDE, : 2 * SIDE] = np.kron(center.reshape(SIDE, SIDE), np.ones((2, 2)))
    for place, member in enumerate(members.reshape(-1, SIDE, SIDE)):
        top, left = place // 2 * (SIDE + 1), 2 * SIDE + 2 + place % 2 * (SIDE + 1)
        whole[top : top + SIDE, left : left + SIDE] = member
    return whole


if __name__ == "__main__":
    {"data": write_data, "picture": draw}[sys.argv[1]]()
