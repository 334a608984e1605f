"""centroids quantize."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import typer

from centroids.cli.answer import answer
from centroids.cli.numbers import show_number
from centroids.cli.output_file import check_output, naming
from centroids.errors import at_place
from centroids.files import atomic_file
from centroids.pictures import quantize, read_picture
from centroids.progress import Activity

if TYPE_CHECKING:
    from PIL import Image

_BAND_ROWS = 256
_KINDS = {".png": "PNG", ".webp": "WEBP"}


def quantize_picture(
    path: Path, num_colors: int, output: Path | None, *, dither: bool, seed: int
) -> None:
    """Writes a picture in few colors, and says how far it is from the old one."""
    if output is None:
        output = path.with_name(f"{path.stem}-{num_colors}.png")
    _check_output(output, path)
    with Activity("clustering colors"):
        before = read_picture(path)
        try:
            after = quantize(before, num_colors, dither=dither, seed=seed)
        except ValueError as error:
            raise at_place(str(path), error) from error
    with naming(output):
        _write(after, output)
    away = _error(before, after)
    result = {
        "output": str(output),
        "width": after.width,
        "height": after.height,
        "num_colors": num_colors,
        "mean_squared_error": away,
        "bytes": output.stat().st_size,
        "bytes_before": path.stat().st_size,
    }
    answer(result)
    colors = f"{num_colors:,} color{'' if num_colors == 1 else 's'}"
    typer.echo(
        f"Wrote {output}: {after.width:,} x {after.height:,} pixels in {colors}, "
        f"{result['bytes']:,} bytes ({path}: {result['bytes_before']:,}). "
        f"Mean squared error of a pixel: {show_number(away)}"
    )


def _check_output(output: Path, path: Path) -> None:
    """Raises a ValueError before a large picture is read in vain."""
    if output.suffix.lower() not in _KINDS:
        kinds = " or ".join(_KINDS)
        raise ValueError(
            f"--output must be a {kinds} file, which keep colors as they are, got {output}"
        )
    check_output(output)
    if not path.exists():
        raise ValueError(f"{path}: No such file or directory")
    if path.is_dir():
        raise ValueError(f"{path} is a folder: a picture is needed")
    if output.exists() and output.samefile(path):
        raise ValueError(f"--output {output} is the picture itself: choose another name")


def _write(picture: Image.Image, output: Path) -> None:
    kind = _KINDS[output.suffix.lower()]
    if kind == "WEBP":
        has_alpha = picture.mode == "RGBA" or "transparency" in picture.info
        picture = picture.convert("RGBA" if has_alpha else "RGB")
    options = {"optimize": True} if kind == "PNG" else {"lossless": True, "exact": True}
    with atomic_file(str(output)) as file:
        picture.save(file, format=kind, **options, icc_profile=picture.info.get("icc_profile"))


def _error(before: Image.Image, after: Image.Image) -> float:
    """The mean squared distance of the pixels that can be seen to what they were."""
    away, count = 0, 0
    for top in range(0, before.height, _BAND_ROWS):  # a photograph in float64 is large
        band = (0, top, before.width, min(top + _BAND_ROWS, before.height))
        old, new = (
            np.asarray(each.crop(band).convert("RGBA"), np.int64) for each in (before, after)
        )
        seen = old[:, :, 3] > 0
        away += int(np.square(old[seen] - new[seen])[:, :3].sum())
        count += int(seen.sum())
    return away / count
