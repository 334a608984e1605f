"""What the HPARAMS tab of TensorBoard compares: the parameters of each model."""

from __future__ import annotations

import math
import numbers
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from centroids.estimator.hooks._basic import event_writer
from centroids.estimator.hooks._protocol import Coordinator, SessionRunHook
from centroids.files import absolute
from centroids.tensorflow_protos import Message, new_message

if TYPE_CHECKING:
    from centroids.estimator._session import Session

# As the plugin has them, with the version 0 of its data.
_START_TAG, _END_TAG = "_hparams_/session_start_info", "_hparams_/session_end_info"
_SUCCESS = 1


class HParamsHook(SessionRunHook):
    """Writes the parameters of a model when training starts, and a note when it has ended.

    TensorBoard shows them beside the last value of every scalar in the folder and below it. If a
    folder is trained several times, it shows the parameters of the first run.

    Args:
        output_dir: The folder of the event file.
        params: Parameters by name. Numbers, strings, True and False are written.
    """

    only_watches = True

    def __init__(self, output_dir: str, params: Mapping[str, Any]) -> None:
        self._output_dir = absolute(output_dir)
        self._values = hparams(params)

    def after_create_session(self, session: Session, coord: Coordinator) -> None:
        """Writes the parameters."""
        self._writer = event_writer(self._output_dir, session, coord)
        data = new_message("HParamsPluginData")
        # Without a name for its group, each folder is a line of its own.
        data.session_start_info.start_time_secs = time.time()
        for name, value in self._values.items():
            entry = data.session_start_info.hparams[name]
            if isinstance(value, bool):
                entry.bool_value = value
            elif isinstance(value, str):
                entry.string_value = value
            else:
                entry.number_value = value
        self._write(_START_TAG, data, 0)

    def end(self, session: Session) -> None:
        """Writes that training has ended well, unless a signal ended it."""
        if not session.finished:
            return
        data = new_message("HParamsPluginData")
        data.session_end_info.status = _SUCCESS
        data.session_end_info.end_time_secs = time.time()
        self._write(_END_TAG, data, session.global_step)

    def _write(self, tag: str, data: Message, step: int) -> None:
        self._writer.add_plugin_data(tag, "hparams", data.SerializeToString(), step)


def hparams(params: Any) -> dict[str, bool | float | str]:
    """Returns those of the parameters that TensorBoard can compare.

    Args:
        params: A mapping; anything else has none.

    >>> hparams({"k": np.int64(5), "metric": "cosine", "tolerance": None, "rate": math.nan})
    {'k': 5.0, 'metric': 'cosine', 'rate': 'nan'}
    """
    found: dict[str, bool | float | str] = {}
    for name, value in params.items() if isinstance(params, Mapping) else ():
        if isinstance(value, (bool, np.bool_)):
            found[str(name)] = bool(value)
        elif isinstance(value, numbers.Real):
            # The plugin's JSON has no NaN and no infinity.
            number = float(value)
            found[str(name)] = number if math.isfinite(number) else str(number)
        elif isinstance(value, str):
            found[str(name)] = str(value)
    return found
