"""centroids export: a trained model as a file for other programs."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path

import typer

from centroids.cli.inference import model_of, read_model
from centroids.export import build_raw_serving_input_receiver_fn
from centroids.export.array_files import write_faiss, write_npz
from centroids.kmeans_variables import COUNTS


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
    centers = checkpoint.variables[model.CLUSTERS]
    metric = model.params["distance_metric"]
    match chosen or _format_of_ending(output):
        case Format.SAVEDMODEL:
            receive = build_raw_serving_input_receiver_fn({"points": centers})
            path = model.export_savedmodel(output, receive, checkpoint_path=checkpoint.path)
            folder = shlex.quote(str(output.resolve()))
            usage = f"tensorflow_model_server --rest_api_port=8501 --model_base_path={folder}"
        case Format.ONNX:
            path = model.export_onnx(output, checkpoint.path)
            usage = f"onnxruntime.InferenceSession({path!r}).run(None, {{'points': points}})"
        case Format.NPZ:
            counts, step = checkpoint.variables[COUNTS], checkpoint.global_step
            path = write_npz(output, centers, counts, metric, step)
            usage = f"numpy.load({path!r})['clusters']"
        case Format.FAISS:
            path = write_faiss(output, centers, metric)
            usage = f"faiss.read_index({path!r}).search(points, 1)"
            if metric == model.COSINE_DISTANCE:
                usage += " after faiss.normalize_L2(points)"
    typer.echo(f"Wrote {path}; use it with: {usage}")


def _format_of_ending(output: Path) -> Format:
    ending = output.suffix.lower().removeprefix(".")
    return Format(ending) if ending in list(Format) else Format.SAVEDMODEL
