"""Picture files as red, green and blue, with transparency where there is some."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from centroids.files import open_regular

if TYPE_CHECKING:
    from PIL import Image

_WITH_ALPHA = {"RGBA", "LA", "PA", "RGBa", "La"}
_IN_RGB = {"RGB", "RGBA", "P", "PA", "RGBX", "RGBa"}
_MOST_16_BIT = 65535


def read_picture(path: str | os.PathLike[str], *, at_least: int | None = None) -> Image.Image:
    """Reads a picture, turned as its EXIF data says.

    Grey pictures, palettes, CMYK and 16 bits become 8 bits of red, green and blue. A color profile
    stays in the `info` of the picture if it is one of such colors.

    Args:
        path: A file of any kind that Pillow reads.
        at_least: The pixels of a side that are needed; a JPEG file is then read smaller than it is,
            which takes less time. None: all.

    Returns:
        A picture of the mode RGB, or RGBA if it has transparency.

    Raises:
        ValueError: If it is not a picture, damaged, animated, or of a kind without colors.
        OSError: If the file cannot be opened.
        ImportError: If Pillow is not installed.
    """
    image_of = import_pillow()
    from PIL import ImageOps

    with open_regular(path, follow_links=True) as file:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of odd metadata, and of many pixels
                picture = image_of.open(file)
                frames = getattr(picture, "n_frames", 1)
                if frames > 1 and picture.format != "MPO":  # two views of one photograph
                    raise _AnimatedError(frames)
                if at_least is not None:
                    picture.draft(None, (at_least, at_least))
                turned = ImageOps.exif_transpose(picture)
        except image_of.UnidentifiedImageError as error:
            raise ValueError(f"{path} is not a picture of a known kind") from error
        except image_of.DecompressionBombError as error:
            raise ValueError(f"{path} has too many pixels: {error}") from error
        except _AnimatedError as error:
            raise ValueError(
                f"{path} has {error.frames:,} frames: use a picture that is not animated"
            ) from error
        except MemoryError:
            raise
        except Exception as error:  # damaged files raise anything
            raise ValueError(f"{path} is a damaged picture: {error}") from error
    return _in_colors(turned, Path(path))


class _AnimatedError(ValueError):
    def __init__(self, frames: int) -> None:
        super().__init__(frames)
        self.frames = frames


def _in_colors(picture: Image.Image, path: Path) -> Image.Image:
    image_of = import_pillow()
    mode = picture.mode
    profile = picture.info.get("icc_profile") if mode in _IN_RGB else None
    if mode == "F":
        raise ValueError(f"{path} has floating-point pixels: convert it to 8 or 16 bits first")
    if mode.startswith("I"):
        levels = np.asarray(picture)
        if levels.min() < 0 or levels.max() > _MOST_16_BIT:
            raise ValueError(
                f"{path} has pixels from {levels.min():,} to {levels.max():,}: convert it to 8 or "
                "16 bits first"
            )
        grey = np.rint(levels / (_MOST_16_BIT / 255)).astype(np.uint8)
        found: Image.Image = image_of.fromarray(grey).convert("RGB")
        clear = picture.info.get("transparency")  # the level that cannot be seen
        if isinstance(clear, int):
            found.putalpha(image_of.fromarray(np.where(levels == clear, 0, 255).astype(np.uint8)))
    else:
        has_alpha = mode in _WITH_ALPHA or "transparency" in picture.info
        found = picture.convert("RGBA" if has_alpha else "RGB")
    found.info = {} if profile is None else {"icc_profile": profile}
    return found


def import_pillow() -> ModuleType:
    """Pillow's module Image.

    Raises:
        ImportError: If it is not installed; it says how to install it.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            "pictures need Pillow: pip install 'centroids[plot]'", name=error.name
        ) from error
    return Image
