"""centroids export: a trained model as a file for other programs."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from centroids import KMeansClustering
from centroids.cli.answer import answer
from centroids.cli.inference import describe_preparation, model_of, read_model
from centroids.cli.options import Format
from centroids.cli.output_file import check_folder, check_not_in_model, check_output, naming
from centroids.cli.points import read_columns
from centroids.estimator import Checkpoint
from centroids.export import (
    build_columns_serving_input_receiver_fn,
    build_raw_serving_input_receiver_fn,
)
from centroids.export.array_files import write_faiss, write_npy, write_npz
from centroids.export.table_files import write_csv, write_parquet
from centroids.kmeans.variables import COUNTS, centers_in_units

_OUTPUT = "OUTPUT"  # what the command line calls it


@dataclass(frozen=True)
class ExportOptions:
    """Options that only some formats have.

    Attributes:
        index_only: ONNX without the output all_distances.
        float32: ONNX that multiplies in float32.
        check_numerics: A SavedModel that refuses values that are not finite.
    """

    index_only: bool = False
    float32: bool = False
    check_numerics: bool = True

    def check(self, chosen: Format) -> None:
        """Raises a ValueError if an option is given that the format does not have."""
        for option, given, owner in (
            ("--index-only", self.index_only, Format.ONNX),
            ("--float32", self.float32, Format.ONNX),
            ("--no-check-numerics", not self.check_numerics, Format.SAVEDMODEL),
        ):
            if given and chosen is not owner:
                raise ValueError(f"{option} is for {owner.value}, but the output is {chosen.value}")


@dataclass(frozen=True)
class _Exported:
    """A model on its way into a file."""

    model: KMeansClustering
    checkpoint: Checkpoint
    columns: list[str] | None
    output: Path
    options: ExportOptions


def export(
    model_dir: Path,
    output: Path,
    chosen: Format | None,
    checkpoint_path: Path | None,
    options: ExportOptions | None = None,
) -> None:
    """Writes a model in the chosen format, or in that of the ending of `output`.

    Raises:
        ValueError: If no format has this ending, there is no model, or an option belongs to another
            format.
        OSError: If something cannot be read or written.
    """
    chosen = chosen or _format_of_ending(output)
    options = options or ExportOptions()
    options.check(chosen)
    if chosen is Format.SAVEDMODEL:
        check_folder(output, _OUTPUT)
        check_not_in_model(output, _OUTPUT, model_dir)
    else:
        check_output(output, _OUTPUT, model_dir=model_dir)
    checkpoint = read_model(model_dir, checkpoint_path)
    names = _names_of(read_columns(model_dir))
    model = model_of(checkpoint, model_dir)
    with naming(output, _OUTPUT):
        path, usage = _WRITERS[chosen](_Exported(model, checkpoint, names, output, options))
    answer(
        {
            "output": str(path),
            "format": chosen.value,
            "global_step": checkpoint.global_step,
            "use_with": usage,
        }
    )
    typer.echo(f"Wrote {path}; use it with: {usage}")


def _write_saved_model(exported: _Exported) -> tuple[str, str]:
    centers = exported.checkpoint.variables[KMeansClustering.CLUSTERS]
    receive = build_raw_serving_input_receiver_fn({"points": centers})
    if exported.columns is not None:
        try:
            receive = build_columns_serving_input_receiver_fn(exported.columns, centers.dtype)
        except ValueError as error:
            typer.echo(f"Requests hold points, not columns by name: {error}")
    path = exported.model.export_savedmodel(
        exported.output,
        receive,
        checkpoint_path=exported.checkpoint.path,
        check_numerics=exported.options.check_numerics,
    )
    folder = shlex.quote(str(exported.output.resolve()))
    return path, f"tensorflow_model_server --rest_api_port=8501 --model_base_path={folder}"


def _write_onnx(exported: _Exported) -> tuple[str, str]:
    path = exported.model.export_onnx(
        exported.output,
        exported.checkpoint.path,
        columns=exported.columns,
        index_only=exported.options.index_only,
        float32=exported.options.float32,
    )
    return path, f"onnxruntime.InferenceSession({path!r}).run(None, {{'points': points}})"


def _write_npz(exported: _Exported) -> tuple[str, str]:
    variables = exported.checkpoint.variables
    path = write_npz(
        exported.output,
        centers_in_units(variables),
        variables[COUNTS],
        exported.model.params["distance_metric"],
        exported.checkpoint.global_step,
        exported.columns,
    )
    return path, f"numpy.load({path!r})['clusters']"


def _write_npy(exported: _Exported) -> tuple[str, str]:
    path = write_npy(exported.output, centers_in_units(exported.checkpoint.variables))
    return path, f"numpy.load({path!r}), or as --initial-clusters {shlex.quote(path)}"


def _write_csv(exported: _Exported) -> tuple[str, str]:
    centers = centers_in_units(exported.checkpoint.variables)
    path = write_csv(exported.output, centers, exported.columns)
    return path, f"pandas.read_csv({path!r}{'' if exported.columns else ', header=None'})"


def _write_parquet(exported: _Exported) -> tuple[str, str]:
    centers = centers_in_units(exported.checkpoint.variables)
    path = write_parquet(exported.output, centers, exported.columns)
    return path, f"pandas.read_parquet({path!r})"


def _write_faiss(exported: _Exported) -> tuple[str, str]:
    if describe_preparation(exported.checkpoint):
        raise ValueError(
            "a faiss index searches points as they are, but this model prepares them (see "
            "centroids inspect): export it as onnx or savedmodel, or its centers as npz"
        )
    metric = exported.model.params["distance_metric"]
    centers = exported.checkpoint.variables[KMeansClustering.CLUSTERS]
    path = write_faiss(exported.output, centers, metric)
    usage = f"faiss.read_index({path!r}).search(points, 1)"
    if metric == KMeansClustering.COSINE_DISTANCE:
        usage += " after faiss.normalize_L2(points)"
    return path, usage


_WRITERS: dict[Format, Callable[[_Exported], tuple[str, str]]] = {
    Format.SAVEDMODEL: _write_saved_model,
    Format.ONNX: _write_onnx,
    Format.NPZ: _write_npz,
    Format.NPY: _write_npy,
    Format.CSV: _write_csv,
    Format.PARQUET: _write_parquet,
    Format.FAISS: _write_faiss,
}


def _names_of(columns: Sequence[str | int] | None) -> list[str] | None:
    """The names of columns; None if there are none, or numbers alone."""
    if columns is None or all(isinstance(column, int) for column in columns):
        return None
    return [str(column) for column in columns]


def _format_of_ending(output: Path) -> Format:
    """The format that the name of a file ends in; a SavedModel for a folder.

    Raises:
        ValueError: If the name has another ending.
    """
    ending = output.suffix.lower().removeprefix(".")
    if ending in list(Format):
        return Format(ending)
    if not ending or output.is_dir():
        return Format.SAVEDMODEL
    others = ", ".join(f".{format.value}" for format in Format if format is not Format.SAVEDMODEL)
    raise ValueError(
        f"{output} does not end in a format that can be written: {others}. A SavedModel is a "
        "folder, whose name has no ending; or choose it with --format savedmodel"
    )
