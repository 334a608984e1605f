"""The commands and their arguments.

Each command imports what it runs: help and completion in the shell do not wait for the rest.

Over 400 lines: mostly the help pages, which are the docstrings of the commands.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from centroids import __version__
from centroids.cli.command import PlainCommand, PlainGroup, run
from centroids.cli.errors import end_with, silenced, suggesting_options
from centroids.cli.log import log
from centroids.cli.options import (
    Append,
    BadRowsChoice,
    BadRowsOption,
    BatchSize,
    CheckNumerics,
    Columns,
    Distance,
    DistanceMetric,
    EmptyClusters,
    Epochs,
    Float32,
    Format,
    Fresh,
    FullBatch,
    IdColumn,
    IdOfLabels,
    IndexOnly,
    InitialClusters,
    Input,
    KmeansPlusPlusNumRetries,
    MaxSteps,
    Metric,
    MiniBatchStepsPerIteration,
    Missing,
    MissingChoice,
    ModelDir,
    ModelToTrain,
    NumClusters,
    NumRestarts,
    Output,
    Patience,
    Pictures,
    Quiet,
    ReassignmentRatio,
    RelativeTolerance,
    RestartInput,
    Resume,
    SecondBest,
    Seed,
    Show,
    Shuffle,
    Source,
    Standardize,
    Steps,
    Umap,
    ValidateEvery,
    Validation,
    WeightColumn,
    WordsColumn,
    parse_source,
    split_columns,
)
from centroids.cli.options_of_points import (
    ColumnsOfPoints,
    IdColumnOfPoints,
    MissingInPoints,
    StandardizePoints,
    WeightColumnOfPoints,
)
from centroids.cli.stopping import terminable
from centroids.cli.text_options import GivenText, with_text_format

_DEBUG = "--debug"

app = typer.Typer(
    cls=PlainGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # its tables cut long option names off
    context_settings={"help_option_names": ["-h", "--help"]},
)


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


@app.command(cls=PlainCommand)
@with_text_format
def train(
    points: Input,
    model_dir: ModelToTrain,
    num_clusters: NumClusters = None,
    distance_metric: DistanceMetric = None,
    initial_clusters: InitialClusters = None,
    full_batch: FullBatch = None,
    batch_size: BatchSize = None,
    mini_batch_steps_per_iteration: MiniBatchStepsPerIteration = None,
    kmeans_plus_plus_num_retries: KmeansPlusPlusNumRetries = None,
    num_restarts: NumRestarts = None,
    empty_clusters: EmptyClusters = None,
    reassignment_ratio: ReassignmentRatio = None,
    epochs: Epochs = None,
    steps: Steps = None,
    max_steps: MaxSteps = None,
    relative_tolerance: RelativeTolerance = None,
    validation: Validation = None,
    patience: Patience = None,
    validate_every: ValidateEvery = None,
    shuffle: Shuffle = None,
    seed: Seed = None,
    bad_rows: BadRowsOption = BadRowsChoice.RAISE,
    fresh: Fresh = False,
    restart_input: RestartInput = False,
    columns: Columns = None,
    id_column: IdColumn = None,
    weight_column: WeightColumn = None,
    missing: Missing = None,
    standardize: Standardize = None,
    quiet: Quiet = False,
    *,
    text: GivenText,
) -> None:
    """Train a model, or continue training one.

    In full-batch mode each step reads the whole file, and exact k-means runs until the loss
    settles. In mini-batch mode each step reads a small part of the file, so that memory stays
    bounded however large the file is.

    If MODEL_DIR already holds a model, its training continues with these points. It keeps the mode,
    the columns, the weights, the batch size, the tolerance and the seed that it was trained with;
    an option changes such a setting for this run and for later ones. --fresh starts over, with the
    settings of the old model.

    Ctrl-C finishes the current step, saves the model, and prints the command that continues with
    the next batch. The result is the same as without the interruption.

    
    Examples:
      centroids train points.npy model -k 100
      centroids train words.npy model -k 256 --distance-metric cosine
      centroids train huge.parquet model -k 1000 --mini-batch --epochs 2
      centroids train points.npy model --steps 10
      centroids train income.csv model -k 5 --columns age,income --thousands ,
      centroids train survey.csv model -k 5 --weight-column people
      centroids train people.csv model -k 5 --id-column name --missing mean --standardize
      centroids train tonight.csv model --fresh --quiet
    """
    given = dict(locals())
    from centroids.cli import training
    from centroids.cli.training_plan import plan_of

    advice = suggesting_options(
        points,
        can_drop=bad_rows is BadRowsChoice.RAISE,
        prepares=missing is None,
        has_ids=id_column is None,
    )
    with advice, silenced(quiet):
        training.train(plan_of(given))


@app.command(cls=PlainCommand)
@with_text_format
def predict(
    model_dir: ModelDir,
    points: Input,
    output: Output = Path("-"),
    distances: Annotated[
        bool, typer.Option("--distances", help="Write the distances to all centers instead.")
    ] = False,
    id_column: IdOfLabels = None,
    append: Append = False,
    distance: Distance = False,
    second_best: SecondBest = False,
    resume: Resume = False,
    columns: Columns = None,
    quiet: Quiet = False,
    *,
    text: GivenText,
) -> None:
    """Find the nearest cluster of each point.

    Writes the number of the nearest cluster for each point, in the order of the file: one number
    per line, or a NumPy array. Clusters are counted from 0. With --distances it writes the
    distances to all centers instead, squared under the squared Euclidean metric.

    With --id-column, --append, --distance or --second-best, and into a .parquet file, it writes a
    table, whose column of labels is called cluster. A row with a missing or infinite value gets an
    empty label (-1 in a .npy file), and the last line says how many there are. If the model was
    trained with --missing mean, rows with missing values get labels, too.

    If Ctrl-C, a kill or a full disk stops it, run the same command with --resume to continue.

    
    Examples:
      centroids predict model points.npy --output labels.npy
      centroids predict model points.csv > labels.txt
      centroids predict model people.csv --id-column id --output labels.parquet
      centroids predict model people.csv --append --distance -o labelled.csv
      centroids predict model points.npy --distances -o distances.csv
      centroids predict model huge.parquet -o labels.npy --resume
    """
    from centroids.cli import inference

    with suggesting_options(points, can_drop=False):
        inference.predict(
            inference.Request(
                model_dir=model_dir,
                points=points,
                output=output,
                distances=distances,
                resume=resume,
                columns=split_columns(columns),
                text=text,
                id_column=id_column,
                append=append,
                distance=distance,
                second_best=second_best,
                quiet=quiet,
            )
        )


@app.command(cls=PlainCommand)
@with_text_format
def evaluate(
    model_dir: ModelDir,
    points: Input,
    columns: Columns = None,
    weight_column: WeightColumn = None,
    bad_rows: BadRowsOption = BadRowsChoice.RAISE,
    missing: Missing = None,
    *,
    text: GivenText,
) -> None:
    """Measure how well a model fits points.

    Prints the mean and the sum of the distances from the points to their nearest centers, squared
    under the squared Euclidean metric. Of two models with the same metric and the same number of
    clusters, the one with the lower mean fits these points better. With weights each distance
    counts by the weight of its point.

    
    Example:
      centroids evaluate model held_out.npy
    """
    from centroids.cli import inference

    with suggesting_options(points, can_drop=bad_rows is BadRowsChoice.RAISE):
        found = inference.evaluate(
            model_dir,
            points,
            split_columns(columns),
            weight_column,
            bad_rows.value,
            None if missing is None else missing.value,
            text,
        )
        found.show()


@app.command(cls=PlainCommand)
@with_text_format
def score(
    model_dir: ModelDir,
    points: Input,
    columns: Columns = None,
    weight_column: WeightColumn = None,
    bad_rows: BadRowsOption = BadRowsChoice.RAISE,
    missing: Missing = None,
    *,
    text: GivenText,
) -> None:
    """Print the sum of the distances of points to their nearest centers.

    Prints one number, for scripts. Distances are squared under the squared Euclidean metric. Lower
    is better. With weights each distance counts by the weight of its point. The command evaluate
    prints more.

    
    Example:
      centroids score model held_out.npy
    """
    from centroids.cli import inference

    with suggesting_options(points, can_drop=bad_rows is BadRowsChoice.RAISE):
        found = inference.evaluate(
            model_dir,
            points,
            split_columns(columns),
            weight_column,
            bad_rows.value,
            None if missing is None else missing.value,
            text,
        )
        found.show_score()


@app.command(cls=PlainCommand)
@with_text_format
def transform(
    model_dir: ModelDir,
    points: Input,
    output: Output = Path("-"),
    id_column: IdOfLabels = None,
    append: Append = False,
    resume: Resume = False,
    columns: Columns = None,
    quiet: Quiet = False,
    *,
    text: GivenText,
) -> None:
    """Write the distances of each point to all centers.

    Does the same as `centroids predict --distances`: it writes a row of distances for each point,
    in the order of the file, squared under the squared Euclidean metric. With --id-column or
    --append, and in a .parquet file, they are columns with names: distance_0, distance_1 and so on.
    A row with a missing or infinite value gets empty distances. If the model was trained with
    --missing mean, rows with missing values get distances, too.

    
    Examples:
      centroids transform model points.npy --output distances.npy
      centroids transform model people.csv --id-column id -o distances.parquet
    """
    from centroids.cli import inference

    with suggesting_options(points, can_drop=False):
        inference.predict(
            inference.Request(
                model_dir=model_dir,
                points=points,
                output=output,
                distances=True,
                resume=resume,
                columns=split_columns(columns),
                text=text,
                id_column=id_column,
                append=append,
                quiet=quiet,
            )
        )


@app.command("choose-k", cls=PlainCommand)
@with_text_format
def choose_k(
    points: Input,
    num_clusters: Annotated[
        str,
        typer.Option(
            "--num-clusters",
            "-k",
            help="The numbers to try: 2-20, 10-100/10 (in steps of 10), or 4,8,16.",
            metavar="NUMBERS",
        ),
    ] = "2-20",
    distance_metric: Annotated[
        Metric, typer.Option(help="How distances are measured, as for train.")
    ] = Metric.SQUARED_EUCLIDEAN,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed for the sample and the initial centers.")
    ] = 0,
    columns: ColumnsOfPoints = None,
    weight_column: WeightColumnOfPoints = None,
    id_column: IdColumnOfPoints = None,
    missing: MissingInPoints = MissingChoice.RAISE,
    standardize: StandardizePoints = False,
    bad_rows: BadRowsOption = BadRowsChoice.RAISE,
    plot: Annotated[
        Path | None,
        typer.Option(help="Also draw the measures into this .png, .svg or .pdf file."),
    ] = None,
    *,
    text: GivenText,
) -> None:
    """Find out how many clusters points have.

    Clusters a random sample into each number of clusters and prints how good the result is: the
    inertia of all points (it always falls; look for the knee), the silhouette (higher is better),
    the Davies-Bouldin index (lower is better), the Calinski-Harabasz index (higher is better), and
    the stability: how far clusterings of two halves of the sample agree (1 is best). It recommends
    one of the numbers, and says why. With weights every measure counts a point by its weight. Give
    --missing and --standardize as you will for train: the points are prepared in the same way.

    
    Examples:
      centroids choose-k points.npy
      centroids choose-k points.csv -k 2-40 --columns age,income --plot measures.png
      centroids choose-k people.csv --id-column name --missing mean --standardize
      centroids choose-k points.npy -k 10-100/10 --json
    """
    from centroids.cli import choosing

    advice = suggesting_options(
        points,
        can_drop=bad_rows is BadRowsChoice.RAISE,
        prepares=missing is MissingChoice.RAISE,
        has_ids=id_column is None,
    )
    with advice:
        choosing.choose_k(
            points,
            num_clusters,
            cosine=distance_metric is Metric.COSINE,
            seed=seed,
            columns=split_columns(columns),
            weight_column=weight_column,
            id_column=id_column,
            missing=missing.value,
            standardize=standardize,
            bad_rows=bad_rows.value,
            text=text,
            plot=plot,
        )


@app.command(cls=PlainCommand)
@with_text_format
def inspect(
    model_dir: ModelDir,
    points: Annotated[
        Source | None,
        typer.Option(
            metavar="POINTS",
            parser=parse_source,
            help="A file of points. The points nearest to the center are shown for some clusters "
            "(see --clusters), from the largest to the smallest.",
        ),
    ] = None,
    words: Annotated[
        Path | None,
        typer.Option(
            help="Names for the points of --points: a text file with one name per line, or a "
            ".parquet file."
        ),
    ] = None,
    words_column: WordsColumn = None,
    clusters: Annotated[int, typer.Option(min=1, help="How many clusters to show.")] = 12,
    nearest: Annotated[int, typer.Option(min=1, help="How many points to show for each.")] = 8,
    columns: Columns = None,
    bad_rows: BadRowsOption = BadRowsChoice.RAISE,
    variables: Annotated[
        bool, typer.Option("--variables", help="Also list the variables of the checkpoint.")
    ] = False,
    *,
    text: GivenText,
) -> None:
    """Show the state of a model, its cluster sizes and examples.

    Prints the number of clusters and columns, how far the model was trained, and how many points
    each cluster has. With --points it also shows typical points of some clusters: those that are
    nearest to their centers, by name with --words.

    
    Examples:
      centroids inspect model
      centroids inspect model --points vectors.npy --words words.txt
      centroids inspect model --points emb.parquet --columns vector --words emb.parquet
    """
    from centroids.cli import inspection

    with suggesting_options(points or model_dir, can_drop=bad_rows is BadRowsChoice.RAISE):
        inspection.inspect(
            inspection.Request(
                model_dir=model_dir,
                points=points,
                columns=split_columns(columns),
                bad_rows=bad_rows.value,
                text=text,
                words=words,
                words_column=words_column,
                num_clusters=clusters,
                num_nearest=nearest,
                variables=variables,
            )
        )


@app.command(cls=PlainCommand)
@with_text_format
def report(
    model_dir: ModelDir,
    points: Input,
    output: Annotated[Path, typer.Option("--output", "-o", help="The .html file to write.")] = Path(
        "report.html"
    ),
    words: Annotated[
        Path | None,
        typer.Option(
            help="Names for the points: a text file with one name per line, or a .parquet file."
        ),
    ] = None,
    words_column: WordsColumn = None,
    show: Show = None,
    pictures: Pictures = None,
    umap: Umap = None,
    columns: Columns = None,
    weight_column: WeightColumn = None,
    bad_rows: BadRowsOption = BadRowsChoice.RAISE,
    *,
    text: GivenText,
) -> None:
    """Write a page about a model and its points, to look at in a browser.

    The page is one HTML file that needs no network. It shows the sizes of the clusters, a map of a
    sample, the silhouettes, the loss of training, and for the 24 largest clusters the columns in
    which they differ most and their nearest and farthest points. An existing file is replaced.

    
    Examples:
      centroids report model points.npy
      centroids report model points.csv --output today.html
      centroids report model vectors.npy --words words.txt
      centroids report model flights.csv --show carrier,origin,dest
      centroids report model digits.npy --pictures 28x28
    """
    from centroids.cli import reporting

    with suggesting_options(points, can_drop=bad_rows is BadRowsChoice.RAISE):
        reporting.report(
            reporting.Request(
                model_dir=model_dir,
                points=points,
                output=output,
                columns=split_columns(columns),
                weight_column=weight_column,
                bad_rows=bad_rows.value,
                text=text,
                words=words,
                words_column=words_column,
                show=split_columns(show),
                pictures=pictures,
                umap=umap,
            )
        )


@app.command(cls=PlainCommand)
def quantize(
    image: Annotated[
        Path,
        typer.Argument(help="A picture: .jpg, .png, .webp, .tif or another.", metavar="IMAGE"),
    ],
    num_clusters: Annotated[
        int, typer.Option("--num-clusters", "-k", min=1, help="How many colors to leave.")
    ] = 16,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="The .png or .webp file to write. Default: IMAGE-16.png beside IMAGE, with the "
            "number of colors.",
        ),
    ] = None,
    dither: Annotated[
        bool,
        typer.Option(
            "--dither/--no-dither",
            help="Mix missing colors from neighboring pixels. For up to 256.",
        ),
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed for the initial colors.")] = 0,
) -> None:
    """Write a picture in few colors.

    Finds the colors by k-means over all pixels and gives each pixel the nearest one. Up to 256
    colors make a small file with a palette. Transparency and color profile stay, and the picture is
    turned as its EXIF data says. An existing file is replaced. Needs Pillow (the extra plot).

    
    Examples:
      centroids quantize photo.jpg
      centroids quantize photo.jpg -k 8 --dither --output poster.png
    """
    from centroids.cli import quantizing

    with suggesting_options(image, can_drop=False):
        quantizing.quantize_picture(image, num_clusters, output, dither=dither, seed=seed)


@app.command(cls=PlainCommand)
def verify(model_dir: ModelDir) -> None:
    """Read every file of a model and report which are intact.

    Compares checkpoints and event files with their checksums, and changes nothing. The exit code is
    1 if a file is damaged, missing, or from a newer version of centroids.

    
    Example:
      centroids verify model
    """
    from centroids.cli import verification

    if not verification.verify(model_dir):
        raise typer.Exit(1)


@app.command(cls=PlainCommand)
def export(
    model_dir: ModelDir,
    output: Annotated[
        Path,
        typer.Argument(
            help="The file to write. For a SavedModel, the folder in which a numbered folder is "
            "created.",
            metavar="OUTPUT",
        ),
    ],
    format: Annotated[
        Format | None,
        typer.Option(
            help="The kind of file. Default: what the ending of OUTPUT says (.onnx, .npz, .npy, "
            ".csv, .parquet or .faiss), or savedmodel for a name without an ending."
        ),
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="Which checkpoint of MODEL_DIR to export. Default: the latest."),
    ] = None,
    index_only: IndexOnly = False,
    float32: Float32 = False,
    check_numerics: CheckNumerics = True,
) -> None:
    """Write a model as a file that other programs use.

    savedmodel and onnx are programs that find the nearest clusters as `centroids predict` does:
    savedmodel for TensorFlow Serving, onnx for onnxruntime and other runtimes. npz, npy, csv,
    parquet and faiss hold only the centers. The names of the columns that the model was trained
    with are written, too. An existing file is replaced.

    
    Examples:
      centroids export model served
      centroids export model model.onnx
      centroids export model centers.csv
      centroids export model old.onnx --checkpoint model/model.ckpt-10
    """
    from centroids.cli import exporting

    options = exporting.ExportOptions(index_only, float32, check_numerics)
    exporting.export(model_dir, output, format, checkpoint, options)


@app.command("import", cls=PlainCommand)
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
        typer.Argument(help="The folder to write. It must not hold a model.", metavar="NEW"),
    ],
    distance_metric: Annotated[
        Metric | None,
        typer.Option(
            help="The metric of the old model. Default: read from the graph beside the checkpoint "
            "(its .meta file); squared_euclidean if there is none, as in TensorFlow."
        ),
    ] = None,
    mini_batch_steps_per_iteration: Annotated[
        int | None,
        typer.Option(
            help="How many mini-batches the old model took between two updates of its centers. "
            "Default: read from the graph. Needed if there is no graph and it was more than 1."
        ),
    ] = None,
) -> None:
    """Import a model that TensorFlow's KMeansClustering trained, without TensorFlow.

    Reads the centers, the counts and the number of steps, verifies their checksums, and writes them
    as a model in NEW. OLD stays as it is. Training then continues where TensorFlow stopped.

    
    Examples:
      centroids import old_model model
      centroids import old_model/model.ckpt-2000 model --distance-metric cosine
      centroids train points.npy model --steps 10
    """
    from centroids.cli import importing

    importing.import_model(
        old,
        new,
        None if distance_metric is None else distance_metric.value,
        mini_batch_steps_per_iteration,
    )


def main() -> None:
    """Runs the command line; mistakes end in one plain sentence, without a traceback."""
    debug = _DEBUG in sys.argv[1:]
    if debug:  # wherever it stands, also behind the command
        sys.argv = [word for word in sys.argv if word != _DEBUG]
    try:
        with log.attached(), terminable():
            sys.exit(run(app))
    except Exception as error:
        if debug:
            traceback.print_exception(error)
        end_with(error)
