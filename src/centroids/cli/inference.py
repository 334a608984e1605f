"""centroids predict and evaluate."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import typer
from numpy.typing import NDArray

from centroids import KMeansClustering, ProgressBarHook
from centroids.cli.fresh import newest_aside
from centroids.cli.points import ENDINGS, find_points
from centroids.cli.text_options import GivenText
from centroids.estimator import Checkpoint, load_latest, read_checkpoint
from centroids.export.destination import check_destination
from centroids.export.tensorflow_checkpoint import find_tensorflow_checkpoint
from centroids.files import new_file, remove_leftovers
from centroids.inputs.bad_rows import BadRows

_BATCH_SIZE = 1 << 14
_BATCH_DISTANCES = 1 << 24


def open_model(model_dir: Path) -> KMeansClustering:
    """The trained model of a folder; metric and number of clusters come from its checkpoint.

    Raises:
        ValueError: If the folder holds no model of ours.
    """
    return model_of(read_model(model_dir), model_dir)


def find_model(model_dir: Path) -> KMeansClustering | None:
    """As `open_model`, or None if the folder holds no trained model at all."""
    checkpoint = find_checkpoint(model_dir)
    return None if checkpoint is None else model_of(checkpoint, model_dir)


def read_model(model_dir: Path, checkpoint_path: Path | None = None) -> Checkpoint:
    """The checkpoint at a path, or else the latest of a folder.

    Raises:
        ValueError: If there is none.
    """
    if checkpoint_path is not None:
        return read_checkpoint(checkpoint_path)
    check_is_folder(model_dir)
    checkpoint = find_checkpoint(model_dir)
    if checkpoint is None:
        old = newest_aside(model_dir)
        aside = f"; an older one is in {old}" if old is not None else ""
        raise ValueError(
            f"{model_dir} holds no trained model{aside}; make one with: centroids train FILE "
            f"{model_dir} --num-clusters K"
        )
    return checkpoint


def check_is_folder(model_dir: Path) -> None:
    """Raises a ValueError if it is a file, as where the arguments are the wrong way round."""
    if not model_dir.is_file():
        return
    if model_dir.suffix.lower() in ENDINGS:
        raise ValueError(f"{model_dir} is a file of points; the model folder comes first")
    raise ValueError(f"{model_dir} is a file; the folder of a trained model is needed")


def model_of(checkpoint: Checkpoint, model_dir: Path) -> KMeansClustering:
    """The model that a checkpoint of a folder is of.

    Raises:
        ValueError: If it is no model of ours.
    """
    if checkpoint.identity.get("model") != "KMeansClustering":
        raise ValueError(f"{model_dir} holds a model of another kind: {dict(checkpoint.identity)}")
    return KMeansClustering(
        num_clusters=len(checkpoint.variables[KMeansClustering.CLUSTERS]),
        model_dir=str(model_dir),
        distance_metric=checkpoint.identity["distance_metric"],
    )


def find_checkpoint(model_dir: Path) -> Checkpoint | None:
    """The latest checkpoint of a folder, or None if it holds no trained model at all.

    Raises:
        ValueError: If it holds a model of TensorFlow, or one of whose checkpoints none is whole.
    """
    checkpoint = load_latest(str(model_dir))
    if checkpoint is None and find_tensorflow_checkpoint(str(model_dir)) is not None:
        raise ValueError(
            f"{model_dir} holds a model of TensorFlow; take it over with: centroids import "
            f"{model_dir} NEW"
        )
    return checkpoint


def batch_size(model: KMeansClustering, *, distances: bool) -> int:
    """Rows to read at once: fewer when each brings a distance to every one of many centers."""
    if not distances:
        return _BATCH_SIZE
    num_clusters = int(model.params["num_clusters"])
    return max(1, min(_BATCH_SIZE, _BATCH_DISTANCES // num_clusters))


def predict(
    model_dir: Path,
    points: Path,
    output: Path,
    distances: bool,
    columns: list[str] | None,
    text: GivenText,
) -> None:
    """Writes the nearest cluster of each point, or its distances to all centers."""
    model = open_model(model_dir)
    key = model.ALL_DISTANCES if distances else model.CLUSTER_INDEX
    file = find_points(points, columns, text, model_dir)
    predictions = model.predict(
        file.open(batch_size(model, distances=distances)),
        predict_keys=[key],
        hooks=[ProgressBarHook(description="predicting", value=None)],
        yield_single_examples=False,
    )
    batches = (batch[key] for batch in predictions)
    if str(output) == "-":
        _write_text(sys.stdout, batches)
        return
    rows = write_rows(output, batches)
    typer.echo(f"Wrote {rows:,} rows to {output}", err=True)


def evaluate(
    model_dir: Path,
    points: Path,
    columns: list[str] | None,
    bad_rows: BadRows,
    text: GivenText,
) -> None:
    """Prints the metrics of a model on points."""
    model = open_model(model_dir)
    file = find_points(points, columns, text, model_dir)
    result = model.evaluate(
        file.open(batch_size(model, distances=False), bad_rows=bad_rows),
        hooks=[ProgressBarHook(description="evaluating")],
    )
    metric = model.params["distance_metric"]
    total = result["mean_distance"] * result["num_examples"]
    typer.echo(f"points            {int(result['num_examples']):,}")
    typer.echo(f"steps of training {int(result['global_step']):,}")
    typer.echo(f"mean distance     {result['mean_distance']:.6g} ({metric})")
    typer.echo(f"sum of distances  {total:.8g}")


def write_rows(path: Path, batches: Iterable[NDArray[Any]]) -> int:
    """Writes batches into a .npy or .csv file, whole or not at all.

    Returns:
        The number of rows.

    Raises:
        ValueError: If the name ends in something else.
        OSError: If the file cannot be written; it names `path`, not the temporary file.
    """
    ending = path.suffix.lower()
    if ending not in (".npy", ".csv"):
        raise ValueError(f"the output must be a .npy or .csv file or -, got {path}")
    check_destination(path)
    remove_leftovers(str(path.parent), re.escape(path.name))
    with new_file(str(path)) as file:
        if ending == ".npy":
            return _write_npy(file, iter(batches))
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        rows = _write_text(text, batches)
        text.detach()
        return rows


def _write_npy(file: IO[bytes], batches: Iterator[NDArray[Any]]) -> int:
    first = next(batches, np.empty(0, np.int32))

    def write_header(rows: int) -> None:
        file.seek(0)
        np.lib.format.write_array_header_1_0(
            file,
            {
                "descr": np.lib.format.dtype_to_descr(first.dtype),
                "fortran_order": False,
                "shape": (rows, *first.shape[1:]),
            },
        )

    # The number of rows is known at the end; NumPy leaves room for it to grow in the header.
    write_header(0)
    end_of_header = file.tell()
    rows = len(first)
    file.write(np.ascontiguousarray(first).tobytes())
    for batch in batches:
        file.write(np.ascontiguousarray(batch).tobytes())
        rows += len(batch)
    write_header(rows)
    if file.tell() != end_of_header:
        raise OSError(f"cannot write {rows} rows as .npy: the header has no room; use .csv")
    return rows


def _write_text(file: IO[str], batches: Iterable[NDArray[Any]]) -> int:
    rows = 0
    for batch in batches:
        integers = batch.dtype.kind in "iu"
        np.savetxt(file, batch, delimiter=",", fmt="%d" if integers else "%.9g")
        rows += len(batch)
    return rows
