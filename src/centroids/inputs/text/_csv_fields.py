"""Splits a line of text into fields, by quotation marks and delimiters.

The csv module would do, were it not for four promises. White space may follow a quoted field ("1"
,2). A field may have up to 64 MiB; csv has one limit for the whole process. A carriage return
within a line is a bad field of that line, not the end of reading. A line with an odd number of
quotation marks (a"b,2) is refused.
"""

from __future__ import annotations

import functools
import re

# What stands for no value, as pandas and Arrow read it.
MISSING_FIELDS = (
    "",
    "NA",
    "N/A",
    "#N/A",
    "NULL",
    "null",
    "None",
    "nan",
    "NaN",
    "NAN",
    "-nan",
    "n/a",
    "<NA>",
)

_QUOTED = r'"[^"]*+(?:""[^"]*+)*+"'
_QUOTED_FIELD = re.compile(rf"(?<![^\t;,\s]){_QUOTED}")


def split_fields(text: str, delimiter: str | None) -> list[str]:
    """The fields of a line, without outer white space.

    A field that begins with a quotation mark ends at the next one that is not doubled. Between
    white space, quotation marks are ordinary characters: they are words of word vectors.

    >>> split_fields('"1","a ""b"", c", 5', ",")
    ['1', 'a "b", c', '5']
    >>> split_fields('" 1 5', None)
    ['"', '1', '5']

    Raises:
        ValueError: If a quoted field is not closed, or if text follows its closing quote.
    """
    if delimiter is None:
        return text.split()
    if '"' not in text:
        return [field.strip() for field in text.split(delimiter)]
    if not _has_closed_quotes(text):
        raise ValueError("a quotation mark is not closed")
    if not _pattern_of_line(delimiter, "*").fullmatch(text):
        raise ValueError("a quoted field is not closed, or there is text after its closing quote")
    return [_unquote(field).strip() for field in _pattern_of_field(delimiter).findall(text)]


def is_whole(text: str, delimiter: str | None, num_fields: int) -> bool:
    """Whether a line has this many fields, and none of them is malformed."""
    if delimiter is None:
        return len(text.split()) == num_fields
    if '"' not in text:
        return text.count(delimiter) == num_fields - 1
    pattern = _pattern_of_line(delimiter, f"{{{num_fields - 1}}}")
    return _has_closed_quotes(text) and pattern.fullmatch(text) is not None


def is_blank(text: str, delimiter: str | None, num_fields: int) -> bool:
    r"""Whether a line is not a row: it has only white space, and not as the delimiters of a row.

    >>> [is_blank(text, "\t", 3) for text in ("", "\t", "\t\t", "1\t\t")]
    [True, True, False, False]
    """
    if text.strip():
        return False
    return delimiter is None or num_fields == 1 or text.count(delimiter) != num_fields - 1


@functools.cache
def blank_fields(delimiter: str | None) -> re.Pattern[str]:
    """Of a field that holds no value: an empty one, or one of `MISSING_FIELDS`.

    >>> blank_fields(",").sub("nan", "1,,NA")
    '1,nan,nan'
    """
    words = "|".join(re.escape(word) for word in MISSING_FIELDS if word)
    if delimiter is None:
        return re.compile(rf"(?<!\S)(?:{words})(?!\S)")
    mark = re.escape(delimiter)
    space = rf"[^\S{mark}]*+"
    return re.compile(rf'(?<![^{mark}]){space}(?:"(?:{words})?"|(?:{words})?){space}(?![^{mark}])')


def empty_quoted_fields(text: str) -> str:
    """A line whose quoted fields hold nothing: what is left between them separates fields."""
    return _QUOTED_FIELD.sub('""', text)


def _has_closed_quotes(text: str) -> bool:
    """Whether all quoted fields are closed; if not, the text may continue in the next line."""
    return text.count('"') % 2 == 0


@functools.cache
def _pattern_of_line(delimiter: str, repeat: str) -> re.Pattern[str]:
    """Of a first field, and others as `repeat` says."""
    field = _field(delimiter)
    return re.compile(rf"{field}(?:{re.escape(delimiter)}{field}){repeat}")


@functools.cache
def _pattern_of_field(delimiter: str) -> re.Pattern[str]:
    """Of a field of a line that is not malformed, with the delimiter before it."""
    return re.compile(rf"(?:\A|{re.escape(delimiter)})({_field(delimiter)})")


def _field(delimiter: str) -> str:
    mark = re.escape(delimiter)
    return rf'(?>{_QUOTED}[^\S{mark}]*+|[^"{mark}][^{mark}]*+|)'


def _unquote(field: str) -> str:
    return field.rstrip()[1:-1].replace('""', '"') if field.startswith('"') else field
