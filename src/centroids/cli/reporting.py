"""centroids report."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from centroids.cli.answer import answer
from centroids.cli.inference import (
    describe_preparation,
    model_of,
    preparation_of_model,
    read_model,
)
from centroids.cli.points import describe_columns, find_points
from centroids.cli.points_file import as_matrix
from centroids.cli.sampling import draw_sample
from centroids.cli.settings import Settings, read_settings
from centroids.cli.survey import Read, labelled_batches
from centroids.cli.text_options import GivenText
from centroids.cli.words import Words
from centroids.estimator import Checkpoint
from centroids.inputs.bad_rows import BadRows
from centroids.kmeans.variables import CLUSTERS
from centroids.report import (
    Findings,
    Tally,
    describe_model,
    read_loss_curve,
    rows_shown,
    write_page,
)

_SAMPLE_ROWS = 1 << 12


@dataclass(frozen=True)
class Request:
    """What is to be reported, and where.

    Attributes:
        model_dir: The folder of the model.
        points: The file of points.
        output: The page to write.
        columns: The columns to take of the points; None for those of the model.
        bad_rows: What to do with rows that are not numbers.
        text: How the file is written, if it is text.
        words: A file of names for the points; None for the numbers of the rows.
        words_column: Its column; None for the first of text.
    """

    model_dir: Path
    points: Path
    output: Path
    columns: list[str] | None
    bad_rows: BadRows
    text: GivenText
    words: Path | None
    words_column: str | None


def report(request: Request) -> None:
    """Writes a page about a model and points: one pass over them, and a sample."""
    if request.words_column is not None and request.words is None:
        raise ValueError("--words-column chooses a column of --words: give both")
    _check_output(request.output)
    checkpoint = read_model(request.model_dir)
    if not request.points.exists():
        raise ValueError(f"{request.points}: No such file or directory")
    words = None if request.words is None else Words(request.words, request.words_column)
    kept = read_settings(request.model_dir, checkpoint)
    file = find_points(request.points, request.columns, request.text, request.model_dir, kept)
    model, centers = model_of(checkpoint, request.model_dir), checkpoint.variables[CLUSTERS]
    cosine = model.params["distance_metric"] == model.COSINE_DISTANCE
    tally, read = Tally(centers, cosine=cosine), Read()
    preparation = preparation_of_model(checkpoint)
    if preparation is not None and preparation.fills:
        file = dataclasses.replace(file, missing="keep")
    for rows, numbers, index in labelled_batches(model, file, request.bad_rows, read, preparation):
        tally.add(as_matrix(rows), numbers, index)
    if not tally.num_points:
        raise ValueError(f"{request.points} has no rows")
    if words is not None and words.count != read.count:
        raise ValueError(
            f"{request.words} has {words.count:,} names, {request.points} has {read.count:,} points"
        )
    sample = draw_sample(file, _SAMPLE_ROWS, np.random.default_rng(0), request.bad_rows).points
    if preparation is not None:
        sample = np.asarray(preparation.prepare(sample))
    names = file.column_names() or [f"column {place}" for place in range(centers.shape[1])]
    found = Findings(
        title=request.points.name,
        tally=tally,
        centers=centers,
        cosine=cosine,
        sample=sample,
        columns=[name or f"column {place}" for place, name in enumerate(names)],
        losses=read_loss_curve(str(request.model_dir)),
        settings=_settings(request, checkpoint, kept, model.params["distance_metric"]),
        names={} if words is None else words.read(rows_shown(tally)),
    )
    write_page(found, request.output)
    answer({"output": str(request.output), "num_points": tally.num_points})


def _check_output(output: Path) -> None:
    """Raises a ValueError before a long file is read in vain."""
    if output.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"--output must be an .html file, got {output}")
    if output.is_dir() or not os.access(output.parent, os.W_OK):
        what = "is a folder" if output.is_dir() else f"{output.parent} is not a folder to write in"
        raise ValueError(f"--output {output}: {what}")


def _settings(
    request: Request, checkpoint: Checkpoint, kept: Settings, metric: str
) -> dict[str, str]:
    """The model, its training and the points, as far as they are known."""
    mode = {True: "mini-batches", False: "full batches", None: None}[kept.use_mini_batch]
    columns = checkpoint.column_names if kept.columns is None else kept.columns
    known = {
        "points": request.points,
        "size of the file": f"{request.points.stat().st_size:,} bytes",
        "bad rows": "left out" if request.bad_rows == "drop" else None,
        "model": request.model_dir,
        "checkpoint": None if checkpoint.path is None else Path(checkpoint.path).name,
        "distance metric": metric,
        "clusters": f"{len(checkpoint.variables[CLUSTERS]):,}",
        "columns": None if columns is None else describe_columns(columns),
        "preparation of points": describe_preparation(checkpoint) or None,
        "weights": None
        if kept.weight_column is None
        else f"{kept.weight_column} (in training; in this report each point counts once)",
        "steps of training": f"{checkpoint.global_step:,}",
        "trained in": mode,
        "points of a mini-batch": kept.batch_size if kept.use_mini_batch else None,
        "relative tolerance": kept.relative_tolerance,
        "seed": kept.seed,
    }
    return describe_model({name: str(value) for name, value in known.items() if value is not None})
