"""What may be wrong with columns that can be read: the log says so, and the user decides."""

from __future__ import annotations

import contextlib
import itertools
import logging
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from centroids.errors import Argument, IdAdvice
from centroids.inputs.text._csv_fields import split_fields
from centroids.inputs.text._csv_header import counts_up
from centroids.inputs.text._text_bytes import open_bytes
from centroids.inputs.text.csv_layout import Layout, decode_line

_FEWEST_ROWS_OF_AN_ID, _FEWEST_GROUPED = 5, 2
_LONGEST_CYCLE = 400  # rows: a year of days is a cycle, too
_GROUPED = re.compile(r"[-+]?[1-9]\d{0,2}(?:\.\d{3})")
_BELOW_THOUSAND = re.compile(r"[-+]?\d{1,3}")

logger = logging.getLogger(__name__)


def tell_doubts(file: Path, layout: Layout, chosen: Sequence[int] | None, *, asked: bool) -> None:
    """Warns about columns that look like something other than what they are taken for.

    Args:
        file: The file.
        layout: What it looks like.
        chosen: The numbers of the columns that are taken; None: all.
        asked: Whether these were named by the user.
    """
    columns = range(layout.num_fields) if chosen is None else chosen
    if not asked and layout.names is not None:
        _tell_broken_names(file, [layout.names[column] for column in columns])
        if len(columns) > 1:
            _tell_ids(file, layout, columns)
    _tell_thousands(file, layout, columns)


def _tell_broken_names(file: Path, names: Sequence[str]) -> None:
    broken = [name for name in names if "\ufffd" in name]
    if broken:
        logger.warning(
            "%s: the name of column %r is not in UTF-8; say how the file is written, such as %s, "
            "or save it as UTF-8 (in Excel: CSV UTF-8), else its names cannot be typed",
            file,
            broken[0],
            Argument("encoding", "cp1252"),
        )


def columns_that_count_up(file: Path, layout: Layout, columns: Iterable[int]) -> list[int]:
    """Those of the columns that count up by 1 in each of the first rows, as ids do."""
    rows: Sequence[Sequence[str]] = layout.sample
    if len(rows) < _FEWEST_ROWS_OF_AN_ID:
        return []
    counting = [column for column in columns if counts_up(column, rows)]
    if counting:  # a few rows may be the beginning of a cycle, such as hours or days
        rows = _first_rows(file, layout)
    return [column for column in counting if counts_up(column, rows)]


def _tell_ids(file: Path, layout: Layout, columns: Sequence[int]) -> None:
    counting = columns_that_count_up(file, layout, columns)
    others = [each for each in columns if each not in counting]
    words = [layout.name_of(each) for each in others]
    for column in counting:
        logger.warning(
            "%s: column %s counts up by 1 in each row; if it is an id, choose other columns "
            "with %s%s",
            file,
            layout.describe(column),
            Argument("columns", words),
            IdAdvice(layout.name_of(column)),
        )


def _first_rows(file: Path, layout: Layout) -> list[list[str]]:
    """As many rows as a cycle may have; malformed ones are left out."""
    rows = []
    with open_bytes(file, layout.text.encoding) as handle:
        handle.seek(layout.first_byte)
        for line in itertools.islice(handle, _LONGEST_CYCLE):
            with contextlib.suppress(ValueError):
                fields = split_fields(decode_line(line), layout.delimiter)
                if len(fields) == layout.num_fields:
                    rows.append(fields)
    return rows


def _tell_thousands(file: Path, layout: Layout, columns: Iterable[int]) -> None:
    """If semicolons delimit, commas may be decimal marks; then points may group digits."""
    if layout.delimiter != ";" or not layout.text.has_plain_numbers:
        return
    for column in columns:
        fields = [row[column] for row in layout.sample if column < len(row)]
        grouped = [field for field in fields if _GROUPED.fullmatch(field)]
        others = [field for field in fields if not _GROUPED.fullmatch(field)]
        if len(grouped) >= _FEWEST_GROUPED and all(map(_BELOW_THOUSAND.fullmatch, others)):
            logger.warning(
                "%s: column %s has numbers such as %s, whose point is taken for a decimal mark; "
                "if it groups digits, say %s %s",
                file,
                layout.describe(column),
                grouped[0],
                Argument("decimal", ","),
                Argument("thousands", "."),
            )
