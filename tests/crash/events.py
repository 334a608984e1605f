"""Event files as TensorBoard reads them."""

from __future__ import annotations

import sys
import types
from pathlib import Path

# TensorBoard then leaves TensorFlow alone, which takes seconds and threads where it is installed.
sys.modules.setdefault("tensorboard.compat.notf", types.ModuleType("notf"))


def read_losses(folder: Path) -> list[tuple[int, float]]:
    """(step, loss) of all event files of a folder, file after file."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
    from tensorboard.util.tensor_util import make_ndarray

    losses = []
    for path in sorted(folder.glob("*tfevents*")):
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                if value.tag == "loss":
                    losses.append((event.step, float(make_ndarray(value.tensor))))
    return losses
