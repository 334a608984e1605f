"""What columns beside the points say of a few rows, such as their ids."""

from __future__ import annotations

import importlib.util

from centroids.cli.points_file import PointsFile
from centroids.cli.settings import Settings
from centroids.errors import MissingColumnError
from centroids.inputs.bad_rows import BadRows
from centroids.inputs.tables.opening import open_table
from centroids.inputs.tables.table import BAD_LINE, check_columns


def column_of_ids(file: PointsFile, kept: Settings) -> str | None:
    """The column of ids that the model knows, if the file has it and pyarrow can read it."""
    if kept.id_column is None or not file.has_columns:
        return None
    if importlib.util.find_spec("pyarrow") is None:  # then rows have their numbers alone
        return None
    try:
        check_columns(open_table(file.path, file.text), [kept.id_column])
    except MissingColumnError:
        return None
    return kept.id_column


def texts_of(
    file: PointsFile, columns: list[str], rows: set[int], bad_rows: BadRows
) -> dict[int, list[str]]:
    """The values of some rows, as text; an empty one where there is none."""
    found, first = {}, 0
    table = open_table(file.path, file.text)
    table = table.as_written(columns)  # as a text file has them: 007 is not 7.0
    if bad_rows == "drop":  # such lines have numbers, too
        table = table.with_bad_lines()
    marks = [BAD_LINE] if BAD_LINE in table.schema.names else []
    for batch in table.batches([*columns, *marks]):
        for row in rows.intersection(range(first, first + batch.num_rows)):
            values = (batch.column(place)[row - first].as_py() for place in range(len(columns)))
            found[row] = ["" if value is None else str(value) for value in values]
        first += batch.num_rows
    return found
