"""A bad value that is found when a lazy collection of predictions is computed has its place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from centroids import KMeansClustering
from tests.distribute.test_dask import array, train

pytest.importorskip("dask.array")
pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def bad(points: NDArray[Any]) -> NDArray[Any]:
    bad = points.copy()
    bad[723, 2] = bad[990, 0] = np.nan
    return bad


def compute(kmeans: KMeansClustering, points: Any) -> None:
    kmeans.predict_cluster_index(lambda: points).collection.compute()


@pytest.mark.parametrize("where", ["cluster", "here"])
def test_of_an_array(points: NDArray[Any], bad: NDArray[Any], where: str, request: Any) -> None:
    if where == "cluster":
        request.getfixturevalue("client")
    place = r"got nan in partition 1, row 123 \(row 723 of all\), column 2; remove"
    with pytest.raises(ValueError, match=place):
        compute(train(points), array(bad[:900], (600, 300)))
    with pytest.raises(ValueError, match=r"partition 0, row 723 \(row 723 of all\), column 2; "):
        train(points).transform(lambda: array(bad[:900], (800, 100))).collection.compute()


def test_of_an_array_whose_chunks_have_unknown_sizes(
    points: NDArray[Any], bad: NDArray[Any]
) -> None:
    import dask
    import dask.array as da

    blocks = [
        da.from_delayed(dask.delayed(part), (np.nan, 4), np.float32)
        for part in np.split(bad, [600])
    ]
    spread = da.concatenate(blocks, allow_unknown_chunksizes=True)
    with pytest.raises(ValueError, match="got nan in partition 1, row 123 of it, column 2; remove"):
        compute(train(points), spread)


@pytest.mark.parametrize("weights", [None, "n"])
def test_of_a_data_frame(points: NDArray[Any], bad: NDArray[Any], weights: str | None) -> None:
    import dask.dataframe
    import pandas

    frames = []
    for rows in (points, bad[:900]):
        frame = pandas.DataFrame(rows, columns=list("dbca"))
        if weights:
            frame.insert(1, weights, 1.0)
        frames.append(frame)
    kmeans = train(frames[0], weight_column=weights)
    spread = dask.dataframe.from_pandas(frames[1], npartitions=2)
    with pytest.raises(
        ValueError, match=r"got nan in partition 1, row 273 of it, column 2 \('c'\); remove"
    ):
        compute(kmeans, spread)
    spread = dask.dataframe.from_pandas(frames[1], npartitions=1)
    with pytest.raises(ValueError, match=r"partition 0, row 723 \(row 723 of all\), column 2 "):
        compute(kmeans, spread)
