"""What the tests of streams read, and how."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from centroids.inputs import open_stream

POINTS = np.arange(12, dtype=np.float32).reshape(6, 2)


def features_of(input_fn: Callable[..., Any], **arguments: Any) -> list[Any]:
    with open_stream(input_fn, **arguments) as stream:
        features: list[Any] = [batch.features for batch in stream]
    return [each.tolist() for each in features]


def reader_threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name.startswith("centroids-")]
