"""Weights of rows: a row of weight 2 counts as the row twice, one of weight 0 as none."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import centroids
from centroids import KMeansClustering, RunConfig
from centroids.inputs import csv_input_fn, limit_epochs, numpy_input_fn, parquet_input_fn
from tests.tensorboard_reader import accumulate, curve

pandas = pytest.importorskip("pandas")
polars = pytest.importorskip("polars")
arrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

RANDOM = np.random.default_rng(3)
POINTS = RANDOM.normal(size=(60, 3))
TIMES = RANDOM.integers(0, 4, 60)
REPEATED = np.repeat(POINTS, TIMES, axis=0)
START = POINTS[TIMES > 0][:4]
MODES: list[dict[str, Any]] = [
    {"use_mini_batch": False},
    {"use_mini_batch": True},
    {"use_mini_batch": True, "mini_batch_steps_per_iteration": 2},
]


def weighted(weights: Any = TIMES) -> dict[str, Any]:
    return {"x": POINTS, "n": weights}


def batches(batch: Any, count: int = 4) -> Callable[[], Any]:
    return lambda: iter([batch] * count)


def make(tmp_path: Path, name: str = "model", **arguments: Any) -> KMeansClustering:
    given = {"initial_clusters": START, "weight_column": "n", **arguments}
    return KMeansClustering(4, str(tmp_path / name), **given)


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("metric", ["squared_euclidean", "cosine"])
@pytest.mark.parametrize("initial", ["random", "kmeans_plus_plus", "given"])
def test_whole_weights_are_rows_repeated(
    mode: dict[str, Any], metric: str, initial: str, tmp_path: Path
) -> None:
    arguments: dict[str, Any] = {**mode, "distance_metric": metric}
    if initial != "given":
        arguments["initial_clusters"] = initial
    ours = make(tmp_path, "weighted", **arguments).train(batches(weighted()))
    theirs = make(tmp_path, "repeated", **arguments, weight_column=None).train(batches(REPEATED))
    np.testing.assert_array_equal(ours.cluster_centers(), theirs.cluster_centers())
    counts = ours.get_variable_value("cluster_counts")
    assert counts.dtype == np.float64
    assert counts.tolist() == theirs.get_variable_value("cluster_counts").tolist()
    measured, expected = (
        ours.evaluate(batches(weighted(), 1)),
        theirs.evaluate(batches(REPEATED, 1)),
    )
    for name in ("loss", "score", "mean_distance", "global_step"):
        assert measured[name] == expected[name]
    assert (measured["num_examples"], expected["num_examples"]) == (60, len(REPEATED))
    assert measured["total_weight"] == len(REPEATED)
    assert "total_weight" not in expected
    assert ours.score(batches(weighted(), 1)) == theirs.score(batches(REPEATED, 1))


def test_weights_of_one_change_no_bit(tmp_path: Path) -> None:
    ours = make(tmp_path, "weighted").train(batches(weighted(np.ones(60))))
    theirs = make(tmp_path, "plain", weight_column=None).train(batches(POINTS))
    np.testing.assert_array_equal(ours.cluster_centers(), theirs.cluster_centers())
    assert theirs.get_variable_value("cluster_counts").dtype == np.int64


def test_a_step_is_that_of_exact_arithmetic(tmp_path: Path) -> None:
    weights = np.random.default_rng(5).exponential(size=60)
    kmeans = make(tmp_path, use_mini_batch=False).train(batches(weighted(weights), 1))
    before = np.square(POINTS[:, None] - START).sum(axis=2)
    labels = before.argmin(axis=1)
    for cluster, center in enumerate(kmeans.cluster_centers()):
        mine = labels == cluster
        total = math.fsum(weights[mine])
        assert kmeans.get_variable_value("cluster_counts")[cluster] == total
        for column in range(3):
            mean = math.fsum(weights[mine] * POINTS[mine, column]) / total
            assert center[column] == pytest.approx(mean, rel=1e-14)
    after = np.square(POINTS[:, None] - kmeans.cluster_centers()).sum(axis=2).min(axis=1)
    measured = kmeans.evaluate(batches(weighted(weights), 3))
    assert measured["total_weight"] == pytest.approx(3 * math.fsum(weights), rel=1e-15)
    mean = math.fsum(weights * after) / math.fsum(weights)
    assert measured["mean_distance"] == pytest.approx(mean, rel=1e-12)
    assert measured["loss"] == pytest.approx(math.fsum(weights * after), rel=1e-12)


def test_predictions_pass_over_weights(tmp_path: Path) -> None:
    kmeans = make(tmp_path).train(batches(weighted()))
    nearest = np.square(POINTS[:, None] - kmeans.cluster_centers()).sum(axis=2).argmin(axis=1)
    useless = np.where(TIMES == 2, np.nan, -TIMES)
    frame = pandas.DataFrame(POINTS, columns=list("abc")).assign(n=useless)
    for batch in (weighted(), {"x": POINTS}, POINTS, weighted(useless), frame):
        assert list(kmeans.predict_cluster_index(batches(batch, 1))) == nearest.tolist()
        once = limit_epochs(batch, bad_rows="drop")
        assert list(kmeans.predict_cluster_index(lambda once=once: once)) == nearest.tolist()


def frame(dtype: Any = np.float64) -> Any:
    table = pandas.DataFrame(POINTS.astype(dtype), columns=["b", "c", "a"])
    table.insert(1, "n", TIMES)
    return table


def frame_in_csv(folder: Path) -> Any:
    frame().to_csv(folder / "points.csv", index=False)
    return csv_input_fn(folder / "points.csv", batch_size=60)


def frame_in_parquet(folder: Path) -> Any:
    frame().to_parquet(folder / "points.parquet")
    return parquet_input_fn(folder / "points.parquet", batch_size=60)


def lists_in_parquet(folder: Path) -> Any:
    vectors = arrow.array(POINTS.tolist(), arrow.list_(arrow.float64(), 3))
    table = arrow.table({"n": TIMES, "vector": vectors})
    parquet.write_table(table, folder / "points.parquet")
    return parquet_input_fn(folder / "points.parquet", batch_size=60)


SOURCES: dict[str, Callable[[Path], Callable[[], Any]]] = {
    "dict": lambda _: batches(weighted(), 1),
    "column [n, 1]": lambda _: batches(weighted(TIMES[:, None]), 1),
    "pandas": lambda _: batches(frame(), 1),
    "polars": lambda _: batches(polars.from_pandas(frame()), 1),
    "Arrow": lambda _: batches(arrow.Table.from_pandas(frame()), 1),
    "limit_epochs": lambda _: lambda: limit_epochs(frame()),
    "numpy_input_fn": lambda _: numpy_input_fn(weighted(), batch_size=60, shuffle=False),
    "with labels": lambda _: batches((weighted(), np.zeros(60)), 1),
    "streams": lambda _: lambda: (iter([weighted()]), iter([np.zeros(60)])),
    "csv": frame_in_csv,
    "parquet": frame_in_parquet,
    "parquet of lists": lists_in_parquet,
}


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_has_weights(source: str, tmp_path: Path) -> None:
    kmeans = make(tmp_path, use_mini_batch=False).train(SOURCES[source](tmp_path))
    whole = make(tmp_path, "repeated", use_mini_batch=False, weight_column=None)
    whole.train(batches(REPEATED, 1))
    np.testing.assert_array_equal(kmeans.cluster_centers(), whole.cluster_centers())


@pytest.mark.parametrize("kind", ["pandas", "limit_epochs", "parquet"])
def test_the_type_of_the_weights_is_not_that_of_the_points(kind: str, tmp_path: Path) -> None:
    table = frame(np.float32)
    input_fn: Callable[[], Any] = batches(table, 1)
    if kind == "limit_epochs":
        input_fn = lambda: limit_epochs(table)  # noqa: E731
    if kind == "parquet":
        table.to_parquet(tmp_path / "points.parquet")
        input_fn = parquet_input_fn(tmp_path / "points.parquet")
    assert make(tmp_path).train(input_fn).cluster_centers().dtype == np.float32


def test_the_order_of_columns_is_that_without_the_weights(tmp_path: Path) -> None:
    kmeans = make(tmp_path).train(batches(frame(), 1))
    with pytest.raises(ValueError, match="column 0 is 'a', but was 'b'"):
        kmeans.evaluate(batches(frame()[["n", "a", "b", "c"]], 1))


BAD = {-1.0: "got -1.0", np.nan: "got nan", np.inf: "got inf"}


@pytest.mark.parametrize("weight", BAD)
def test_a_bad_weight_is_a_bad_row(weight: float, tmp_path: Path) -> None:
    weights = TIMES.astype(np.float64)
    weights[7] = weight
    table = frame().assign(n=weights)
    table.to_csv(tmp_path / "points.csv", index=False, na_rep="nan")
    table.to_parquet(tmp_path / "points.parquet")
    places: dict[str, Callable[[], Any]] = {
        "batch 0, row 7": batches(weighted(weights), 1),
        "x, row 7, column 0 of 'n'": lambda: limit_epochs(weighted(weights)),
        "points.csv, line 9, column 'n'": csv_input_fn(tmp_path / "points.csv", 60),
        "points.parquet, row 7, column 'n'": parquet_input_fn(tmp_path / "points.parquet", 60),
    }
    for place, input_fn in places.items():
        with pytest.raises(ValueError, match=rf"weights in 'n' .* {BAD[weight]} in .*{place}"):
            make(tmp_path).train(input_fn)
    kept = make(tmp_path, "kept").train(
        batches({"x": np.delete(POINTS, 7, 0), "n": np.delete(weights, 7)}, 1)
    )
    readers: dict[str, Callable[..., Any]] = {"csv": csv_input_fn, "parquet": parquet_input_fn}
    for name, read in readers.items():
        dropped = make(tmp_path, name).train(read(tmp_path / f"points.{name}", 60, bad_rows="drop"))
        np.testing.assert_array_equal(dropped.cluster_centers(), kept.cluster_centers())


def test_a_bad_value_is_named_by_its_own_column(tmp_path: Path) -> None:
    table = frame()
    table.loc[4, "c"] = np.nan
    table.to_csv(tmp_path / "points.csv", index=False, na_rep="nan")
    with pytest.raises(ValueError, match=r"points\.csv, line 6, column 'c'"):
        make(tmp_path).train(csv_input_fn(tmp_path / "points.csv", 60))


MISTAKES: dict[str, tuple[Any, str]] = {
    "missing": ({"x": POINTS}, "weight_column is 'n', but the batch has the columns 'x'"),
    "no names": (POINTS, "weight_column is 'n', but the batch has no names"),
    "alone": ({"n": TIMES}, "the batch has no other column"),
    "two": (weighted(POINTS[:, :2]), "one number per row, got 2 columns"),
    "short": (weighted(TIMES[:9]), "have 9 rows, the other columns have 60"),
    "complex": (weighted(TIMES + 1j), "must be real numbers"),
    "text": (weighted(np.array(["1"] * 60)), r"features\['n'\] must hold numbers"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name: str, tmp_path: Path) -> None:
    batch, message = MISTAKES[name]
    with pytest.raises((TypeError, ValueError), match=f"batch 0: .*{message}"):
        make(tmp_path).train(batches(batch, 1))


@pytest.mark.parametrize("value", [3, "", b"n"])
def test_the_argument_is_a_name(value: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="weight_column must be the name of a column, or None"):
        make(tmp_path, weight_column=value)


def test_an_interrupted_run_ends_with_the_bits_of_another(tmp_path: Path) -> None:
    weights = np.random.default_rng(1).exponential(size=60)
    feed = numpy_input_fn(weighted(weights), batch_size=7, num_epochs=2, shuffle=True)
    for number, mode in enumerate(MODES[1:]):
        whole = make(tmp_path, f"whole {number}", **mode).train(feed)
        for _ in range(3):
            parts = make(tmp_path, f"parts {number}", **mode).train(feed, steps=6)
        assert parts.get_variable_value("global_step") == whole.get_variable_value("global_step")
        for name in ("clusters", "cluster_counts", "clusters_updated"):
            np.testing.assert_array_equal(
                parts.get_variable_value(name), whole.get_variable_value(name)
            )


def test_a_model_may_begin_and_end_to_be_weighted(tmp_path: Path) -> None:
    make(tmp_path, weight_column=None).train(batches({"x": POINTS}, 1))
    first = make(tmp_path).train(batches(weighted(), 1))
    assert first.get_variable_value("cluster_counts").sum() == 4 + 60 + TIMES.sum()
    last = make(tmp_path, weight_column=None).train(batches({"x": POINTS}, 1))
    assert last.get_variable_value("cluster_counts").sum() == 4 + 120 + TIMES.sum()


def test_a_warm_start_takes_sums_of_weights_as_they_are(tmp_path: Path) -> None:
    weights = np.full(60, 0.75)
    make(tmp_path, "old").train(batches(weighted(weights), 1))
    settings = centroids.WarmStartSettings(str(tmp_path / "old"), ["clusters", "cluster_counts"])
    for name, column in {"weighted": "n", "plain": None}.items():
        new = make(tmp_path, name, weight_column=column, warm_start_from=settings)
        new.train(batches(weighted(weights) if column else {"x": POINTS}, 1))
        added = 45 if column else 60
        assert new.get_variable_value("cluster_counts").sum() == 4 + 45 + added


def test_summaries_are_by_weight(tmp_path: Path) -> None:
    config = RunConfig(save_summary_steps=1)
    make(tmp_path, use_mini_batch=False, config=config).train(batches(weighted(), 1))
    curves = accumulate(tmp_path / "model")
    expected = np.square(REPEATED[:, None] - START).sum(axis=2).min(axis=1)
    assert curve(curves, "rows/total_weight") == [(1, len(REPEATED))]
    assert curve(curves, "loss/mean_distance")[0][1] == pytest.approx(expected.mean(), rel=1e-6)


def test_a_model_without_any_weight_says_so(tmp_path: Path) -> None:
    nothing = weighted(np.zeros(60))
    with pytest.raises(ValueError, match="only 0 points"):
        make(tmp_path, initial_clusters="random").train(batches(nothing, 1))
    kmeans = make(tmp_path, "given").train(batches(nothing, 1))
    np.testing.assert_array_equal(kmeans.cluster_centers(), START)
    assert math.isnan(kmeans.evaluate(batches(nothing, 1))["mean_distance"])


def test_exports_need_no_weights(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    features = {"a": POINTS[:, 0], **weighted()}
    kmeans = make(tmp_path, initial_clusters="random").train(batches(features))
    path = kmeans.export_onnx(tmp_path / "model.onnx", columns=features)
    names = {each.key: each.value for each in onnx.load(path).metadata_props}["columns"]
    assert names == '["a", "x_0", "x_1", "x_2"]'
    receive = centroids.export.build_raw_serving_input_receiver_fn(features)
    assert kmeans.export_savedmodel(str(tmp_path / "served"), receive)


def test_a_model_of_tensorflow_goes_on_with_weights(tmp_path: Path) -> None:
    data = Path(__file__).parents[1] / "export" / "data"
    folder, points = tmp_path / "model", np.load(data / "points.npy")
    shutil.copytree(data / "mini_batch", folder, ignore=shutil.ignore_patterns("*.npz"))
    before = KMeansClustering(4, str(folder)).get_variable_value("cluster_counts")
    assert before.dtype == np.int64
    batch = {"x": points, "n": np.full(len(points), 0.75)}
    kmeans = make(tmp_path).train(batches(batch, 1))
    counts = kmeans.get_variable_value("cluster_counts")
    assert counts.sum() == before.sum() + 0.75 * len(points)
