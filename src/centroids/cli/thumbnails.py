"""Small pictures for the members of a report whose columns name files of pictures."""

from __future__ import annotations

import base64
import io
import logging
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from centroids.pictures import read_picture
from centroids.progress import Activity

logger = logging.getLogger(__name__)

_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
_SIDE = 96  # pixels at most
_MOST_BYTES = 2_500_000  # all together: a page has less than 5 MB


def thumbnails_of(texts: Iterable[str], folder: Path) -> dict[str, str]:
    """What there is to see of the files that texts name.

    Args:
        texts: The values of columns, each as often as the page shows it, because the page then
            holds the picture as often. Those that do not end as pictures do are left out, and so
            are addresses: a report is made without a network.
        folder: Where relative paths begin.

    Returns:
        By text: the address of an image, with its data, or else in words why there is none.
    """
    uses = Counter(text for text in texts if _is_picture(text))
    named = sorted(uses)
    found: dict[str, str] = {}
    left = _MOST_BYTES
    with Activity("reading pictures", len(named), "pictures") as shown:
        for number, text in enumerate(named):
            shown.update(number)
            try:
                data = _small(folder / text)
            except FileNotFoundError:
                found[text] = "not there"
            except (OSError, ValueError):
                found[text] = "not a picture that can be read"
            except ImportError as error:
                logger.warning("%s; the report shows the names of the files", error)
                return {}
            else:
                room = len(data) * uses[text]
                found[text] = data if room <= left else "no room left on this page"
                left -= room if room <= left else 0
    lost = [text for text in named if not found[text].startswith("data:")]
    if lost:
        logger.warning(
            "%d of %d pictures are not shown, of which the first is %s: %s",
            len(lost),
            len(named),
            folder / lost[0],
            found[lost[0]],
        )
    return found


def _is_picture(text: str) -> bool:
    return text.lower().endswith(_ENDINGS) and "://" not in text and "\0" not in text


def _small(path: Path) -> str:
    """A picture as the address of a small image, with its data."""
    picture = read_picture(path, at_least=_SIDE)
    from PIL.Image import Quantize  # which is there, as the picture is

    picture.thumbnail((_SIDE, _SIDE))
    out = io.BytesIO()
    if picture.mode == "RGBA":
        # In 256 colors: a third of the size, which counts where a page shows hundreds.
        picture.quantize(method=Quantize.FASTOCTREE).save(out, "PNG", optimize=True)
        return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"
    picture.save(out, "JPEG", quality=75, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}"
