"""The curve of the loss, from the event files of a model."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

from centroids.crc32c import RECORD_FOOTER_BYTES, RECORD_HEADER_BYTES, is_record, record_length
from centroids.files import open_regular
from centroids.protobuf import DamagedMessageError, as_message, as_number, read_fields

_EVENTS = ".tfevents."
_TAG = b"loss"
_STARTED = 1


def read_loss_curve(model_dir: str) -> list[tuple[int, float]]:
    """The losses of training by step, as far as the event files of the folder have them.

    Where a run began at a step, what earlier runs wrote for it and for later steps does not count,
    as in TensorBoard. A file that is cut off or damaged is read up to there.

    Args:
        model_dir: The folder of the model.

    Returns:
        (step, loss) in the order of the steps; empty if there are none.
    """
    losses: dict[int, float] = {}
    for name in sorted(os.listdir(model_dir)):
        if _EVENTS not in name:
            continue
        try:
            for event in _records(os.path.join(model_dir, name)):
                _take(event, losses)
        except (OSError, ValueError, struct.error):  # what is left of it is nobody's loss
            continue
    return sorted(losses.items())


def _records(path: str) -> Iterator[bytes]:
    """The whole records of a file, up to the first that is not."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        while len(header := file.read(RECORD_HEADER_BYTES)) == RECORD_HEADER_BYTES:
            length = record_length(header)
            if length is None or file.tell() + length + RECORD_FOOTER_BYTES > size:
                return
            record = file.read(length)
            if not is_record(record, file.read(RECORD_FOOTER_BYTES)):
                return
            yield record


def _take(event: bytes, losses: dict[int, float]) -> None:
    """Reads an Event: its step (2), its summary (5) and its session log (7)."""
    fields = list(read_fields(event))
    step = next((as_number(value) for number, value in fields if number == 2), 0)
    for number, value in fields:
        if number == 7 and (1, _STARTED) in read_fields(as_message(value)):
            for later in [known for known in losses if known >= step]:
                del losses[later]
        elif number == 5:
            for part, entry in read_fields(as_message(value)):
                loss = _loss_in(as_message(entry)) if part == 1 else None
                if loss is not None:
                    losses[step] = loss


def _loss_in(value: bytes) -> float | None:
    """The loss in a Summary.Value: a float32 (2), or a tensor (8) of a double where it is huge."""
    fields = dict(read_fields(value))
    if fields.get(1) != _TAG:
        return None
    if 2 in fields:
        return float(struct.unpack("<f", struct.pack("<I", as_number(fields[2])))[0])
    if 8 not in fields:
        return None
    tensor = dict(read_fields(as_message(fields[8])))
    if 6 not in tensor:
        raise DamagedMessageError("a loss has no value")
    return float(struct.unpack("<d", as_message(tensor[6]))[0])
