"""An Estimator as notebooks show it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from centroids.checkpoints.folder import find_entries
from centroids.estimator._run_config import RunConfig

_MOST_CHARACTERS = 120
_MOST_PARAMS = 40


def estimator_html(name: str, model_dir: str, params: Any, config: RunConfig) -> str:
    """A small table: the folder, how far the model is trained, params, and settings of runs.

    Only names of files are read. What comes from values is text, whatever it holds.

    Args:
        name: The class.
        model_dir: The folder; it need not exist.
        params: A mapping, or any value.
        config: Those of its settings are shown that are not the defaults.
    """
    rows = [("model_dir", escape(_cut(model_dir))), ("trained", escape(_progress(model_dir)))]
    rows += [(escape(_cut(key)), f"<code>{escape(text)}</code>") for key, text in _params(params)]
    rows += [(escape(key), f"<code>{escape(text)}</code>") for key, text in _changed(config)]
    style = ' style="text-align:left;vertical-align:top"'
    body = "".join(
        f'<tr><th scope="row"{style}>{key}</th><td{style}>{value}</td></tr>' for key, value in rows
    )
    return f"<table><caption{style}><b>{escape(name)}</b></caption><tbody>{body}</tbody></table>"


def _progress(model_dir: str) -> str:
    try:
        entries = find_entries(model_dir, warn=False)
    except OSError as error:
        return f"not known: {error.strerror}"
    if not entries:
        return "not yet"
    newest = entries[-1].name
    steps = int(newest.removesuffix(".safetensors").rpartition("-")[2])
    return f"{steps:,} step{'' if steps == 1 else 's'} ({newest})"


def _params(params: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(params, Mapping):
        yield "params", _shown(params)
        return
    for place, (key, value) in enumerate(params.items()):
        if place == _MOST_PARAMS:
            yield "...", f"{len(params) - _MOST_PARAMS:,} more"
            return
        yield str(key), _shown(value)


def _changed(config: RunConfig) -> Iterator[tuple[str, str]]:
    usual = RunConfig()
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name != "model_dir" and field.init and value != getattr(usual, field.name):
            yield f"config.{field.name}", _shown(value)


def _shown(value: Any) -> str:
    shape = getattr(value, "shape", None)  # an array may be large, or on another machine
    return _cut(repr(value) if not shape else f"{type(value).__name__} of shape {tuple(shape)}")


def _cut(value: object) -> str:
    text = "".join(char if char.isprintable() else "\ufffd" for char in str(value))
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 1] + "…"
