"""Whether the first line of a text file holds the names of its columns.

Only the columns that are taken decide; the others may hold anything. A name is:

- a word, which has a letter, does not begin as a number does, and stands for nothing missing
- a whole number, of which the others are not alone: beside words, or in a sequence (0, 1, 2 as
  pandas writes where columns have no names; 1960, 1961 or 1960, 1970)
- nothing, above an index
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from centroids.inputs.text._csv_comments import is_error_of_spreadsheet
from centroids.inputs.text._text_format import TextFormat, begins_as_a_number

_MISSING = frozenset({"na", "n/a", "#n/a", "nan", "null", "nil", "none", "missing", "nat"})
_WHOLE = re.compile(r"\d+", re.ASCII)
_NAME_OF_IDS = re.compile(r"(?:.*[_\W])?(?:[iI][dD]|(?i:uuid|guid))|.*[a-z]I[dD]")
_YEARS = range(1500, 2201)
_FEWEST_IN_SEQUENCE, _FEWEST_ABOVE_WHOLE = 3, 5


@dataclass(frozen=True)
class Guess:
    """What the first line is taken for.

    Attributes:
        header: Whether it holds names.
        certain: Whether there is no reasonable doubt.
    """

    header: bool
    certain: bool


def guess_header(
    first: list[str], following: list[list[str]], taken: Sequence[int] | None, text: TextFormat
) -> Guess:
    """Guesses from the first lines of a file.

    Args:
        first: The fields of the first line.
        following: Those of the next few.
        taken: The numbers of the columns that are taken; None: all.
        text: How numbers are written.
    """
    every = range(len(first))
    columns = [column for column in (every if taken is None else taken) if column < len(first)]
    guess = _guess(
        [first[column] for column in columns],
        [[row[column] if column < len(row) else "" for column in columns] for row in following],
        text,
    )
    if guess.header or not guess.certain or taken is None:
        return guess
    others = [column for column in every if column not in set(columns)]
    return Guess(False, not _words_above_numbers(first, following, others, text))


def is_unnamed(name: str) -> bool:
    """Whether a name is missing: it is empty, or what pandas calls an empty one.

    >>> is_unnamed(""), is_unnamed("Unnamed: 0"), is_unnamed("x")
    (True, True, False)
    """
    return name == "" or re.fullmatch(r"Unnamed: \d+(?:\.\d+)?", name) is not None


def is_name_of_ids(name: str) -> bool:
    """Whether a column is called like one of ids.

    >>> [is_name_of_ids(name) for name in ("id", "ID", "user_id", "userId", "uuid", "grid", "idle")]
    [True, True, True, True, True, False, False]
    """
    return _NAME_OF_IDS.fullmatch(name) is not None


def is_index(name: str, column: int, following: Sequence[Sequence[str]]) -> bool:
    """Whether a column is an index that was written without a name: whole numbers that count up.

    Args:
        name: Its name; pandas reads an empty one as "Unnamed: 0".
        column: Its number.
        following: The fields of the lines below the names.

    >>> is_index("", 0, [["7", "0.5"], ["8", "0.1"]])
    True
    """
    if not is_unnamed(name):
        return False
    numbers = _column_of_whole_numbers(column, following)
    if not numbers or not _steps_by_one(numbers):
        return False
    return len(numbers) > 1 or numbers[0] in (0, 1)


def counts_up(column: int, rows: Sequence[Sequence[str]]) -> bool:
    """Whether a column holds whole numbers, each one more than the one before.

    >>> counts_up(0, [["10001", "5"], ["10002", "3"]])
    True
    """
    numbers = _column_of_whole_numbers(column, rows)
    return numbers is not None and len(numbers) == len(rows) and _steps_by_one(numbers)


def _guess(first: list[str], following: list[list[str]], text: TextFormat) -> Guess:
    numbers = [field for field in first if text.is_number(field)]
    words = [field for field in first if _is_word(field)]
    others = len(first) - len(numbers) - len(words)
    if not numbers:
        only_an_index = others == 1 and first[0] == ""
        return Guess(bool(words), others == 0 or only_an_index or not words)
    whole = _whole_numbers(numbers) is not None
    if words:
        named = _words_above_numbers(first, following, range(len(first)), text)
        # A name is not a fraction: "x,1.5" is a row with a bad field.
        return Guess(named and whole, not named)
    if first[0] == "" and is_index("", 0, following):
        first, following = first[1:], [row[1:] for row in following]
        if _whole_numbers(first) == list(range(len(first))) and len(following) > 1:
            return Guess(True, False)
    return _guess_of_numbers(first, following, text)


def _guess_of_numbers(first: list[str], following: list[list[str]], text: TextFormat) -> Guess:
    """Of a line that has numbers and no words."""
    names = _whole_numbers(first)
    if names is None or not following or not all(map(text.is_number, following[0])):
        return Guess(False, True)
    below = _whole_numbers(following[0])
    if all(name in _YEARS for name in names) and _increases(names):
        if below is not None and all(number in _YEARS for number in below):
            return Guess(False, True)
        return Guess(len(names) > 1, False)
    if names == list(range(names[0], names[0] + len(names))) and len(names) > 1:
        if below is not None and (_steps_by_one(below) or names[0] > 1):
            return Guess(False, True)
        # Above whole numbers, a short row of them is just as likely.
        is_long = len(names) >= (_FEWEST_IN_SEQUENCE if below is None else _FEWEST_ABOVE_WHOLE)
        if names[0] == 0 and is_long:
            return Guess(True, False)
        return Guess(False, names[0] == 1 and len(names) < _FEWEST_IN_SEQUENCE)
    return Guess(False, True)


def _is_word(field: str) -> bool:
    if field.casefold() in _MISSING or is_error_of_spreadsheet(field) or begins_as_a_number(field):
        return False
    return any(map(str.isalpha, field))


def _words_above_numbers(
    first: list[str], following: list[list[str]], columns: Sequence[int], text: TextFormat
) -> bool:
    below = following[0] if following else []
    return any(
        _is_word(first[column]) and text.is_number(below[column])
        for column in columns
        if column < len(below)
    )


def _whole_numbers(fields: Sequence[str]) -> list[int] | None:
    if not all(_WHOLE.fullmatch(field) and len(field) < 16 for field in fields):
        return None
    return [int(field) for field in fields]


def _column_of_whole_numbers(column: int, rows: Sequence[Sequence[str]]) -> list[int] | None:
    return _whole_numbers([row[column] for row in rows if column < len(row)])


def _increases(numbers: list[int]) -> bool:
    return all(low < high for low, high in itertools.pairwise(numbers))


def _steps_by_one(numbers: list[int]) -> bool:
    return all(low + 1 == high for low, high in itertools.pairwise(numbers))
