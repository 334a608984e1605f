"""inspect, report, verify and export: looking at a model, and handing it on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from centroids.cli.errors import suggesting_options
from centroids.cli.options import (
    BadRowsChoice,
    BadRowsOption,
    CheckNumerics,
    Columns,
    Float32,
    Format,
    IndexOnly,
    Input,
    ModelDir,
    Pictures,
    Show,
    Source,
    Umap,
    WeightColumn,
    WordsColumn,
    parse_source,
    split_columns,
)
from centroids.cli.text_options import GivenText, with_text_format


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
    nearest to their centers, by name with --words, or by their ids if the model knows a column of
    ids.

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
