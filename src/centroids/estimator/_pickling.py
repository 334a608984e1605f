"""What a pickled Estimator holds: the path of its model folder, or the model of a temporary one.

A worker of a pool thus opens the folder that its parent trained, and reads what is newest there. A
temporary folder that the Estimator made for itself may be gone when the pickle is read, on another
day or machine: then the newest checkpoint travels along.
"""

from __future__ import annotations

import errno
import logging
import os
import tempfile

from centroids.checkpoints.names import SUFFIX
from centroids.files import write_atomically

logger = logging.getLogger(__name__)

# Checkpoints of ours and of TensorFlow.
_ENDINGS = (SUFFIX, ".index")


def make_temporary_folder() -> str:
    """Makes a model folder for an Estimator without one."""
    folder = tempfile.mkdtemp(prefix="centroids-")
    logger.warning("Using temporary folder as model directory: %s", folder)
    return folder


def holds_checkpoint(folder: str) -> bool:
    """Whether a folder has any checkpoint, whole or not."""
    try:
        return any(name.endswith(_ENDINGS) for name in os.listdir(folder))
    except OSError:
        return False


def read_to_carry(path: str | None) -> tuple[str, bytes] | None:
    """The name and the bytes of a checkpoint; None for none."""
    if path is None:
        return None
    with open(path, "rb") as file:
        return os.path.basename(path), file.read()


def check_folder_is_there(kind: str, folder: str) -> None:
    """Checks that the folder of a trained model still has it when the model is unpickled.

    Args:
        kind: The class of the Estimator.
        folder: Its model folder.

    Raises:
        FileNotFoundError: If it has no checkpoint.
    """
    if not holds_checkpoint(folder):
        raise FileNotFoundError(
            errno.ENOENT,
            f"this pickle of {kind} holds the path of its model folder, not the model, and that "
            "folder no longer holds one; move it back to its place, or open it where it is now "
            "with model_dir=",
            folder,
        )


def unpack(carried: tuple[str, bytes] | None) -> str:
    """Puts a carried checkpoint, if any, into a new temporary folder, and returns that."""
    folder = make_temporary_folder()
    if carried is not None:
        name, data = carried
        write_atomically(os.path.join(folder, name), data)
    return folder
