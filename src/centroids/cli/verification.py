"""centroids verify: which files of a model folder are whole, and which are damaged."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

import numpy as np
import typer

from centroids.cli.answer import answer
from centroids.cli.inference import check_is_folder, model_of
from centroids.cli.points import describe_columns
from centroids.cli.settings import (
    OLD_COLUMNS_FILE,
    SETTINGS_FILE,
    NewerSettingsError,
    read_settings,
)
from centroids.estimator import (
    Checkpoint,
    Condition,
    ModeKeys,
    TensorSpec,
    Verdict,
    verify_model_dir,
)
from centroids.estimator.session_setup import check_restored
from centroids.kmeans.variables import CLUSTERS
from centroids.text_table import terminal_width


def verify(model_dir: Path) -> bool:
    """Prints a verdict on each file of a model.

    Returns:
        Whether all is well.

    Raises:
        ValueError: If there is no model.
        OSError: If the folder cannot be read.
    """
    check_is_folder(model_dir)

    def check(checkpoint: Checkpoint) -> None:
        if checkpoint.identity.get("model") != "KMeansClustering":
            return  # another model's variables are its own business
        centers = checkpoint.variables.get(CLUSTERS)
        if centers is None or centers.ndim != 2:
            raise ValueError("it has no centers")
        if not np.isfinite(centers).all():
            raise ValueError("its centers are not finite")
        model = model_of(checkpoint, model_dir)
        points = TensorSpec(centers.dtype, (None, centers.shape[1]))
        spec = model.model_fn(points, None, ModeKeys.PREDICT, model.config)
        check_restored(spec, checkpoint, with_variables=True)

    verdicts = [*verify_model_dir(str(model_dir), check), *_verify_settings(model_dir)]
    if not verdicts:
        raise ValueError(f"{model_dir} holds no model: there is nothing to verify")
    _show(verdicts, terminal_width())
    bad = [verdict for verdict in verdicts if not verdict.is_good]
    answer({"good": not bad, "files": [_describe(verdict) for verdict in verdicts]})
    typer.echo(_summary(verdicts, bad))
    return not bad


def _show(verdicts: list[Verdict], width: int | None) -> None:
    """A line for each file, or two where lines are too short."""
    longest = max(len(verdict.name) for verdict in verdicts)
    lines = [
        f"{verdict.condition:<8}  {verdict.name:<{longest}}  {verdict.detail}".rstrip()
        for verdict in verdicts
    ]
    if width is not None and max(map(len, lines)) > width:
        lines = [f"{verdict.condition:<8}  {verdict.name}" for verdict in verdicts]
        details = (textwrap.wrap(verdict.detail, max(width - 10, 10)) for verdict in verdicts)
        lines = [
            "\n".join([line, *(f"{'':10}{part}" for part in parts)])
            for line, parts in zip(lines, details, strict=True)
        ]
    typer.echo("\n".join(lines))


def _describe(verdict: Verdict) -> dict[str, object]:
    """A verdict for programs."""
    return {
        "name": verdict.name,
        "condition": str(verdict.condition.value),
        "good": verdict.is_good,
        "step": verdict.step,
        "detail": verdict.detail,
    }


def _verify_settings(model_dir: Path) -> list[Verdict]:
    names = [
        name for name in (SETTINGS_FILE, OLD_COLUMNS_FILE) if os.path.lexists(model_dir / name)
    ]
    if not names:
        return []
    name = names[0]
    try:
        settings = read_settings(model_dir)
    except NewerSettingsError as error:
        return [Verdict(name, Condition.NEWER, str(error))]
    except (OSError, ValueError) as error:
        return [Verdict(name, Condition.DAMAGED, str(error))]
    columns = settings.columns
    detail = "" if columns is None else f"columns {describe_columns(columns)}"
    return [Verdict(name, Condition.WHOLE, detail)]


def _summary(verdicts: list[Verdict], bad: list[Verdict]) -> str:
    if not bad:
        return f"All {len(verdicts)} files are good." if len(verdicts) > 1 else "This file is good."
    found = f"{len(bad)} of {len(verdicts)} files are not: {', '.join(one.name for one in bad)}."
    if any(verdict.condition is Condition.NEWER for verdict in bad):
        return f"{found} A newer version of centroids can read what it wrote."
    steps = [verdict.step for verdict in verdicts if verdict.step is not None]
    if steps:
        return f"{found} The newest whole checkpoint is that of step {steps[-1]:,}."
    return f"{found} No checkpoint is whole."
