"""Pieces of a page: text from data, numbers and tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

_MOST_CHARACTERS = 60


def shown(text: object) -> str:
    """Text from data as HTML: nothing of it is markup, and no more of it than fits a cell.

    >>> shown("<b>")
    '&lt;b&gt;'
    """
    whole = str(text).encode("utf-8", "replace").decode()
    whole = "".join(char if char.isprintable() else "\ufffd" for char in whole)
    return escape(whole if len(whole) <= _MOST_CHARACTERS else whole[: _MOST_CHARACTERS - 1] + "…")


def number(value: float, digits: int = 5) -> str:
    """A number to read; a dash where there is none.

    >>> number(1234567.0), number(0.123456789), number(float("nan"))
    ('1,234,567', '0.12346', '-')
    """
    if not math.isfinite(value):
        return "-"
    if 10**digits <= abs(value) < 1e15:
        return f"{value:,.0f}"
    text = f"{value:,.{digits}g}"
    return "0" if text == "-0" else text


def table(
    caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 1
) -> str:
    """A table of cells that are HTML, in a box of its own that scrolls if it is too wide.

    Args:
        caption: What it holds.
        heads: The heads of the columns.
        rows: The cells; the first one of each row is its head.
        words: How many columns, from the left, are words and not numbers.
    """
    kinds = ["" if place < words else ' class="n"' for place in range(len(heads))]
    head = "".join(
        f'<th scope="col"{kind}>{text}</th>' for kind, text in zip(kinds, heads, strict=True)
    )
    lines = []
    for first, *others in rows:
        cells = "".join(
            f"<td{kind}>{cell}</td>" for kind, cell in zip(kinds[1:], others, strict=True)
        )
        lines.append(f'<tr><th scope="row"{kinds[0]}>{first}</th>{cells}</tr>')
    return (
        f'<div class="box" role="region" tabindex="0" aria-label="{caption}"><table>'
        f"<caption>{caption}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )
