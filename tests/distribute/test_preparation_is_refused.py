"""Collections are neither filled nor scaled: their points stay on workers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from centroids import KMeansClustering
from centroids.inputs import limit_epochs

pandas = pytest.importorskip("pandas")
dataframes: Any = pytest.importorskip("dask.dataframe")
arrays: Any = pytest.importorskip("dask.array")

START = np.array([[0.0, 0.0], [5.0, 5.0]])


def spread(points: NDArray[Any], kind: str) -> Any:
    if kind == "array":
        return arrays.from_array(points, chunks=(4, 2))
    return dataframes.from_pandas(pandas.DataFrame(points, columns=["a", "b"]), npartitions=2)


@pytest.mark.parametrize("kind", ["array", "frame"])
@pytest.mark.parametrize("use_mini_batch", [False, True])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"missing": "drop"}, "missing='drop' is not for collections.*dropna"),
        ({"missing": "mean"}, "missing='mean' and standardize=True are not for collections"),
        ({"standardize": True}, "missing='mean' and standardize=True are not for collections"),
    ],
)
def test_collections_are_refused(
    kind: str, use_mini_batch: bool, arguments: dict[str, Any], message: str
) -> None:
    points = np.arange(16.0).reshape(8, 2) % 7
    collection = spread(points, kind)
    names: Any = ["a", "b"] if kind == "frame" else None

    def input_fn() -> Any:
        return iter([collection]) if use_mini_batch else collection

    def here() -> Any:
        return points if names is None else pandas.DataFrame(points, columns=names)

    def make() -> KMeansClustering:
        return KMeansClustering(
            2, initial_clusters=START, use_mini_batch=use_mini_batch, **arguments
        )

    with pytest.raises(TypeError, match=message):
        make().train(input_fn, steps=1)
    model = make().train(lambda: iter([here()]), steps=1)
    with pytest.raises(TypeError, match=message):
        model.evaluate(lambda: limit_epochs(collection))
