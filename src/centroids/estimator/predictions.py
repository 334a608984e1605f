"""From the predictions of a spec to what `predict` yields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from centroids.estimator.spec import EstimatorSpec


def predictions_to_fetch(spec: EstimatorSpec, keys: list[str] | None) -> Any:
    """Returns what a session has to fetch for these keys.

    Raises:
        ValueError: If the predictions have no names but keys are given, or no key is known. As in
            r1.4, other unknown keys are passed over.
    """
    if not isinstance(spec.predictions, Mapping):
        if keys is not None:
            raise ValueError(
                "predict_keys argument is not valid in case of non-dict predictions: "
                f"predict_keys is {keys}, but the model has one prediction without a name"
            )
        return "predictions"
    chosen = [key for key in spec.predictions if keys is None or key in keys]
    if not chosen:
        raise ValueError(
            f"Expected to run at least one output from {list(spec.predictions)}, provided {keys}"
        )
    return {key: key for key in chosen}


def single_examples(values: Any) -> Iterator[Any]:
    """Yields the rows of a batch of predictions.

    Args:
        values: An array with the batch as its first axis, or a dict of such arrays.

    Raises:
        ValueError: If an array has no axis, or the arrays differ in their number of rows.

    >>> list(single_examples({"index": np.array([4, 5])})) == [{"index": 4}, {"index": 5}]
    True
    """
    if not isinstance(values, Mapping):
        _num_rows("predictions", values)
        yield from values
        return
    lengths = {key: _num_rows(key, value) for key, value in values.items()}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{key}: {length}" for key, length in lengths.items())
        raise ValueError(
            f"Batch length of predictions should be same, but the numbers of rows are {counts}; "
            "use yield_single_examples=False if that is meant"
        )
    keys = list(values)
    for row in zip(*values.values(), strict=True):
        yield dict(zip(keys, row, strict=True))


def _num_rows(key: str, value: Any) -> int:
    if np.ndim(value) == 0:
        raise ValueError(
            f"the prediction {key!r} is a single value without a batch axis; "
            "use yield_single_examples=False if that is meant"
        )
    return len(value)
