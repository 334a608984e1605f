"""A model does not depend on the floating-point mode that another library has set."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import centroids
from centroids import KMeansClustering, inputs
from centroids.estimator import Batch, Estimator, EstimatorSpec, Mean, Ratio, SessionRunHook

# fegetenv and fesetenv of the C library; MXCSR is the last word of glibc's structure on x86-64.
LIBM = ctypes.CDLL(None)
pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64" or platform.libc_ver()[0] != "glibc",
    reason="the mode is set by way of glibc on x86-64",
)
# No subnormal numbers; rounding up, down and towards zero.
MODES = [0x9FC0, 0x5F80, 0x3F80, 0x7F80]
POINTS = np.random.default_rng(0).normal(size=(300, 4))


def current_mode() -> int:
    environment = (ctypes.c_uint32 * 8)()
    LIBM.fegetenv(environment)
    return environment[7] & 0xFFC0


@contextmanager
def mode(bits: int) -> Iterator[None]:
    before, changed = (ctypes.c_uint32 * 8)(), (ctypes.c_uint32 * 8)()
    LIBM.fegetenv(before)
    LIBM.fegetenv(changed)
    changed[7] = bits
    LIBM.fesetenv(changed)
    try:
        yield
        assert current_mode() == bits, "the mode of the caller was not kept"
    finally:
        LIBM.fesetenv(before)


def bits_of(results: Any) -> Any:
    if isinstance(results, dict):
        return {key: bits_of(value) for key, value in results.items()}
    return np.asarray(results).tobytes()


def results_of_model(points: Any, **arguments: Any) -> Any:
    def batches() -> Any:
        return inputs.numpy_input_fn(points, batch_size=100, shuffle=True, seed=1)()

    kmeans = KMeansClustering(5, random_seed=3, **arguments)
    kmeans.train(batches, max_steps=3)
    distances = list(kmeans.transform(batches))
    index = list(kmeans.predict_cluster_index(batches))
    score = kmeans.score(batches)
    found = [kmeans.cluster_centers(), kmeans.evaluate(batches), score, distances, index]
    return [bits_of(part) for part in found]


@pytest.mark.parametrize("bits", MODES)
@pytest.mark.parametrize("initial", ["random", "kmeans_plus_plus"])
@pytest.mark.parametrize("metric", ["squared_euclidean", "cosine"])
@pytest.mark.parametrize(
    "points",
    [
        pytest.param(POINTS, id="float64"),
        pytest.param(POINTS * 1e-310, id="subnormal float64"),
        pytest.param((POINTS * 1e-40).astype(np.float32), id="subnormal float32"),
        pytest.param((POINTS * 1e-6).astype(np.float16), id="float16"),
        pytest.param({"a": POINTS, "b": np.arange(300) + 2**60}, id="mixed types"),
    ],
)
def test_models_do_not_depend_on_the_mode(
    points: Any, metric: str, initial: str, bits: int
) -> None:
    arguments = {"distance_metric": metric, "initial_clusters": initial}
    expected = results_of_model(points, **arguments)
    with mode(bits):
        found = results_of_model(points, **arguments)
    assert found == expected


@pytest.mark.parametrize("bits", MODES)
def test_given_centers_and_full_batches_do_not_depend_on_the_mode(bits: int) -> None:
    points = POINTS.astype(np.float32)

    def results() -> Any:
        kmeans = KMeansClustering(
            5, initial_clusters=POINTS[:5], use_mini_batch=False, relative_tolerance=1e-9
        )
        kmeans.train(lambda: inputs.limit_epochs(points, 20))
        steps = kmeans.get_variable_value("global_step")
        return bits_of(kmeans.cluster_centers()), bits_of(steps)

    expected = results()
    with mode(bits):
        assert results() == expected


@pytest.mark.parametrize("bits", MODES)
@pytest.mark.parametrize(
    ("delimiter", "decimal", "dtype"),
    [(",", ".", None), (",", ".", "float32"), (";", ",", None), (",", ",", None)],
)
def test_numbers_of_files_are_read_alike(
    tmp_path: Path, delimiter: str, decimal: str, dtype: str | None, bits: int
) -> None:
    rows = [[repr(float(value)) for value in row] for row in POINTS]
    rows[0][0] = "4.9e-320"
    quoted = [[f'"{field.replace(".", decimal)}"' for field in row] for row in rows]
    file = tmp_path / "points.csv"
    file.write_text("".join(delimiter.join(row) + "\n" for row in quoted))
    # The digits of repr are those of one float64; Python reads them here in the usual mode.
    expected = np.array(rows, np.float64).astype(dtype or np.float64)
    with mode(bits):
        input_fn = inputs.csv_input_fn(
            file, delimiter=delimiter, decimal=decimal, dtype=dtype, header=False
        )
        found = np.concatenate(list(input_fn()))
    assert found.dtype == expected.dtype
    assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("bits", MODES)
def test_code_of_others_runs_in_the_mode_of_the_caller(bits: int, tmp_path: Path) -> None:
    seen: dict[str, int] = {}

    class Hook(SessionRunHook):
        def begin(self) -> None:
            seen["begin"] = current_mode()

        def after_run(self, run_context: Any, run_values: Any) -> None:
            seen["after_run"] = current_mode()

        def end(self, session: Any) -> None:
            seen["end"] = current_mode()

    def generator() -> Iterator[Any]:
        for start in range(0, 300, 100):
            seen["generator"] = current_mode()
            yield POINTS[start : start + 100]

    def choose(points: Any, count: int) -> Any:
        seen["initial_clusters"] = current_mode()
        return points[:count]

    def loss(batch: Batch) -> float:
        seen["loss"] = current_mode()
        return float(batch.features[0, 0])

    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        seen["model_fn"] = current_mode()

        def train(batch: Batch) -> None:
            seen["train_op"] = current_mode()

        metrics = {"ratio": Ratio(loss, loss), "mean": Mean(loss)}
        return EstimatorSpec(mode, loss=loss, train_op=train, eval_metric_ops=metrics)

    names = ["generator", "initial_clusters", "begin", "after_run", "end"]
    with mode(bits):
        kmeans = KMeansClustering(3, initial_clusters=choose).train(generator, hooks=[Hook()])
        assert seen == dict.fromkeys(names, bits)
        for _ in kmeans.predict(generator):
            assert current_mode() == bits
        for _ in inputs.numpy_input_fn(POINTS, shuffle=False)():
            assert current_mode() == bits
        other = Estimator(model_fn, str(tmp_path)).train(generator)
        other.evaluate(generator)
    assert seen == dict.fromkeys([*names, "model_fn", "loss", "train_op"], bits)


@pytest.mark.parametrize("bits", MODES)
def test_metrics_add_up_alike(bits: int, tmp_path: Path) -> None:
    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        def value(batch: Batch) -> Any:
            return batch.features[0, 0]

        return EstimatorSpec(
            mode, loss=value, train_op=lambda batch: None, eval_metric_ops={"mean": Mean(value)}
        )

    def numbers() -> Any:
        return inputs.numpy_input_fn(POINTS, batch_size=1, shuffle=False)()

    estimator = centroids.estimator.Estimator(model_fn, str(tmp_path)).train(numbers, steps=1)
    expected = 0.0
    for number in POINTS[:, 0].tolist():
        expected += number
    with mode(bits):
        found = estimator.evaluate(numbers)
    assert found["mean"] == found["loss"] == expected / 300
