"""What a training run of the command line does beside its steps: it keeps settings, and tells."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import typer

from centroids import CheckpointSaverListener, SessionRunHook
from centroids.cli.log import log
from centroids.cli.settings import SETTINGS_FILE, Settings, write_settings
from centroids.estimator import load_latest
from centroids.progress import Activity


class SettingsSaver(CheckpointSaverListener):
    """Writes the settings of a model before its first checkpoint: no model ever lacks them."""

    def __init__(self, model_dir: Path, settings: Settings) -> None:
        self._model_dir, self._settings, self._saved = model_dir, settings, False

    def before_save(self, session: Any, global_step_value: int) -> None:
        """Writes them once."""
        if not self._saved:
            write_settings(self._model_dir, self._settings)
            self._saved = True

    def __enter__(self) -> None:
        """Notes what is there before."""
        folders = [self._model_dir.absolute(), *self._model_dir.absolute().parents]
        self._new = [folder for folder in folders if not folder.exists()]
        self._is_new = not (self._model_dir / SETTINGS_FILE).exists()

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        """If the run is refused after all, its model is taken back, and the settings go with it."""
        refused = kind is not None and issubclass(kind, Exception)
        if not (refused and self._saved and self._is_new):
            return
        with contextlib.suppress(OSError, ValueError):
            if load_latest(str(self._model_dir)) is None:
                (self._model_dir / SETTINGS_FILE).unlink()
                for folder in self._new:
                    folder.rmdir()


class Beginning(SessionRunHook):
    """Shows that initial centers are being chosen; says some lines when the training begins.

    Args:
        lines: Said when nothing can be refused any more.
        status: Shown until then.
    """

    def __init__(self, lines: list[str], status: Activity) -> None:
        self._lines, self._status = lines, status

    def begin(self) -> None:
        """Before the first centers are chosen."""
        self._status.update(what="choosing initial centers")
        self._status.start()

    def after_create_session(self, session: Any, coord: Any) -> None:
        """When they are chosen, or the model is restored."""
        self._status.stop()
        log.let_out()
        for line in self._lines:
            typer.echo(line)
