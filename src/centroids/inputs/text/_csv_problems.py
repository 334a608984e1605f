"""What to say of a line of a text file whose fields are not numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from centroids.errors import Argument, BadLineError, Message, choose_columns_advice
from centroids.inputs.text._csv_comments import is_comment
from centroids.inputs.text._csv_doubts import columns_that_count_up
from centroids.inputs.text._csv_fields import MISSING_FIELDS
from centroids.inputs.text._csv_header import is_name_of_ids
from centroids.inputs.text._text_format import begins_as_a_number, find_remedy
from centroids.inputs.text.csv_layout import Layout


@dataclass(frozen=True)
class Line:
    """A line of a text file.

    Attributes:
        file: The file.
        number: Its number, from 1.
        text: The line.
        fields: Its fields.
    """

    file: Path
    number: int
    text: str
    fields: Sequence[str]


def bad_field(line: Line, layout: Layout, taken: Sequence[int], column: int) -> BadLineError:
    """The error about a field that is not a number; it names all columns that hold text.

    Args:
        line: Where it is.
        layout: What the file looks like.
        taken: The numbers of the columns that are taken.
        column: That of the field.
    """
    field, name = line.fields[column], layout.describe(column)
    could_be_names = layout.guessed_row and line.number == layout.first_line
    is_numeric = layout.has_numbers(column)
    others, ids = ([], []) if is_numeric else _columns_to_choose(line.file, layout, taken)
    texts = [] if is_numeric else [each for each in taken if _holds_none(line, layout, each)]
    several = len(texts) > 1 and column in texts
    choose = choose_columns_advice(others, ids)
    otherwise = choose if several else Message("correct it, or ", choose)
    remedy = find_remedy(field, layout.text, could_be_names, otherwise)
    if skips := layout.text.header is False and is_comment(line.text, layout.delimiter):
        skip = Argument("skip_lines", line.number)
        remedy = Message("if the line is a comment, say ", skip, "; else ", remedy)
    # A field with digits is a number to its reader: dropping its line, and all that are like it,
    # loses data.
    has_digits = re.search(r"\d", field) is not None
    is_missing = field in MISSING_FIELDS
    return BadLineError(
        line.file,
        line.number,
        _say_texts(line, layout, texts)
        if several
        else f", column {name}: {_shorten(field)} is not a number",
        remedy,
        column=None if several else name,
        can_be_dropped=not (has_digits or skips),
        has_digits=has_digits and not skips,
        is_missing=is_missing and is_numeric and not could_be_names,
        is_text=not (is_missing or begins_as_a_number(field) or is_numeric),
        ids=ids,
    )


def _holds_none(line: Line, layout: Layout, column: int) -> bool:
    """Whether a column has no numbers, as far as one can see."""
    field = line.fields[column]
    return not (
        field in MISSING_FIELDS or layout.text.is_number(field) or layout.has_numbers(column)
    )


def _say_texts(line: Line, layout: Layout, columns: Sequence[int]) -> str:
    told = ", ".join(
        f"{layout.describe(column)} ({_shorten(line.fields[column])})" for column in columns[:20]
    )
    more = ", ..." if len(columns) > 20 else ""
    return f": the columns {told}{more} do not hold numbers"


def _columns_to_choose(
    file: Path, layout: Layout, taken: Sequence[int]
) -> tuple[list[str | int], list[str | int]]:
    """The columns of numbers, and those of them that look like ids, which are left out."""
    numbers = layout.columns_of_numbers(taken)
    counting = columns_that_count_up(file, layout, taken)
    ids: list[str | int] = [
        word
        for word in numbers
        if is_name_of_ids(str(word)) or word in (*counting, *map(layout.name_of, counting))
    ]
    others = [word for word in numbers if word not in ids]
    return (others, ids) if others else (numbers, [])


def _shorten(field: str) -> str:
    return repr(field if len(field) <= 60 else field[:57] + "...")
