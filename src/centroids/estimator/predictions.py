"""From the predictions of a spec to what `predict` yields."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.errors import BadRowError
from centroids.estimator._spec import EstimatorSpec
from centroids.inputs.batch import Batch
from centroids.inputs.collections import convert_weighted, map_collection
from centroids.inputs.convert import convert_features
from centroids.inputs.weights import WeightColumn


class Predictions(Generator[Any]):
    """A generator of predictions, which can also be had as a collection.

    Args:
        generator: What it yields.
        collection: Makes the collection.
        batches: The same predictions by whole batches, of which `generator` yields the rows; None:
            there are none.
    """

    def __init__(
        self,
        generator: Generator[Any],
        collection: Callable[[], Any],
        batches: Iterator[NDArray[Any]] | None = None,
    ) -> None:
        self._generator, self._collection, self._batches = generator, collection, batches

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """All predictions that have not been taken yet, for `numpy.asarray`.

        Where they are rows of arrays, whole batches are joined, and nothing is made of each row.
        """
        del copy  # it is always a new one
        begun = inspect.getgeneratorstate(self._generator) != inspect.GEN_CREATED
        if begun or self._batches is None:
            return np.array(list(self._generator), dtype)
        parts = list(self._batches)
        self.close()
        joined = parts[0] if len(parts) == 1 else np.concatenate(parts or [np.empty(0)])
        return np.asarray(joined, dtype)

    @property
    def collection(self) -> Any:
        """The predictions as a lazy collection of the kind that the input function returned.

        Nothing is computed until its values are asked for, and then on the workers, partition by
        partition. For a dask array it is a dask array; for a data frame, a series or data frame
        with its index. If predictions have names, it is a dict of these.

        Raises:
            TypeError: If the input function did not return a collection of an engine.
        """
        return self._collection()

    def __iter__(self) -> Generator[Any]:
        """The generator, so that a loop calls nothing of this class for each prediction."""
        return self._generator

    def send(self, value: Any) -> Any:
        """The next prediction."""
        return self._generator.send(value)

    def throw(self, *error: Any) -> Any:
        """Raises an exception where the generator stands."""
        return self._generator.throw(*error)

    def close(self) -> None:
        """Ends the reading of the input."""
        self._generator.close()


def rows_of_batches(batches: Predictions, key: str) -> Predictions:
    """The rows of one of the predictions that are yielded by whole batches."""

    def arrays() -> Generator[NDArray[Any]]:
        with contextlib.closing(batches):
            for batch in batches:
                yield batch[key]

    whole = arrays()

    def rows() -> Generator[Any]:
        with contextlib.closing(whole):
            for array in whole:
                yield from array

    return Predictions(rows(), lambda: batches.collection[key], whole)


def lazy_predictions(
    returned: Any,
    spec: EstimatorSpec,
    variables: Mapping[str, NDArray[Any]],
    keys: list[str] | None,
    weights: WeightColumn | None = None,
) -> Any:
    """Predictions for a collection, in its own kind; see `Predictions.collection`.

    Args:
        returned: What the input function returned: a collection, or a tuple that begins with one.
        spec: The model, for PREDICT.
        variables: Those that are restored.
        keys: Which predictions; None takes all.
        weights: A column that predictions pass over; None: there is none.
    """
    wanted = predictions_to_fetch(spec, keys)
    predictions = spec.predictions
    if not isinstance(predictions, Mapping):
        function = BlockFunction(predictions, variables, weights)
        return map_collection(returned, function, "prediction", weights)
    return {
        key: map_collection(
            returned, BlockFunction(predictions[key], variables, weights), key, weights
        )
        for key in wanted
    }


class BlockFunction:
    """A prediction as a function of a block of a collection, which travels to workers.

    Args:
        function: The prediction, a function of a batch.
        variables: What it reads.
        weights: A column that it passes over; None: there is none.
    """

    def __init__(
        self,
        function: Any,
        variables: Mapping[str, NDArray[Any]],
        weights: WeightColumn | None = None,
    ) -> None:
        self._function, self._variables = function, dict(variables)
        self._weights = weights

    def __call__(self, block: Any, place: Callable[[int, int | None], str]) -> Any:
        """The predictions for a block: an array whose first axis is that of its rows."""
        if self._weights is None:
            features = convert_features(block)
        else:
            features = convert_weighted(self._weights, block)
        batch = Batch(features, None, 0, self._variables)
        try:
            return self._function(batch)
        except BadRowError as error:
            raise error.at_origin(place) from None


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
