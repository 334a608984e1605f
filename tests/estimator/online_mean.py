"""A second model: the mean of all rows seen, and the squared deviation from it.

It shares nothing with k-means, which is the point: the runtime must carry it unchanged.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

from centroids.estimator import (
    Batch,
    EstimatorSpec,
    Ratio,
    SessionRunArgs,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
    Sum,
)


def deviations(batch: Batch) -> Any:
    """[n, d]: the rows minus the mean."""
    return batch.features - batch.variables["mean"]


def loss(batch: Batch) -> float:
    """The sum of the squared deviations of a batch."""
    return float((batch.get(deviations) ** 2).sum())


def num_rows(batch: Batch) -> int:
    """The number of rows of a batch."""
    return len(batch.features)


def update(batch: Batch) -> None:
    """mean += sum(x - mean) / count, with the new count."""
    variables = batch.variables
    variables["count"] = variables["count"] + len(batch.features)
    variables["mean"] = variables["mean"] + batch.get(deviations).sum(axis=0) / variables["count"]


def model_fn(features: Any, mode: str) -> EstimatorSpec:
    """The model; its variables are known from the width of the features."""
    width = 1 if features is None else features.shape[1]
    variables = {"mean": np.zeros(width), "count": np.array(0, np.int64)}
    return EstimatorSpec(
        mode,
        predictions={"deviation": deviations, "length": lambda b: (b.get(deviations) ** 2).sum(1)},
        loss=loss,
        train_op=update,
        eval_metric_ops={"rows": Sum(num_rows), "mean_square": Ratio(loss, num_rows)},
        variables=variables,
        identity={"model": "online mean"},
        summaries={"rows": num_rows},
        histograms={"deviations": deviations},
    )


def first_rows_model_fn(features: Any, mode: str) -> EstimatorSpec:
    """The same model, starting from the mean of the first four rows, however they are batched."""
    base = model_fn(features, mode)

    def initialize(batches: Iterator[Batch]) -> None:
        rows: list[Any] = []
        for batch in batches:
            rows.extend(batch.features)
            if len(rows) >= 4:
                batch.variables["mean"] = np.mean(rows[:4], axis=0)
                return
        raise ValueError(f"4 rows are needed to start, but the input has {len(rows)}")

    values = {name: getattr(base, name) for name in base.__dataclass_fields__}
    return EstimatorSpec(**(values | {"initialize": initialize}))


class Recorder(SessionRunHook):
    """Notes the order of all calls in a shared list, and what it fetched."""

    def __init__(self, calls: list[str], name: str = "", fetches: Any = None) -> None:
        self.calls, self.name = calls, name
        self.args = None if fetches is None else SessionRunArgs(fetches)
        self.results: list[Any] = []

    def begin(self) -> None:
        """Notes."""
        self.calls.append("begin" + self.name)

    def after_create_session(self, session: Any, coord: Any) -> None:
        """Notes."""
        self.calls.append("after_create_session" + self.name)

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs | None:
        """Notes and fetches."""
        self.calls.append("before_run" + self.name)
        return self.args

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """Notes the call and the values."""
        self.calls.append("after_run" + self.name)
        self.results.append(run_values.results)

    def end(self, session: Any) -> None:
        """Notes."""
        self.calls.append("end" + self.name)


def batches(num_batches: int = 5, num_rows: int = 3, width: int = 2) -> list[Any]:
    """Random rows, the same in every call."""
    generator = np.random.default_rng(7)
    return [generator.normal(size=(num_rows, width)) for _ in range(num_batches)]


def read_events(folder: str) -> list[tuple[str, int, float]]:
    """(tag, step, value) of all scalars in the event files of a folder."""
    from tensorboard.compat.proto.event_pb2 import Event

    scalars = []
    for name in sorted(os.listdir(folder)):
        if "tfevents" not in name:
            continue
        with open(os.path.join(folder, name), "rb") as file:
            data = file.read()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            event = Event.FromString(data[12 : 12 + length])
            data = data[16 + length :]
            scalars += [
                (value.tag, event.step, value.simple_value)
                for value in event.summary.value
                if value.HasField("simple_value")
            ]
    return scalars
