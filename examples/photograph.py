"""A photograph in few colors. See docs/gallery/photograph.md.

Needs scikit-learn, which ships the photograph, and the extra `plot`.

    python examples/photograph.py data       # writes flower.jpg
    python examples/photograph.py picture    # draws photograph.png from what `quantize` wrote
"""

from __future__ import annotations

import shutil
import sys
from importlib.resources import files

from PIL import Image

PICTURES = ["flower.jpg", "flower-16.png", "flower-4.png", "flower-4-dithered.png"]


def write_data() -> None:
    """Copies the photograph out of scikit-learn."""
    with (
        files("sklearn.datasets.images").joinpath("flower.jpg").open("rb") as source,
        open("flower.jpg", "wb") as copy,
    ):
        shutil.copyfileobj(source, copy)


def draw() -> None:
    """Puts four pictures into one: the photograph, 16 colors, 4 colors, 4 dithered."""
    wide, tall = 400, 267
    whole = Image.new("RGB", (2 * wide + 8, 2 * tall + 8), "white")
    for place, name in enumerate(PICTURES):
        with Image.open(name) as picture:
            part = picture.convert("RGB").crop((0, 0, wide, tall))
        whole.paste(part, (place % 2 * (wide + 8), place // 2 * (tall + 8)))
    whole.save("photograph.png", optimize=True)


if __name__ == "__main__":
    {"data": write_data, "picture": draw}[sys.argv[1]]()
