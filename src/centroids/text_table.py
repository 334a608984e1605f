"""Tables of text that fit a terminal."""

from __future__ import annotations

import itertools
import shutil
import sys
import unicodedata
from collections.abc import Sequence

_BETWEEN = "  "


def terminal_width() -> int | None:
    """How many characters a line of standard output has; None: any number, as into a file."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def text_table(rows: Sequence[Sequence[str]], width: int | None = None) -> str:
    """Cells below each other, flush right.

    Columns that do not fit beside the others come below them, each time with the first column.

    Args:
        rows: The cells of each row; the headings are the first.
        width: The characters of a line; None: any number.

    >>> print(text_table([["k", "inertia", "silhouette"], ["2", "9.5", "0.5"]], 12))
    k  inertia
    2      9.5
    <BLANKLINE>
    k  silhouette
    2         0.5
    """
    columns = list(zip(*rows, strict=True))
    widths = [max(map(_num_cells, column)) for column in columns]
    blocks: list[list[int]] = [[]]
    room = 0
    for number in range(1, len(columns)):
        needed = widths[number] + len(_BETWEEN)
        if width is not None and blocks[-1] and needed > room:
            blocks.append([])
        if not blocks[-1]:
            room = (width or 0) - widths[0]
        blocks[-1].append(number)
        room -= needed
    lines = [
        [
            _BETWEEN.join(_flush_right(row[number], widths[number]) for number in (0, *block))
            for row in rows
        ]
        for block in blocks
    ]
    return "\n".join(itertools.chain(*([*block, ""] for block in lines))).rstrip("\n")


def _flush_right(text: str, width: int) -> str:
    return " " * (width - _num_cells(text)) + text


def _num_cells(text: str) -> int:
    """How many places of a terminal a text takes: two for a Chinese character."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(map(bool, map(unicodedata.combining, text)))
