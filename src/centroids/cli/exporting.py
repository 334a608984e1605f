"""centroids export: a trained model as a file for other programs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import typer

from centroids import KMeansClustering
from centroids.cli.inference import model_of, read_model
from centroids.estimator import Checkpoint
from centroids.export.array_files import write_faiss, write_npz


class Format(StrEnum):
    """What a model can be exported as."""

    SAVEDMODEL = "savedmodel"
    ONNX = "onnx"
    NPZ = "npz"
    FAISS = "faiss"


def export(
    model_dir: Path, output: Path, chosen: Format | None, checkpoint_path: Path | None
) -> None:
    """Writes a model in the chosen format, or in that of the ending of `output`."""
    checkpoint = read_model(model_dir, checkpoint_path)
    model = model_of(checkpoint, model_dir)
    match chosen or _format_of_ending(output):
        case Format.ONNX:
            written = model.export_onnx(output, checkpoint.path)
            usage = f"onnxruntime.InferenceSession({written!r}).run(None, {{'points': points}})"
        case Format.NPZ:
            written = _export_npz(model, checkpoint, output)
            usage = f"numpy.load({written!r})['clusters']"
        case Format.FAISS:
            metric = model.params["distance_metric"]
            written = write_faiss(output, checkpoint.variables[model.CLUSTERS], metric)
            usage = f"faiss.read_index({written!r}).search(points, 1)"
            if metric == model.COSINE_DISTANCE:
                usage += " after faiss.normalize_L2(points)"
        case Format.SAVEDMODEL:
            raise NotImplementedError
    typer.echo(f"Wrote {written}; use it with: {usage}")


def _format_of_ending(output: Path) -> Format:
    ending = output.suffix.lower().removeprefix(".")
    return Format(ending) if ending in list(Format) else Format.SAVEDMODEL


def _export_npz(model: KMeansClustering, checkpoint: Checkpoint, output: Path) -> str:
    return write_npz(
        output,
        checkpoint.variables[model.CLUSTERS],
        checkpoint.variables["cluster_counts"],
        model.params["distance_metric"],
        checkpoint.global_step,
    )
