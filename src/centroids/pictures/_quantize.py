"""The colors of a picture, clustered."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from centroids import clustering, kernels
from centroids.checks import check_integer
from centroids.errors import Argument, WordedError
from centroids.pictures._reading import import_pillow
from centroids.rows import WeightedPoints

if TYPE_CHECKING:
    from PIL import Image

_MOST_IN_PALETTE = 256
_ITERATIONS = 300
_RESTARTS = 3
_NUM_COLORS = 1 << 24


def quantize(
    picture: Image.Image, num_colors: int, *, dither: bool = False, seed: int = 0
) -> Image.Image:
    """A picture in few colors, which k-means finds among its own.

    Each different color is one point, whose weight is the number of its pixels: the clustering is
    that of all pixels. Distances are those of red, green and blue as they are stored. Transparency
    stays as it is; colors of pixels that cannot be seen do not count.

    Args:
        picture: Of the mode RGB or RGBA, as `read_picture` returns it.
        num_colors: How many colors to leave, from 1 up to as many as there are.
        dither: Mix colors that are missing from neighboring pixels, by the algorithm of Floyd and
            Steinberg (An adaptive algorithm for spatial greyscale, Proceedings of the Society of
            Information Display 17, 1976). Without it each pixel gets the nearest color.
        seed: Of the initial colors: equal seeds give equal pictures.

    Returns:
        A picture of the mode P (with a palette) if the colors fit one, together with one for
        invisible pixels if there are such; else one of the mode of `picture`.

    Raises:
        ValueError: If there are not so many colors, the mode is another, or dithering is asked for
            with more than 256 colors.
        ImportError: If Pillow is not installed.

    >>> from PIL import Image
    >>> picture = Image.new("RGB", (4, 1), (250, 0, 0))
    >>> picture.putpixel((1, 0), (252, 0, 0))
    >>> picture.putpixel((3, 0), (0, 0, 90))
    >>> few = quantize(picture, 2)
    >>> few.mode, [few.convert("RGB").getpixel((x, 0)) for x in range(4)]
    ('P', [(251, 0, 0), (251, 0, 0), (251, 0, 0), (0, 0, 90)])
    """
    check_integer("num_colors", num_colors, lowest=1)
    if picture.mode not in ("RGB", "RGBA"):
        raise ValueError(f"picture must be of the mode RGB or RGBA, got {picture.mode}")
    if dither and num_colors > _MOST_IN_PALETTE:
        raise WordedError(
            Argument("dither"),
            f" is for up to {_MOST_IN_PALETTE} colors, but ",
            Argument("num_colors"),
            f" is {num_colors:,}",
            remedy="leave it out, or choose fewer colors",
        )
    pixels = np.asarray(picture)
    alpha = pixels[:, :, 3] if picture.mode == "RGBA" else None
    codes = pixels[:, :, :3].astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    seen, counts = np.unique(codes if alpha is None else codes[alpha > 0], return_counts=True)
    if num_colors > len(seen):
        raise WordedError(
            Argument("num_colors"),
            f" must be at most {len(seen):,}, as many as there are colors; got {num_colors:,}",
        )
    colors = np.stack([seen >> 16, seen >> 8 & 255, seen & 255], axis=1).astype(np.float32)
    palette = _palette(colors, counts.astype(np.float64), num_colors, seed)
    if dither:
        index = _dithered(picture, palette)
    else:
        of_color = np.zeros(_NUM_COLORS, np.int32)
        of_color[seen] = kernels.assign(
            colors, palette.astype(np.float32), inertia=False
        ).cluster_index
        index = of_color[codes]
    return _assembled(palette, index, alpha, picture.info)


def _palette(
    colors: NDArray[np.float32], counts: NDArray[np.float64], number: int, seed: int
) -> NDArray[np.uint8]:
    """[number, 3]: the best centers of several fits, as whole numbers."""
    best, lowest = None, math.inf
    for turn in range(_RESTARTS):
        centers = clustering.choose_initial_centers(
            [WeightedPoints(colors, counts)],
            number,
            "kmeans_plus_plus",
            seed=np.random.default_rng([seed, turn]),
            whole_input_in_batch=True,
        )
        inertia = math.inf
        iterations = clustering.lloyd_iterations(
            colors, centers, memory=kernels.AssignmentMemory(), weights=counts
        )
        for assigned, moved in itertools.islice(iterations, _ITERATIONS):
            if not assigned.inertia < inertia:
                break
            inertia, centers = float(assigned.inertia), moved
        if inertia < lowest:
            best, lowest = centers, inertia
    assert best is not None
    return np.asarray(np.rint(best), np.uint8)


def _dithered(picture: Image.Image, palette: NDArray[np.uint8]) -> NDArray[np.integer]:
    image_of = import_pillow()
    holder = image_of.new("P", (1, 1))
    # Versions of Pillow differ in what they take entries for that are not there.
    whole = np.concatenate([palette, np.tile(palette[:1], (_MOST_IN_PALETTE - len(palette), 1))])
    holder.putpalette(whole.tobytes())
    found = picture.convert("RGB").quantize(palette=holder, dither=image_of.Dither.FLOYDSTEINBERG)
    index = np.asarray(found)
    return np.where(index < len(palette), index, 0)


def _assembled(
    palette: NDArray[np.uint8],
    index: NDArray[np.integer],
    alpha: NDArray[np.uint8] | None,
    info: Mapping[Any, Any],
) -> Image.Image:
    image_of = import_pillow()
    hidden = None if alpha is None or alpha.all() else len(palette)
    entries = len(palette) + (hidden is not None)
    whole = alpha is None or bool(np.isin(alpha, (0, 255)).all())
    if whole and entries <= _MOST_IN_PALETTE:
        if hidden is not None:
            assert alpha is not None
            index = np.where(alpha > 0, index, hidden)
        found: Image.Image = image_of.fromarray(index.astype(np.uint8))
        found.putpalette(palette.tobytes() + b"\0\0\0" * (entries - len(palette)))
    else:
        colors = palette[index]
        found = image_of.fromarray(colors if alpha is None else np.dstack([colors, alpha]))
    found.info = {key: value for key, value in info.items() if key == "icc_profile"}
    if hidden is not None and found.mode == "P":
        found.info["transparency"] = hidden
    return found
