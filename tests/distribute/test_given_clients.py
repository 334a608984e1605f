"""The engine of the configuration takes what an input function of ours feeds, too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import centroids
from centroids.distribute import Dask
from centroids.inputs import limit_epochs, numpy_input_fn
from tests.distribute.test_dask import assert_equal

da: Any = pytest.importorskip("dask.array")
pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def given(cluster: Any) -> Iterator[Any]:
    """A client that is not the current one; there is none."""
    import distributed

    with distributed.Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
        yield client


def loaded_by(points: NDArray[Any], folder: Path) -> Any:
    """A dask array that leaves a file for each loading, named by the process."""
    import os

    import dask

    def load(start: int) -> NDArray[Any]:
        number = np.random.default_rng().integers(1 << 60)
        (folder / f"{start}-{os.getpid()}-{number}").touch()
        return points[start : start + 500]

    blocks = [da.from_delayed(dask.delayed(load)(at), (500, 4), np.float32) for at in (0, 500)]
    return da.concatenate(blocks)


INPUTS: dict[str, Callable[[Any], Any]] = {
    "mini-batches": lambda x: numpy_input_fn(x, batch_size=150, num_epochs=2, shuffle=True),
    "epochs": lambda x: lambda: limit_epochs(x, num_epochs=3),
    "calls": lambda x: lambda: x,
}


@pytest.mark.parametrize("kind", INPUTS)
def test_points_go_to_its_workers(
    given: Any, points: NDArray[Any], tmp_path: Path, kind: str
) -> None:
    import os

    def fit(x: Any, **arguments: Any) -> centroids.KMeansClustering:
        kmeans = centroids.KMeansClustering(7, initial_clusters=points[:7], **arguments)
        return kmeans.train(INPUTS[kind](x), steps=3)

    config = centroids.RunConfig(train_distribute=Dask(given))
    assert_equal(fit(points), fit(loaded_by(points, tmp_path), config=config))
    starts, pids, _ = zip(*(path.name.split("-") for path in tmp_path.iterdir()), strict=True)
    assert sorted(starts) == ["0", "500"]
    assert set(pids) <= {str(pid) for pid in given.run(os.getpid).values()}


def test_evaluation_and_predictions_of_epochs_too(given: Any, points: NDArray[Any]) -> None:
    config = centroids.RunConfig(train_distribute=Dask(given))
    spread = da.from_array(points, chunks=((300, 0, 700), (4,)))
    alone, many = (
        centroids.KMeansClustering(7, initial_clusters=points[:7], config=where).train(
            lambda: points, steps=1
        )
        for where in (None, config)
    )
    once = (lambda: limit_epochs(points), lambda: limit_epochs(spread))
    assert many.evaluate(once[1]) == alone.evaluate(once[0])
    found = (list(alone.predict_cluster_index(once[0])), list(many.predict_cluster_index(once[1])))
    assert found[0] == found[1]


def test_an_input_function_outlives_its_client(cluster: Any, points: NDArray[Any]) -> None:
    import distributed

    input_fn = numpy_input_fn(
        da.from_array(points, chunks=(500, 4)), batch_size=300, num_epochs=1, shuffle=True
    )
    kmeans = centroids.KMeansClustering(7, initial_clusters=points[:7])
    for _ in range(2):
        with distributed.Client(cluster):
            kmeans.train(input_fn, steps=2)
    plain = numpy_input_fn(points, batch_size=300, num_epochs=1, shuffle=True)
    alone = centroids.KMeansClustering(7, initial_clusters=points[:7])
    assert_equal(alone.train(plain, steps=2).train(plain, steps=2), kmeans)


def test_bad_rows_cannot_be_left_out_here(points: NDArray[Any]) -> None:
    spread: Any = da.from_array(points, chunks=(500, 4))
    with pytest.raises(TypeError, match=r"bad_rows='drop' is not for collections.*dropna"):
        numpy_input_fn(spread, shuffle=True, bad_rows="drop")
    for given in (spread, (spread, None)):
        with pytest.raises(TypeError, match=r"bad_rows='drop' is not for collections.*dropna"):
            limit_epochs(given, bad_rows="drop")


def test_labels_of_another_length_are_named(client: Any, points: NDArray[Any]) -> None:
    input_fn = numpy_input_fn(
        da.from_array(points, chunks=(500, 4)), np.zeros(3), batch_size=300, shuffle=False
    )
    with pytest.raises(ValueError, match=r"the same number of rows, got {'x': 1000, 'y': 3}"):
        centroids.KMeansClustering(7, initial_clusters=points[:7]).train(input_fn)
