"""What the PROJECTOR tab of TensorBoard shows: the rows of a matrix as points in space."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from centroids.estimator.session_run_hook import Coordinator, SessionRunHook
from centroids.files import remove_leftovers, write_atomically

if TYPE_CHECKING:
    from centroids.estimator.session import Session

# A browser cannot show many more, and every value is written as text.
MAX_ROWS = 10_000
MAX_VALUES = 4_000_000
FOLDER = "projector"
# TensorBoard looks for this name in every folder that has an event file.
CONFIG_FILE = "projector_config.pbtxt"


class ProjectorHook(SessionRunHook):
    """Writes the rows of a matrix for the projector when a training has ended.

    Args:
        output_dir: The folder of the event files.
        tensor: The name of a matrix [n, d], such as a variable.
        columns: Names of values [n] that describe its rows, by the title of their column.
    """

    only_watches = True

    def __init__(self, output_dir: str, tensor: str, columns: Mapping[str, str]) -> None:
        self._output_dir, self._tensor, self._columns = output_dir, tensor, dict(columns)

    def after_create_session(self, session: Session, coord: Coordinator) -> None:
        """Notes where the training starts."""
        self._first_step = session.global_step + 1

    def end(self, session: Session) -> None:
        """Writes the files if there was a step."""
        if session.global_step >= self._first_step:
            rows, columns = session.run([self._tensor, self._columns])
            write_projector(self._output_dir, self._tensor, rows, columns)


def write_projector(
    output_dir: str, name: str, rows: ArrayLike, columns: Mapping[str, ArrayLike]
) -> None:
    """Writes `projector/<name>.tsv`, `projector/<name>_metadata.tsv` and projector_config.pbtxt.

    Each file is replaced as a whole. What projector_config.pbtxt lists already stays.

    Args:
        output_dir: The folder of the event files.
        name: What the projector calls the matrix.
        rows: [n, d]. The first 10,000 rows are written, or as many as have 4 million values.
        columns: [n] each, what is shown with the rows, by title. Their index comes first.

    Raises:
        ValueError: If the shapes do not fit together.
        OSError: If the folder cannot be written.
    """
    from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

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
    lines = ["\t".join(["index", *values])] if values else []
    for index in range(count):
        lines.append("\t".join([str(index), *(str(column[index]) for column in values.values())]))
    os.makedirs(os.path.join(output_dir, FOLDER), exist_ok=True)
    remove_leftovers(os.path.join(output_dir, FOLDER))
    config = ProjectorConfig()
    embedding = config.embeddings.add()
    embedding.tensor_name = name
    embedding.tensor_path = f"{FOLDER}/{name}.tsv"
    embedding.metadata_path = f"{FOLDER}/{name}_metadata.tsv"
    metadata = "\n".join(lines) + "\n"
    write_atomically(os.path.join(output_dir, embedding.metadata_path), metadata.encode())
    write_atomically(os.path.join(output_dir, embedding.tensor_path), table.getvalue())
    config_path = os.path.join(output_dir, CONFIG_FILE)
    try:
        with open(config_path, encoding="utf-8") as file:
            listed = file.read()
    except FileNotFoundError:
        listed = ""
    if not re.search(rf'tensor_name\s*:\s*"{re.escape(name)}"', listed):
        write_atomically(config_path, (listed + str(config)).encode())
