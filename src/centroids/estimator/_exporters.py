"""Exporters: what `train_and_evaluate` writes after its evaluations."""

from __future__ import annotations

import abc
import logging
import os
import shutil
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from centroids.estimator._exporting import check_receiver_fn
from centroids.export.receivers import ServingInputReceiver

if TYPE_CHECKING:
    from centroids.estimator.estimator import Estimator

logger = logging.getLogger(__name__)

# The time in seconds, which names an export.
_DIGITS_OF_A_VERSION = 10
# One of them is in each export.
SAVED_MODEL_FILES = ("saved_model.pb", "saved_model.pbtxt")


class Exporter(abc.ABC):
    """One kind of export; subclass it for others than those here."""

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """The name of the folder below `export` in model_dir; it is not empty."""

    @abc.abstractmethod
    def export(
        self,
        estimator: Estimator,
        export_path: str,
        checkpoint_path: str,
        eval_result: Mapping[str, Any],
        is_the_final_export: bool,
    ) -> str | None:
        """Exports a model that has just been evaluated.

        Args:
            estimator: The model.
            export_path: The folder of this exporter: `export/<name>` in model_dir.
            checkpoint_path: The checkpoint that was evaluated.
            eval_result: What the evaluation gave.
            is_the_final_export: Whether training has come to its end.

        Returns:
            The path of what was written, or None.
        """


class _SavedModelExporter(Exporter):
    """Writes a SavedModel: each time, unless a subclass says otherwise."""

    _only_the_final_one = False
    _exports_to_keep: int | None = None

    def __init__(
        self,
        name: str,
        serving_input_receiver_fn: Callable[[], ServingInputReceiver],
        assets_extra: Mapping[str, str | os.PathLike[str]] | None = None,
        as_text: bool = False,
    ) -> None:
        check_receiver_fn(serving_input_receiver_fn)
        self._name = name
        self._serving_input_receiver_fn = serving_input_receiver_fn
        self._assets_extra = assets_extra
        self._as_text = as_text

    @property
    def name(self) -> str:
        """The name of the folder below `export` in model_dir."""
        return self._name

    def export(
        self,
        estimator: Estimator,
        export_path: str,
        checkpoint_path: str,
        eval_result: Mapping[str, Any],
        is_the_final_export: bool,
    ) -> str | None:
        """Writes the checkpoint as a SavedModel below `export_path`; see Exporter."""
        del eval_result
        if self._only_the_final_one:
            if not is_the_final_export:
                return None
            logger.info("Performing the final export in the end of training.")
        written = estimator.export_savedmodel(
            export_path,
            self._serving_input_receiver_fn,
            assets_extra=self._assets_extra,
            as_text=self._as_text,
            checkpoint_path=checkpoint_path,
        )
        if self._exports_to_keep is not None:
            _keep_newest(export_path, self._exports_to_keep)
        return written


class FinalExporter(_SavedModelExporter):
    """Writes one SavedModel, at the end of training.

    Args:
        name: The folder of the export below `export` in model_dir.
        serving_input_receiver_fn: See `Estimator.export_savedmodel`, as for the others.
        assets_extra: Files to copy into it.
        as_text: Write the proto as text.

    Raises:
        ValueError: If there is no serving_input_receiver_fn.
    """

    _only_the_final_one = True


class LatestExporter(_SavedModelExporter):
    """Writes a SavedModel after each evaluation and keeps the newest ones.

    Args:
        name: The folder of the exports below `export` in model_dir.
        serving_input_receiver_fn: See `Estimator.export_savedmodel`, as for the next two.
        assets_extra: Files to copy into each.
        as_text: Write the protos as text.
        exports_to_keep: How many; older ones are removed. None keeps all.

    Raises:
        ValueError: If there is no serving_input_receiver_fn, or exports_to_keep is not positive.
    """

    def __init__(
        self,
        name: str,
        serving_input_receiver_fn: Callable[[], ServingInputReceiver],
        assets_extra: Mapping[str, str | os.PathLike[str]] | None = None,
        as_text: bool = False,
        exports_to_keep: int | None = 5,
    ) -> None:
        super().__init__(name, serving_input_receiver_fn, assets_extra, as_text)
        if exports_to_keep is not None and not exports_to_keep > 0:
            raise ValueError(
                f"exports_to_keep must be a positive number or None, got {exports_to_keep!r}"
            )
        self._exports_to_keep = exports_to_keep


def _keep_newest(base: str, count: int) -> None:
    """Removes the oldest exports of a folder, but nothing that merely has such a name."""
    versions = sorted(
        entry.name
        for entry in os.scandir(base)
        if entry.name.isdecimal()
        and len(entry.name) == _DIGITS_OF_A_VERSION
        and entry.is_dir(follow_symlinks=False)
        and any(os.path.isfile(os.path.join(entry.path, name)) for name in SAVED_MODEL_FILES)
    )
    for version in versions[:-count]:
        # A folder with a number for a name is served: it must never be there in part.
        doomed = os.path.join(base, f"temp-{uuid.uuid4().hex}")
        try:
            os.rename(os.path.join(base, version), doomed)
            shutil.rmtree(doomed)
        except OSError as error:
            logger.warning("Cannot remove the old export %s in %s: %s", version, base, error)
