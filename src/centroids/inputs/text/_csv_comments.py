"""Which lines above the rows of a text file are comments: they begin with #."""

from __future__ import annotations

import re

# What spreadsheets write instead of a number that they could not compute, in several languages.
_ERROR_OF_SPREADSHEET = re.compile(r"#(?:N/?[ADV]|[^\sa-z]+[!?]|GETTING_DATA)")
_TOO_NARROW = re.compile(r"##+")


def is_comment(line: str, delimiter: str | None) -> bool:
    """Whether a line above the rows is a comment, not a row with a bad field.

    Args:
        line: The line.
        delimiter: What separates fields, if that is known.

    >>> is_comment("# by hand", None), is_comment("#N/A,2", None), is_comment("1,2", None)
    (True, False, False)
    """
    text = line.strip()
    if not text.startswith("#"):
        return False
    marks = re.escape(delimiter or "") + r"\t;,|\s"
    first, *others = re.split(rf"[{marks}]", text, maxsplit=1)
    if is_error_of_spreadsheet(first):
        return False
    return not (_TOO_NARROW.fullmatch(first) and others and re.search(r"\d", others[0]))


def is_error_of_spreadsheet(field: str) -> bool:
    """Whether a field is what spreadsheets write where they have no number.

    >>> is_error_of_spreadsheet("#DIV/0!"), is_error_of_spreadsheet("#width")
    (True, False)
    """
    return _ERROR_OF_SPREADSHEET.fullmatch(field) is not None


def say_lines(numbers: list[int]) -> str:
    """Lines as messages name them.

    >>> say_lines([3]), say_lines([1, 2, 3]), say_lines([1, 4])
    ('line 3 begins', 'lines 1 to 3 begin', 'lines 1, 4 begin')
    """
    first, last = numbers[0], numbers[-1]
    if first == last:
        return f"line {first} begins"
    if numbers == list(range(first, last + 1)):
        return f"lines {first} to {last} begin"
    more = ", ..." if len(numbers) > 5 else ""
    return f"lines {', '.join(map(str, numbers[:5]))}{more} begin"
