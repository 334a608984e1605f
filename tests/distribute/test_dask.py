"""Points in dask collections: equal to the bit to those of one process."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import centroids

pytest.importorskip("dask.array")
pytestmark = pytest.mark.timeout(120)


def array(points: Any, split: tuple[int, ...]) -> Any:
    import dask.array

    return dask.array.from_array(points, chunks=(split, (points.shape[1],)))


def train(points: Any, steps: int = 4, **arguments: Any) -> centroids.KMeansClustering:
    arguments = {"initial_clusters": np.eye(7, 4) * 1000 + 1000, **arguments}
    kmeans = centroids.KMeansClustering(7, use_mini_batch=False, **arguments)
    return kmeans.train(lambda: points, steps=steps)


def assert_equal(one: centroids.KMeansClustering, other: centroids.KMeansClustering) -> None:
    names = sorted(one.get_variable_names())
    assert names == sorted(other.get_variable_names())
    for name in names:
        np.testing.assert_array_equal(
            one.get_variable_value(name), other.get_variable_value(name), name, strict=True
        )


@pytest.mark.parametrize("metric", ["squared_euclidean", "cosine"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int16"])
def test_full_batches(
    client: Any, points: NDArray[Any], split: tuple[int, ...], metric: str, dtype: str
) -> None:
    points = (points % 30_000).astype(dtype)
    alone = train(points, distance_metric=metric)
    assert_equal(alone, train(array(points, split), distance_metric=metric))


def test_predictions_as_a_lazy_collection(
    client: Any, points: NDArray[Any], split: tuple[int, ...]
) -> None:
    kmeans = train(points)
    spread = array(points, split)
    index = kmeans.predict_cluster_index(lambda: spread).collection
    distances = kmeans.transform(lambda: (spread, None)).collection
    assert (index.shape, index.dtype) == ((1000,), np.int32)
    assert (distances.shape, distances.dtype) == ((1000, 7), np.float32)
    assert index.chunks == (split,)
    once = lambda: centroids.inputs.limit_epochs(points)  # noqa: E731
    np.testing.assert_array_equal(index.compute(), list(kmeans.predict_cluster_index(once)))
    np.testing.assert_array_equal(distances.compute(), list(kmeans.transform(once)))
    both = kmeans.predict(lambda: spread).collection
    assert sorted(both) == ["all_distances", "cluster_index"]


def test_predictions_row_by_row(client: Any, points: NDArray[Any]) -> None:
    kmeans, spread = train(points), array(points, (300, 0, 700))
    rows = {
        name: list(kmeans.predict_cluster_index(lambda p=p: centroids.inputs.limit_epochs(p)))
        for name, p in (("alone", points), ("spread", spread))
    }
    assert rows["alone"] == rows["spread"]


def test_evaluation_and_score(client: Any, points: NDArray[Any], split: tuple[int, ...]) -> None:
    kmeans, spread = train(points), array(points, split)
    assert kmeans.score(lambda: spread) == kmeans.score(lambda: points)
    assert kmeans.evaluate(lambda: spread, steps=1) == kmeans.evaluate(lambda: points, steps=1)


def test_data_frames(client: Any, points: NDArray[Any]) -> None:
    import dask.dataframe
    import pandas

    frame = pandas.DataFrame(points, columns=list("dbca"), index=np.arange(1000) * 3)
    spread = dask.dataframe.from_pandas(frame, npartitions=3, sort=False)
    kmeans = train(spread)
    assert_equal(kmeans, train(frame))
    index = kmeans.predict_cluster_index(lambda: spread).collection
    assert isinstance(index, dask.dataframe.Series)
    expected = [
        int(i)
        for i in train(points).predict_cluster_index(lambda: centroids.inputs.limit_epochs(points))
    ]
    pandas.testing.assert_series_equal(
        index.compute(), pandas.Series(expected, frame.index, np.int32, "cluster_index")
    )
    distances = kmeans.transform(lambda: spread).collection.compute()
    assert distances.shape == (1000, 7) and distances.index.equals(frame.index)
    with pytest.raises(ValueError, match="the columns"):
        kmeans.train(lambda: spread[list("abcd")], steps=1)


def test_points_are_loaded_once_and_do_not_move(
    client: Any, points: NDArray[Any], tmp_path: Any
) -> None:
    import dask
    import dask.array as da

    def load(number: int) -> NDArray[Any]:
        (tmp_path / f"{number}-{np.random.default_rng().integers(1 << 60)}").touch()
        return points[number * 250 : number * 250 + 250]

    blocks = [da.from_delayed(dask.delayed(load)(i), (250, 4), np.float32) for i in range(4)]
    spread = da.concatenate(blocks)
    assert_equal(train(spread, steps=5), train(points, steps=5))
    assert len(list(tmp_path.iterdir())) == 4


def test_without_a_client_the_collection_is_computed_once(points: NDArray[Any]) -> None:
    import dask
    import dask.array as da

    loaded: list[int] = []

    def load(number: int) -> NDArray[Any]:
        loaded.append(number)
        return points[number * 250 : number * 250 + 250]

    blocks = [da.from_delayed(dask.delayed(load)(i), (250, 4), np.float32) for i in range(4)]
    assert_equal(train(da.concatenate(blocks), steps=3), train(points, steps=3))
    assert sorted(loaded) == [0, 1, 2, 3]


def test_mini_batches(client: Any, points: NDArray[Any], split: tuple[int, ...]) -> None:
    def fit(x: Any, **arguments: Any) -> centroids.KMeansClustering:
        kmeans = centroids.KMeansClustering(
            7, initial_clusters=np.eye(7, 4) * 1000 + 1000, **arguments
        )
        input_fn = centroids.inputs.numpy_input_fn(x, batch_size=150, num_epochs=2, shuffle=True)
        return kmeans.train(input_fn, steps=5).train(input_fn)

    for more in ({}, {"mini_batch_steps_per_iteration": 3}):
        assert_equal(fit(points, **more), fit(array(points, split), **more))


def test_resuming_with_another_engine(points: NDArray[Any], client: Any, tmp_path: Any) -> None:
    def fit(x: Any, steps: int) -> centroids.KMeansClustering:
        return centroids.KMeansClustering(
            7, tmp_path, initial_clusters=np.eye(7, 4) * 1000 + 1000, use_mini_batch=False
        ).train(lambda: x, max_steps=steps)

    fit(array(points, (1000,)), 2)
    fit(points, 3)
    assert_equal(fit(array(points, (200, 700, 100)), 6), train(points, steps=6))


@pytest.mark.parametrize(
    "method", ["random", "kmeans_plus_plus", "kmeans_parallel", "kmeans_rejection"]
)
@pytest.mark.parametrize("metric", ["squared_euclidean", "cosine"])
@pytest.mark.parametrize("use_mini_batch", [True, False])
def test_initial_centers(
    client: Any,
    points: NDArray[Any],
    split: tuple[int, ...],
    method: str,
    metric: str,
    use_mini_batch: bool,
) -> None:
    def fit(x: Any) -> centroids.KMeansClustering:
        return centroids.KMeansClustering(
            9,
            initial_clusters=method,
            distance_metric=metric,
            use_mini_batch=use_mini_batch,
            random_seed=3,
        ).train(lambda: x, steps=1)

    assert_equal(fit(points), fit(array(points, split)))


@pytest.mark.parametrize(
    "method", ["random", "kmeans_plus_plus", "kmeans_parallel", "kmeans_rejection"]
)
@pytest.mark.parametrize("use_mini_batch", [True, False])
def test_too_few_points_are_told_in_the_same_words(
    client: Any, points: NDArray[Any], method: Any, use_mini_batch: bool
) -> None:
    told = []
    for batch in (points[:20], array(points[:20], (13, 7))):
        kmeans = centroids.KMeansClustering(
            30, initial_clusters=method, use_mini_batch=use_mini_batch
        )
        with pytest.raises(ValueError, match=r"num_clusters=30.*\b20\b") as caught:
            kmeans.train(lambda batch=batch: batch, steps=1)
        told.append(str(caught.value))
    assert told[0] == told[1]


@pytest.mark.parametrize("method", ["random", "kmeans_plus_plus"])
def test_initial_centers_of_mini_batches(client: Any, points: NDArray[Any], method: str) -> None:
    def fit(x: Any) -> centroids.KMeansClustering:
        input_fn = centroids.inputs.numpy_input_fn(x, batch_size=90, shuffle=True)
        return centroids.KMeansClustering(50, initial_clusters=method).train(input_fn)

    assert_equal(fit(points), fit(array(points, (300, 0, 700))))


def test_a_callable_that_chooses(client: Any, points: NDArray[Any]) -> None:
    def fit(x: Any) -> centroids.KMeansClustering:
        return train(x, initial_clusters=lambda inputs, k: inputs[5 : 5 + k])

    assert_equal(fit(points), fit(array(points, (3, 497, 500))))


def test_a_parquet_folder_is_streamed_by_the_workers(
    client: Any, points: NDArray[Any], tmp_path: Any, caplog: Any
) -> None:
    import pandas

    frame = pandas.DataFrame(points, columns=list("dbca"))
    for number, part in enumerate((frame[:300], frame[300:301], frame[301:])):
        part.to_parquet(tmp_path / f"{number}.parquet", row_group_size=200)
    folder = centroids.distribute.ParquetFolder(tmp_path)
    config = centroids.RunConfig(train_distribute=centroids.distribute.Dask(client))
    assert_equal(train(folder, config=config), train(frame))
    assert_equal(train(folder), train(frame))
    some = lambda inputs, k: np.asarray(inputs[::140])[:k]  # noqa: E731
    assert_equal(train(folder, initial_clusters=some), train(points, initial_clusters=some))
    with pytest.raises(ValueError, match="cannot be chosen from files that are streamed"):
        train(folder, initial_clusters="random")
    with pytest.raises(FileNotFoundError, match="no Parquet file at"):
        train(centroids.distribute.ParquetFolder(tmp_path / "none"))


@pytest.mark.parametrize("where", ["cluster", "here"])
def test_predictions_for_a_parquet_folder(
    points: NDArray[Any], tmp_path: Any, where: str, request: pytest.FixtureRequest
) -> None:
    """Data frames and series of dask, row by row those of the files."""
    import dask.dataframe
    import pandas

    if where == "cluster":
        request.getfixturevalue("client")
    frame = pandas.DataFrame(points, columns=list("dbca"))
    for number, part in enumerate((frame[:300], frame[300:301], frame[301:])):
        part.to_parquet(tmp_path / f"{number}.parquet", row_group_size=200)
    folder = centroids.distribute.ParquetFolder(tmp_path)
    kmeans = train(frame)
    index = kmeans.predict_cluster_index(lambda: folder).collection
    assert isinstance(index, dask.dataframe.Series)
    once = lambda: centroids.inputs.limit_epochs(frame)  # noqa: E731
    expected = np.array(list(kmeans.predict_cluster_index(once)), np.int32)
    pandas.testing.assert_series_equal(
        index.compute(), pandas.Series(expected, name="cluster_index")
    )
    distances = kmeans.transform(lambda: folder).collection.compute()
    np.testing.assert_array_equal(distances.to_numpy(), list(kmeans.transform(once)))
    frame.loc[500, "c"] = np.nan
    frame[301:].to_parquet(tmp_path / "2.parquet", row_group_size=200)
    message = r"got nan in partition 3, row 199 \(row 500 of all\), column 2 \('c'\)"
    with pytest.raises(ValueError, match=message):
        kmeans.predict_cluster_index(lambda: folder).collection.compute()


def test_a_collection_of_predictions_loads_nothing_until_it_is_computed(
    points: NDArray[Any], tmp_path: Any
) -> None:
    import dask
    import dask.array as da
    import dask.dataframe

    def load(number: int) -> NDArray[Any]:
        (tmp_path / str(number)).touch()
        return points[number * 500 : number * 500 + 500]

    kmeans = train(points)
    blocks = [da.from_delayed(dask.delayed(load)(i), (500, 4), np.float32) for i in range(2)]
    whole = da.concatenate(blocks)
    frame = dask.dataframe.from_dask_array(whole, columns=list("abcd"))
    for spread, kind in ((whole, da.Array), (frame, dask.dataframe.DataFrame)):
        both = kmeans.predict(lambda spread=spread: spread).collection
        assert isinstance(both["all_distances"], kind)
        assert not list(tmp_path.iterdir())
    assert len(both["cluster_index"].compute()) == 1000
    assert len(list(tmp_path.iterdir())) == 2


def test_sparse_partitions(client: Any) -> None:
    import dask
    import dask.array as da
    import scipy.sparse

    rows = scipy.sparse.random_array((300, 40), density=0.1, format="csr", rng=1)
    blocks = [
        da.from_delayed(dask.delayed(part), part.shape, meta=rows[:0])
        for part in (rows[:100], rows[100:101], rows[101:])
    ]
    spread = da.concatenate(blocks)
    initial = rows[:7].toarray()
    for metric in ("squared_euclidean", "cosine"):
        for start in (initial, "kmeans_plus_plus", "kmeans_rejection"):
            alone, many = (
                train(x, initial_clusters=start, distance_metric=metric) for x in (rows, spread)
            )
            assert_equal(alone, many)
        assert many.score(lambda: spread) == alone.score(lambda: rows)
        once = lambda: centroids.inputs.limit_epochs(rows)  # noqa: E731
        index = many.predict_cluster_index(lambda: spread).collection
        np.testing.assert_array_equal(index.compute(), list(alone.predict_cluster_index(once)))
        distances = many.transform(lambda: spread).collection
        np.testing.assert_array_equal(distances.compute(), list(alone.transform(once)))


def test_a_dict_of_collections_is_refused(client: Any, points: NDArray[Any]) -> None:
    spread = array(points, (1000,))
    with pytest.raises(TypeError, match=r"features\['a'\] is a dask.array.core.Array: return one"):
        train({"a": spread, "b": spread})


def test_arrays_have_no_collection_of_predictions(points: NDArray[Any]) -> None:
    predictions = train(points).predict_cluster_index(lambda: points)
    with pytest.raises(TypeError, match="where input_fn returns a collection"):
        _ = predictions.collection
