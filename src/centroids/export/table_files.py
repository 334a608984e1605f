"""Trained clusters as tables that other programs read: CSV and Parquet, one row per cluster."""

from __future__ import annotations

import csv
import io
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.export.columns import Columns, check_columns
from centroids.export.destination import check_destination
from centroids.files import replace_file
from centroids.kernels.float_mode import in_usual_float_mode
from centroids.packages import import_package


@in_usual_float_mode
def write_csv(
    path: str | os.PathLike[str], centers: NDArray[Any], columns: Columns | None = None
) -> str:
    """Writes centers as text, one line each, with enough digits to read back the same numbers.

    Args:
        path: The file. An existing one is replaced in one step.
        centers: [k, d].
        columns: The names of the d columns, which become the first line. Without them there are
            numbers only.

    Returns:
        The path.

    Raises:
        ValueError: If there is another number of columns.
        OSError: If the file cannot be written; nothing is left behind.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = os.path.join(folder, "centers.csv")
    ...     path = write_csv(file, np.float32([[0.1, 3]]), ["a", "b"])
    ...     pathlib.Path(path).read_text().split()
    ['a,b', '0.1,3.0']
    """
    file = check_destination(path)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if columns is not None:
        writer.writerow(check_columns(columns, centers.shape[1]))
    # The shortest text of a number in its own type: that of 0.1 in float32 is 0.1.
    writer.writerows(centers.astype(str).tolist())
    replace_file(file, text.getvalue().encode())
    return file


@in_usual_float_mode
def write_parquet(
    path: str | os.PathLike[str], centers: NDArray[Any], columns: Columns | None = None
) -> str:
    """Writes centers as a Parquet file, one row each, in their own type.

    Args:
        path: The file. An existing one is replaced in one step.
        centers: [k, d].
        columns: The names of the d columns; without them they are called "0", "1" and so on.

    Returns:
        The path.

    Raises:
        ImportError: If pyarrow is missing.
        ValueError: If the number of columns differs, or a name comes twice.
        OSError: If the file cannot be written; nothing is left behind.
    """
    file = check_destination(path)
    pa, pq = (
        import_package(module, "writing a Parquet file", "centroids[arrow]", called="pyarrow")
        for module in ("pyarrow", "pyarrow.parquet")
    )
    dimensions = centers.shape[1]
    numbers = [str(number) for number in range(dimensions)]
    names = numbers if columns is None else check_columns(columns, dimensions)
    if len(set(names)) < dimensions:
        raise ValueError(f"the columns of a Parquet file need different names, got {names}")
    table = pa.table(dict(zip(names, np.ascontiguousarray(centers.T), strict=True)))
    data = io.BytesIO()
    pq.write_table(table, data)
    replace_file(file, data.getvalue())
    return file
