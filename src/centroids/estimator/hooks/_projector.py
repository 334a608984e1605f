"""What the PROJECTOR tab of TensorBoard shows: the rows of a matrix as points in space."""

from __future__ import annotations

import io
import logging
import os
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from centroids.estimator.hooks._protocol import Coordinator, SessionRunHook
from centroids.files import absolute, make_folders, read_regular, replace_file
from centroids.kernels.float_mode import in_usual_float_mode
from centroids.tensorflow_protos import new_message

if TYPE_CHECKING:
    from centroids.estimator._session import Session

logger = logging.getLogger(__name__)

# A browser cannot show many more, and every value is written as text.
MAX_ROWS = 10_000
MAX_VALUES = 4_000_000
FOLDER = "projector"
# The format has no quotes: within a value these would begin another column or row.
_ESCAPES = {ord("\t"): "\\t", ord("\n"): "\\n", ord("\r"): "\\r"}
# TensorBoard looks for this name in every folder that has an event file.
CONFIG_FILE = "projector_config.pbtxt"
_MAX_CONFIG_BYTES = 1 << 24
# A file where a folder should be, or the other way round.
_TAKEN = (FileExistsError, NotADirectoryError, IsADirectoryError)


class ProjectorHook(SessionRunHook):
    """Writes the rows of a matrix for the projector when a training run has ended.

    Args:
        output_dir: The folder of the event files.
        tensor: The name of a matrix [n, d], such as a variable.
        columns: Names of values [n] that describe its rows, by the title of their column.
    """

    only_watches = True

    def __init__(self, output_dir: str, tensor: str, columns: Mapping[str, str]) -> None:
        self._output_dir = absolute(output_dir)
        self._tensor, self._columns = tensor, dict(columns)

    def after_create_session(self, session: Session, coord: Coordinator) -> None:
        """Notes where the training starts."""
        self._first_step = session.global_step + 1

    def end(self, session: Session) -> None:
        """Writes the files if there was a step."""
        if session.global_step >= self._first_step:
            rows, columns = session.run([self._tensor, self._columns])
            write_projector(self._output_dir, self._tensor, rows, columns)


@in_usual_float_mode
def write_projector(
    output_dir: str, name: str, rows: ArrayLike, columns: Mapping[str, ArrayLike]
) -> None:
    r"""Writes `projector/<name>.tsv`, `projector/<name>_metadata.tsv` and projector_config.pbtxt.

    Each file is replaced as a whole. What projector_config.pbtxt lists already stays; if that file
    cannot be read, or one of the names is taken by something else, everything is left as it is, and
    a warning says so. Tabs and ends of lines within values and titles are written as \t, \n and \r,
    a slash in `name` as %2F.

    Args:
        output_dir: The folder of the event files.
        name: What the projector calls the matrix.
        rows: [n, d]. The first 10,000 rows are written, or as many as have 4 million values.
        columns: [n] each, what is shown with the rows, by title. Their index comes first.

    Raises:
        ValueError: If the shapes do not fit together.
        OSError: If the folder cannot be written.
    """
    matrix = np.asarray(rows)
    if matrix.ndim != 2:
        raise ValueError(
            f"{name!r} must be a matrix for the projector, not of shape {matrix.shape}"
        )
    values = {title: np.asarray(column) for title, column in columns.items()}
    for title, column in values.items():
        if column.shape != matrix.shape[:1]:
            raise ValueError(
                f"the column {title!r} has the shape {column.shape}, but {name!r} has "
                f"{len(matrix)} rows"
            )
    count = min(len(matrix), MAX_ROWS, MAX_VALUES // max(matrix.shape[1], 1))
    table = io.BytesIO()
    np.savetxt(table, matrix[:count], fmt="%.9g", delimiter="\t")
    lines = [_line(["index", *values])] if values else []
    for index in range(count):
        lines.append(_line([index, *(column[index] for column in values.values())]))
    folder = os.path.join(output_dir, FOLDER)
    if os.path.islink(folder):
        logger.warning("The projector will not show %s: %s is a symbolic link", name, folder)
        return
    config = new_message("ProjectorConfig")
    embedding = config.embeddings.add()
    embedding.tensor_name = name
    file_name = name.replace("%", "%25").replace("/", "%2F")
    embedding.tensor_path = f"{FOLDER}/{file_name}.tsv"
    embedding.metadata_path = f"{FOLDER}/{file_name}_metadata.tsv"
    metadata = "\n".join(lines) + "\n"
    try:
        make_folders(folder)
        replace_file(os.path.join(output_dir, embedding.metadata_path), metadata.encode())
        replace_file(os.path.join(output_dir, embedding.tensor_path), table.getvalue())
    except _TAKEN as error:
        logger.warning("The projector will not show %s: %s", name, error)
        return
    config_path = os.path.join(output_dir, CONFIG_FILE)
    try:
        listed = _read_config(config_path)
    except (OSError, ValueError) as error:
        # The training run matters more than what is shown of it.
        logger.warning(
            "The projector will not show %s: cannot read %s: %s", name, config_path, error
        )
        return
    if not re.search(rf'tensor_name\s*:\s*"{re.escape(name)}"', listed):
        replace_file(config_path, (listed + str(config)).encode())


def _read_config(path: str) -> str:
    try:
        return read_regular(path, _MAX_CONFIG_BYTES).decode()
    except FileNotFoundError:
        return ""


def _line(values: Iterable[object]) -> str:
    """Values in the columns of one line."""
    return "\t".join(str(value).translate(_ESCAPES) for value in values)
