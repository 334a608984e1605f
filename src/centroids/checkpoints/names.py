"""What checkpoints of ours and of TensorFlow have in common: names of files, and their damage."""

from __future__ import annotations

SUFFIX = ".safetensors"
STATE_FILE = "checkpoint"
# A run of ours keeps TensorFlow's list under this name when it writes its own.
TENSORFLOW_STATE_FILE = "checkpoint.tensorflow"
# Likewise a list that is damaged: it may still tell which checkpoints were kept for good.
DAMAGED_STATE_FILE = "checkpoint.damaged"


class DamagedCheckpointError(ValueError):
    """A checkpoint file is torn, altered, or not a checkpoint at all."""


class NewerCheckpointError(ValueError):
    """A checkpoint was written by a newer version of this package: it is whole, but not for us."""
