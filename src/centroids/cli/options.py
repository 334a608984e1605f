"""The arguments and options of the commands that read points, each with its help.

Over 400 lines: all options of all commands, each declared once.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer


class Format(StrEnum):
    """What a model can be exported as."""

    SAVEDMODEL = "savedmodel"
    ONNX = "onnx"
    NPZ = "npz"
    NPY = "npy"
    CSV = "csv"
    PARQUET = "parquet"
    FAISS = "faiss"


class Metric(StrEnum):
    """The distances there are."""

    SQUARED_EUCLIDEAN = "squared_euclidean"
    COSINE = "cosine"


class EmptyClustersChoice(StrEnum):
    """What to do with clusters without points."""

    KEEP = "keep"
    RELOCATE = "relocate"


class BadRowsChoice(StrEnum):
    """What to do with rows that are not numbers."""

    RAISE = "raise"
    DROP = "drop"


class MissingChoice(StrEnum):
    """What to do with missing values."""

    RAISE = "raise"
    DROP = "drop"
    MEAN = "mean"


ModelDir = Annotated[
    Path, typer.Argument(help="The folder of a trained model.", metavar="MODEL_DIR")
]


if TYPE_CHECKING:
    Source = Path
else:

    class Source:
        """What `parse_source` finds. What is annotated as a Path, typer before 0.29 makes one."""


def parse_source(word: str) -> Path:
    """What reads like a path: a local one, the address of a remote file, or a query."""
    from centroids.cli.errors import end_with
    from centroids.inputs.tables.location import find_location

    try:
        if word == "-":
            raise ValueError("- is standard input, which is not read: write the points to a file")
        return find_location(word)
    except ValueError as error:  # which typer would show with the usage of the command
        end_with(error)


Input = Annotated[
    Source,
    typer.Argument(
        help="The points, one row per point: a table in a file (.csv, .parquet, .npy, .xlsx and "
        "others), a folder or a pattern of files, an address (https://, s3://, "
        'postgresql://HOST/DB#TABLE), or a query in SQL, such as "SELECT a, c FROM '
        "'t.parquet'\".",
        metavar="POINTS",
        parser=parse_source,
    ),
]
Columns = Annotated[
    str | None,
    typer.Option(
        help="The columns to use, separated by commas: names, or numbers from 0 for a text file "
        "without names; a:f for those from a to f; '*' for all. Default: the columns that the "
        "model was trained with, found by name if the file has names; for a new model, all "
        "columns.",
        metavar="A,B",
    ),
]
WeightColumn = Annotated[
    str | None,
    typer.Option(
        help="The column that holds how much each row counts, a number of at least 0: its name, or "
        "its number from 0 for a text file without names; none for no such column. Default: that "
        "of the model, if it was trained with weights.",
        metavar="NAME",
    ),
]
IdColumn = Annotated[
    str | None,
    typer.Option(
        help="The column that names the rows, which is not one of the points. Default: that of the "
        "model, if it was trained with one; none for no such column.",
        metavar="NAME",
    ),
]
Missing = Annotated[
    MissingChoice | None,
    typer.Option(
        help="What to do with missing values, which are blank, NA, null or NaN: stop at the first "
        "one, leave their rows out, or take the mean of the column, which is computed when a model "
        "is first trained and kept in it. Default: that of the model, else raise."
    ),
]
Standardize = Annotated[
    bool | None,
    typer.Option(
        "--standardize/--no-standardize",
        help="Subtract from each column its mean, and divide it by its standard deviation, so that "
        "columns in different units count alike. This is part of the model. Default: as the model "
        "was trained before, else no.",
    ),
]
BadRowsOption = Annotated[
    BadRowsChoice,
    typer.Option(
        help="What to do with rows that have NaN or infinity, and with lines that are not rows of "
        "numbers: stop at the first one, or leave them out and say how many."
    ),
]
ModelToTrain = Annotated[
    Path,
    typer.Argument(
        help="The folder of the model. If it already holds a model, training continues with it.",
        metavar="MODEL_DIR",
    ),
]
NumClusters = Annotated[
    int | None,
    typer.Option(
        "--num-clusters",
        "-k",
        help="The number of clusters. Needed only for a new model, unless --initial-clusters is a "
        "file, or --fresh takes the number from the old model.",
    ),
]
DistanceMetric = Annotated[
    Metric | None,
    typer.Option(
        help="How distances are measured. Cosine compares directions, as for embeddings of words "
        "or pictures. Default: the model's metric; for a new model, squared_euclidean."
    ),
]
InitialClusters = Annotated[
    str | None,
    typer.Option(
        help="The first centers of a new model. kmeans_plus_plus spreads them over the points "
        "(for mini-batches: over a random sample of the file); kmeans_rejection and "
        "kmeans_parallel do so in less time for thousands of clusters; random takes random points. "
        "Or give a .npy, .csv or .parquet file with one center per row. Default: kmeans_plus_plus.",
        metavar="kmeans_plus_plus|kmeans_rejection|kmeans_parallel|random|FILE",
    ),
]
FullBatch = Annotated[
    bool | None,
    typer.Option(
        "--full-batch/--mini-batch",
        help="Use the whole file in each step, or small batches of it. Default: as the model was "
        "trained before; for a new model, full batches if the file has at most 1 GiB and no option "
        "for mini-batches is given.",
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        help="Points in a mini-batch. Default: as the model was trained before, else 4096."
    ),
]
MiniBatchStepsPerIteration = Annotated[
    int | None,
    typer.Option(
        help="Mini-batches between two updates of the centers. Default: as the model was trained "
        "before, else 1."
    ),
]
KmeansPlusPlusNumRetries = Annotated[
    int | None,
    typer.Option(
        help="Extra candidates for each center of k-means++; -1 for 2 + log(k) candidates "
        "in all, as its authors propose. Default: -1."
    ),
]
NumRestarts = Annotated[
    int | None,
    typer.Option(
        help="How often to choose the first centers of a new model. Training goes on with the best "
        "choice: for full batches after 10 iterations with each, for mini-batches by the loss on a "
        "random sample of the file. Default: 1."
    ),
]
EmptyClusters = Annotated[
    EmptyClustersChoice | None,
    typer.Option(
        help="For full batches: keep the centers of clusters without points where they are, or "
        "relocate them to the points that are farthest from their centers. Default: that of the "
        "model, else keep."
    ),
]
ReassignmentRatio = Annotated[
    float | None,
    typer.Option(
        help="For mini-batches: move the centers of clusters that have had fewer points than this "
        "share of the largest one's to random points; 0 moves none. Default: that of the model, "
        "else 0."
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(help="Passes of the mini-batches over the file in this call. Default: 5."),
]
Steps = Annotated[
    int | None,
    typer.Option(
        help="Train at most this many steps in this call. Default: 100 for full batches, else no "
        "limit."
    ),
]
MaxSteps = Annotated[
    int | None,
    typer.Option(
        help="Stop when the model has had this many steps in all its runs. Use it instead of "
        "--steps."
    ),
]
RelativeTolerance = Annotated[
    float | None,
    typer.Option(
        help="For full batches: stop when a step lowers the loss by no more than this share "
        "of it. This does not depend on the units of the points. 0 stops when the loss no longer "
        "falls. Default: as the model was trained before, else 0.0001."
    ),
]
Validation = Annotated[
    Source | None,
    typer.Option(
        help="Points that are not trained on: a file, a folder, an address or a query, as for "
        "POINTS. The model is evaluated on them now and then, and training stops when their mean "
        "distance no longer falls.",
        metavar="POINTS",
        parser=parse_source,
    ),
]
Patience = Annotated[
    int | None,
    typer.Option(
        help="For --validation: how many evaluations in a row may bring no new lowest mean "
        "distance. Default: 5."
    ),
]
ValidateEvery = Annotated[
    int | None,
    typer.Option(
        help="For --validation: the steps between two evaluations. Default: 1 for full batches, "
        "else 100.",
        metavar="STEPS",
    ),
]
Shuffle = Annotated[
    bool | None,
    typer.Option(
        "--shuffle/--no-shuffle",
        help="Shuffle the file for mini-batches, differently in each pass. Default: as the model "
        "was trained before, else shuffle.",
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        help="Seed for the initial centers and for shuffling: equal seeds give equal results. "
        "Default: as the model was trained before, else 0."
    ),
]
Fresh = Annotated[
    bool,
    typer.Option(
        "--fresh",
        help="Replace the model in MODEL_DIR by a new one, with the same number of clusters, "
        "metric and settings unless the command line gives others. The old folder is renamed to "
        "MODEL_DIR.old-1 (or the next number), never deleted.",
    ),
]
RestartInput = Annotated[
    bool,
    typer.Option(
        "--restart-input",
        help="For mini-batches: start the file from its beginning. Needed if the last run stopped "
        "in the middle of another file.",
    ),
]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", help="Print only errors and warnings, for example in a nightly job."
    ),
]

Output = Annotated[
    Path,
    typer.Option("--output", "-o", help="A .npy, .csv or .parquet file, or - for standard output."),
]
IdOfLabels = Annotated[
    str | None,
    typer.Option(
        "--id-column",
        help="Write this column of the points' file before the labels.",
        metavar="NAME",
    ),
]
Append = Annotated[
    bool,
    typer.Option("--append", help="Write all columns of the points' file before the labels."),
]
Distance = Annotated[
    bool,
    typer.Option(
        "--distance",
        help="Write the distance to the nearest center too, squared under the squared Euclidean "
        "metric.",
    ),
]
SecondBest = Annotated[
    bool,
    typer.Option("--second-best", help="Write the second nearest cluster and its distance too."),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Continue an interrupted prediction. Starts from the beginning if there is none.",
    ),
]
WordsColumn = Annotated[
    str | None,
    typer.Option(
        help="The column that holds the names, if --words is a .parquet file. Default: the "
        "first column of text."
    ),
]
Show = Annotated[
    str | None,
    typer.Option(
        help="More columns of POINTS to show for members, also of text. If one names files of "
        "pictures, members come with small ones. Needs the extra arrow.",
        metavar="A,B",
    ),
]
Pictures = Annotated[
    str | None,
    typer.Option(
        help="Each row is a picture of this height and width, such as 28x28; 32x32x3 for rows "
        "of red, green and blue. Members are shown as pictures.",
        metavar="SHAPE",
    ),
]
Umap = Annotated[
    bool | None,
    typer.Option(
        "--umap/--no-umap",
        help="Also draw a map by UMAP, which takes some seconds. Default: draw it if the package "
        "umap-learn is installed.",
    ),
]
IndexOnly = Annotated[
    bool,
    typer.Option(
        "--index-only", help="onnx: leave out the distances, which take most of the memory."
    ),
]
Float32 = Annotated[
    bool,
    typer.Option(
        "--float32",
        help="onnx: compute in float32, which takes less time and memory. For float32 points.",
    ),
]
CheckNumerics = Annotated[
    bool,
    typer.Option(
        "--check-numerics/--no-check-numerics",
        help="savedmodel: refuse NaN and infinity, which TensorFlow.js cannot do.",
    ),
]


def split_columns(columns: str | None) -> list[str] | None:
    """The words of --columns."""
    return None if columns is None else [name.strip() for name in columns.split(",")]
