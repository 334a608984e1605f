"""Parses many lines of a text file at once, by Arrow, where that gives what the tokenizer gives.

Lines that Arrow could read in another way are left to the tokenizer, as are those that it refuses:
the tokenizer says what is wrong, and where.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Any

from centroids.inputs.arrow import import_arrow
from centroids.inputs.text._csv_fields import MISSING_FIELDS
from centroids.inputs.text.csv_layout import Layout

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # the tokenizer removes it from each line
_QUOTED_FIELD = r'"(?<![^{mark}\n]")[^"\n]*+(?:""[^"\n]*+)*+"(?=[{mark}\r\n]|\Z)'
# A line without a visible character may be blank, which Arrow could take for a row.
_PERHAPS_BLANK = re.compile(rb"(?:\A|\n)[^\x21-\x7e\n]+(?:\n|\Z)")
_WHITE_SPACE = "".join(filter(str.isspace, map(chr, range(sys.maxunicode + 1))))


def parse_lines(lines: bytes, layout: Layout, schema: Any, columns: Sequence[int]) -> Any:
    """The record batch of whole lines; None if they must be parsed one by one.

    Args:
        lines: The lines.
        layout: What the file looks like.
        schema: The pyarrow.Schema of the columns to take: floating-point numbers and strings.
        columns: The places of these columns in a line.
    """
    if not _means_one_thing(lines, layout):
        return None
    arrow, csv = import_arrow(), import_arrow("pyarrow.csv")
    names = [str(column) for column in columns]
    string = arrow.string()
    # To float32 by way of float64, as the tokenizer does.
    kinds = [string if kind == string else arrow.float64() for kind in schema.types]
    try:
        table = csv.read_csv(
            arrow.BufferReader(lines),
            csv.ReadOptions(
                column_names=list(map(str, range(layout.num_fields))), block_size=len(lines) + 1
            ),
            csv.ParseOptions(delimiter=layout.delimiter),
            csv.ConvertOptions(
                include_columns=names,
                column_types=dict(zip(names, kinds, strict=True)),
                null_values=MISSING_FIELDS,
                decimal_point=layout.text.decimal,
            ),
        )
    except arrow.ArrowInvalid:
        return None
    values = [
        _as_tokenized(each.combine_chunks(), kind)
        for each, kind in zip(table, schema.types, strict=True)
    ]
    if any(each is None for each in values):
        return None
    return arrow.record_batch(values, schema=schema)


def _means_one_thing(lines: bytes, layout: Layout) -> bool:
    """Whether Arrow and the tokenizer find the same fields in lines, if both find some."""
    delimiter = layout.delimiter
    if delimiter is None or not delimiter.isascii() or layout.text.thousands is not None:
        return False
    if lines.count(b"\r") != lines.count(b"\r\n") or _BYTE_ORDER_MARK in lines:
        return False
    if (layout.num_fields == 1 or delimiter.isspace()) and _PERHAPS_BLANK.search(lines):
        return False
    if b'"' not in lines:
        return True
    pattern = _QUOTED_FIELD.format(mark=re.escape(delimiter)).encode()
    return b'"' not in re.sub(pattern, b"", lines)


def _as_tokenized(values: Any, kind: Any) -> Any:
    """A column as the tokenizer gives it; None if that is not certain."""
    compute = import_arrow("pyarrow.compute")
    if kind == values.type and not import_arrow("pyarrow.types").is_floating(kind):
        return compute.utf8_trim(values, _WHITE_SPACE)
    # Arrow takes what the tokenizer refuses, nan(1), for NaN.
    if compute.any(compute.is_nan(values)).as_py():
        return None
    return values.cast(kind, safe=False)
