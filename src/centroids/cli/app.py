"""The commands and their arguments."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from centroids import __version__
from centroids.cli import exporting, importing, inference, inspection, training, verification
from centroids.cli.errors import end_with, showing_warnings, suggesting_options
from centroids.cli.text_options import with_text_format
from centroids.inputs import TextFormat

_DEBUG = "--debug"

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # its tables cut long option names off
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Metric(StrEnum):
    """The distances there are."""

    SQUARED_EUCLIDEAN = "squared_euclidean"
    COSINE = "cosine"


class BadRowsChoice(StrEnum):
    """What to do with rows that are not numbers."""

    RAISE = "raise"
    DROP = "drop"


ModelDir = Annotated[
    Path, typer.Argument(help="The folder of a trained model.", metavar="MODEL_DIR")
]
Input = Annotated[
    Path,
    typer.Argument(
        help="The points: a .npy, .csv, .tsv, .txt, .parquet or .tfrecord file, a row each.",
        metavar="POINTS",
    ),
]
Columns = Annotated[
    str | None,
    typer.Option(
        help="The columns to use, joined by commas: names, or numbers from 0 for a text file "
        "without names. Default: those that the model was trained with, if --columns was given "
        "then, else all.",
        metavar="A,B",
    ),
]
BadRowsOption = Annotated[
    BadRowsChoice,
    typer.Option(
        help="Rows with NaN or infinity, and lines that are no row of numbers: stop at the first, "
        "or leave them out and tell how many. (predict stops: without a label for each row, those "
        "that follow would shift.)"
    ),
]


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"centroids {__version__}")
        raise typer.Exit


@app.callback()
def describe(
    debug: Annotated[bool, typer.Option(_DEBUG, help="Show where in the code an error arose.")] = (
        False
    ),
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", callback=_show_version, is_eager=True
        ),
    ] = False,
) -> None:
    """K-means clustering of files of any size, with models that can be reopened.

    
    Start here:
      centroids train points.npy model --num-clusters 100
      centroids predict model points.npy --output labels.npy
      centroids inspect model

    Each command explains itself: centroids train --help
    """


@app.command()
@with_text_format
def train(
    points: Input,
    model_dir: Annotated[
        Path,
        typer.Argument(
            help="Where the model is kept. If it holds one, its training goes on.",
            metavar="MODEL_DIR",
        ),
    ],
    num_clusters: Annotated[
        int | None,
        typer.Option(
            "--num-clusters",
            "-k",
            help="How many clusters. Known already if MODEL_DIR holds a model, or from a file of "
            "initial centers.",
        ),
    ] = None,
    distance_metric: Annotated[
        Metric | None,
        typer.Option(
            help="How distances are measured. Default: as the model in MODEL_DIR does, else "
            "squared_euclidean."
        ),
    ] = None,
    initial_clusters: Annotated[
        str,
        typer.Option(
            help="random, kmeans_plus_plus, or a .npy file of initial centers.",
            metavar="random|kmeans_plus_plus|FILE",
        ),
    ] = "random",
    full_batch: Annotated[
        bool | None,
        typer.Option(
            "--full-batch/--mini-batch",
            help="Whole input in each step, or small batches. Default: full batches for files "
            "of up to 1 GiB, unless an option for mini-batches is given.",
        ),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Points in a mini-batch. Default: 4096.")
    ] = None,
    mini_batch_steps_per_iteration: Annotated[
        int | None,
        typer.Option(help="Mini-batches between two updates of the centers. Default: 1."),
    ] = None,
    kmeans_plus_plus_num_retries: Annotated[
        int, typer.Option(help="Additional candidates for each center of k-means++.")
    ] = 2,
    epochs: Annotated[
        int | None, typer.Option(help="Passes of the mini-batches over the file. Default: 5.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Train at most so many steps more, in place of --max-steps.")
    ] = None,
    max_steps: Annotated[
        int | None,
        typer.Option(
            help="Stop at this step, counted from the first training. Default: 100 for full "
            "batches, else no limit."
        ),
    ] = None,
    relative_tolerance: Annotated[
        float | None,
        typer.Option(
            help="Stop when the loss changes by less than this, relative to itself. "
            "Default: 1e-4 for full batches, else never."
        ),
    ] = None,
    shuffle: Annotated[
        bool | None,
        typer.Option(
            "--shuffle/--no-shuffle",
            help="Shuffle the file for mini-batches, anew in each epoch. Default: shuffle.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of initialisation and shuffling.")] = 0,
    bad_rows: BadRowsOption = BadRowsChoice.RAISE,
    restart_input: Annotated[
        bool,
        typer.Option(
            "--restart-input",
            help="Begin the file at its beginning, for another file than in the last training.",
        ),
    ] = False,
    columns: Columns = None,
    *,
    text: TextFormat,
) -> None:
    """Train a model, or go on with training one.

    Full batches run exact k-means until the loss settles. Mini-batches read the file in bounded
    memory, whatever its size.

    Ctrl-C ends training after its step and saves it. The same command goes on with the next batch
    of the file, and the result is the same as without the interruption.

    
    Examples:
      centroids train points.npy model -k 100
      centroids train words.npy model -k 256 --distance-metric cosine
      centroids train huge.parquet model -k 1000 --mini-batch --epochs 2
      centroids train points.npy model --steps 10
      centroids train income.csv model -k 5 --columns age,income --thousands ,
    """
    plan = training.TrainingPlan(
        points=points,
        model_dir=model_dir,
        num_clusters=num_clusters,
        distance_metric=None if distance_metric is None else distance_metric.value,
        initial_clusters=initial_clusters,
        full_batch=full_batch,
        batch_size=batch_size,
        mini_batch_steps_per_iteration=mini_batch_steps_per_iteration,
        kmeans_plus_plus_num_retries=kmeans_plus_plus_num_retries,
        epochs=epochs,
        steps=steps,
        max_steps=max_steps,
        relative_tolerance=relative_tolerance,
        shuffle=shuffle,
        seed=seed,
        bad_rows=bad_rows.value,
        restart_input=restart_input,
        columns=_split(columns),
        text=text,
    )
    with suggesting_options(points, can_drop=bad_rows is BadRowsChoice.RAISE):
        training.train(plan)


@app.command()
@with_text_format
def predict(
    model_dir: ModelDir,
    points: Input,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="A .npy or .csv file, or - for standard output."),
    ] = Path("-"),
    distances: Annotated[
        bool, typer.Option("--distances", help="Write the distances to all centers instead.")
    ] = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with the output of a prediction that was interrupted; begin if there is "
            "none.",
        ),
    ] = False,
    columns: Columns = None,
    *,
    text: TextFormat,
) -> None:
    """Find the nearest cluster of each point.

    With --distances, squared distances are written for the squared Euclidean metric.

    Where Ctrl-C, a kill or a full disk ends it, the same command with --resume goes on.

    
    Examples:
      centroids predict model points.npy --output labels.npy
      centroids predict model points.csv > labels.txt
      centroids predict model points.npy --distances -o distances.csv
      centroids predict model huge.parquet -o labels.npy --resume
    """
    with suggesting_options(points, can_drop=False):
        inference.predict(model_dir, points, output, distances, resume, _split(columns), text)


@app.command()
@with_text_format
def evaluate(
    model_dir: ModelDir,
    points: Input,
    columns: Columns = None,
    bad_rows: BadRowsOption = BadRowsChoice.RAISE,
    *,
    text: TextFormat,
) -> None:
    """Measure how well a model fits points.

    
    Example:
      centroids evaluate model held_out.npy
    """
    with suggesting_options(points, can_drop=bad_rows is BadRowsChoice.RAISE):
        inference.evaluate(model_dir, points, _split(columns), bad_rows.value, text)


@app.command()
@with_text_format
def inspect(
    model_dir: ModelDir,
    points: Annotated[
        Path | None, typer.Option(help="Points to show the nearest of, for each cluster.")
    ] = None,
    words: Annotated[
        Path | None,
        typer.Option(help="A name for each point: a text file, a line each, or a .parquet file."),
    ] = None,
    clusters: Annotated[int, typer.Option(min=1, help="How many clusters to show.")] = 12,
    nearest: Annotated[int, typer.Option(min=1, help="How many points of each to show.")] = 8,
    columns: Columns = None,
    *,
    text: TextFormat,
) -> None:
    """Show the state of a model, its cluster sizes and examples.

    
    Examples:
      centroids inspect model
      centroids inspect model --points vectors.npy --words words.txt
    """
    with suggesting_options(points or model_dir, can_drop=False):
        inspection.inspect(model_dir, points, words, clusters, nearest, _split(columns), text)


@app.command()
def verify(model_dir: ModelDir) -> None:
    """Read every file of a model and tell which are whole.

    Checkpoints and event files are compared with their checksums; nothing is changed. The exit code
    is 1 if something is damaged, missing, or of a newer version.

    
    Example:
      centroids verify model
    """
    if not verification.verify(model_dir):
        raise typer.Exit(1)


@app.command()
def export(
    model_dir: ModelDir,
    output: Annotated[
        Path,
        typer.Argument(
            help="The file to write; for a SavedModel the folder in which a numbered folder is "
            "created.",
            metavar="OUTPUT",
        ),
    ],
    format: Annotated[
        exporting.Format | None,
        typer.Option(
            help="Default: as OUTPUT ends (.onnx, .npz, .npy, .csv, .parquet, .faiss); savedmodel "
            "for a name without an ending."
        ),
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="A checkpoint of MODEL_DIR to export. Default: the latest."),
    ] = None,
    index_only: Annotated[
        bool,
        typer.Option(
            "--index-only", help="onnx: leave the distances out, which take most of the memory."
        ),
    ] = False,
    float32: Annotated[
        bool,
        typer.Option(
            "--float32",
            help="onnx: compute in float32, for points of float32. Takes less time and memory.",
        ),
    ] = False,
    check_numerics: Annotated[
        bool,
        typer.Option(
            "--check-numerics/--no-check-numerics",
            help="savedmodel: refuse NaN and infinity. TensorFlow.js cannot do so.",
        ),
    ] = True,
) -> None:
    """Write a model as a file that other programs use.

    savedmodel is for TensorFlow Serving, onnx for onnxruntime and other runtimes, npz, npy, csv and
    parquet for tables and programs of all kinds, and faiss for faiss. A file that exists is
    replaced. The first two find the nearest clusters as `centroids predict` does; the others hold
    the centers. Names of columns that the model was trained with go along.

    
    Examples:
      centroids export model served
      centroids export model model.onnx
      centroids export model centers.csv
      centroids export model old.onnx --checkpoint model/model.ckpt-10
    """
    options = exporting.ExportOptions(index_only, float32, check_numerics)
    exporting.export(model_dir, output, format, checkpoint, options)


@app.command("import")
def import_(
    old: Annotated[
        Path,
        typer.Argument(
            help="The model folder that TensorFlow wrote, or one of its checkpoints, such as "
            "old/model.ckpt-20.",
            metavar="OLD",
        ),
    ],
    new: Annotated[
        Path,
        typer.Argument(help="The folder to make. It must not hold a model.", metavar="NEW"),
    ],
    distance_metric: Annotated[
        Metric | None,
        typer.Option(
            help="That of the old model. Default: read from the graph beside the checkpoint (its "
            ".meta file); without one squared_euclidean, as in TensorFlow."
        ),
    ] = None,
    mini_batch_steps_per_iteration: Annotated[
        int | None,
        typer.Option(
            help="That of the old model. Default: read from the graph; without one to be given "
            "if it was more than 1."
        ),
    ] = None,
) -> None:
    """Take over a model that TensorFlow's KMeansClustering trained. TensorFlow is not needed.

    Centers, counts and the number of steps come over, with checksums verified; OLD stays as it
    is. Training then goes on where TensorFlow stopped.

    
    Examples:
      centroids import old_model model
      centroids import old_model/model.ckpt-2000 model --distance-metric cosine
      centroids train points.npy model --steps 10
    """
    importing.import_model(
        old,
        new,
        None if distance_metric is None else distance_metric.value,
        mini_batch_steps_per_iteration,
    )


def main() -> None:
    """Runs the command line; mistakes end in one plain sentence, without a traceback."""
    try:
        with showing_warnings():
            app()
    except Exception as error:
        if _DEBUG in sys.argv[1:]:
            raise
        end_with(error)


def _split(columns: str | None) -> list[str] | None:
    return None if columns is None else [name.strip() for name in columns.split(",")]
