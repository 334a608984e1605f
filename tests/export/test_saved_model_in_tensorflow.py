"""TensorFlow loads what we export, and gives the answers that the model itself gives."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import centroids
from centroids import export
from centroids.export import FixedLenFeature
from tests.export.oracle import cosine_distances
from tests.export.test_onnx import check_rounded_chords

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("tensorflow") is None,
        reason="TensorFlow is not installed; pip install 'centroids[interop]'",
    ),
]

SCRIPT = Path(__file__).parent / "answer_with_tensorflow.py"
C_SCRIPT = Path(__file__).parent / "answer_with_c_library.py"
NUM_POINTS, WIDTH, NUM_CLUSTERS = 10_000, 12, 60


@dataclass(frozen=True)
class Case:
    """A model and the form of its requests."""

    receiver: str  # "raw", "columns" or "examples"
    metric: str
    dtype: str
    offset: float
    hard: bool = False
    prepared: bool = False  # with missing values that are filled, and columns that are scaled

    @property
    def name(self) -> str:
        """Of its folder and of the test."""
        hard = "-hard" if self.hard else "-prepared" if self.prepared else ""
        return f"{self.receiver}-{self.metric}-{self.dtype}-{self.offset:g}{hard}"

    def points(self) -> np.ndarray:
        """[n, 12] random points."""
        random = np.random.default_rng(3)
        values = random.normal(size=(NUM_POINTS, WIDTH)) + self.offset
        if self.hard:
            # Small whole numbers: ties, duplicate centers, zero rows, points on their centers.
            values = random.integers(0, 2, size=values.shape).astype(np.float64)
            values[::50] = 0
        if self.prepared:
            values = values * np.geomspace(1e-3, 1e3, WIDTH)
            values[NUM_CLUSTERS:][random.random((NUM_POINTS - NUM_CLUSTERS, WIDTH)) < 0.05] = np.nan
        return values.astype(self.dtype)

    def features(self) -> dict[str, np.ndarray]:
        """The same points, as the request has them."""
        points = self.points()
        if self.receiver == "raw":
            return {"x": points}
        # In sorted order they give the points again; [n] counts as [n, 1].
        return {"b": points[:, 1:7], "a": points[:, 0], "c": points[:, 7:]}

    def receiver_fn(self) -> Any:
        """What export_savedmodel gets."""
        if self.receiver != "examples":
            return export.build_raw_serving_input_receiver_fn(self.features())
        return export.build_parsing_serving_input_receiver_fn(
            {
                name: FixedLenFeature(column.shape[1:], np.float32)
                for name, column in self.features().items()
            }
        )


METRICS = ("squared_euclidean", "cosine")
CASES = [
    *(Case("raw", *parts) for parts in product(METRICS, ("float32", "float64"), (0.0, 1e4))),
    *(Case("raw", metric, "float32", 0.0, hard=True) for metric in METRICS),
    *(Case("examples", metric, "float32", offset) for metric in METRICS for offset in (0.0, 1e4)),
    Case("columns", "squared_euclidean", "float64", 1e4),
    Case("raw", "squared_euclidean", "int32", 0.0, hard=True),
    *(Case("raw", "squared_euclidean", t, 1e4, prepared=True) for t in ("float32", "float64")),
    Case("raw", "cosine", "float64", 10.0, prepared=True),
    Case("columns", "squared_euclidean", "float64", 10.0, prepared=True),
    Case("examples", "squared_euclidean", "float32", 10.0, prepared=True),
]


@dataclass(frozen=True)
class Exported:
    """An exported model, its folder of requests and its own answers.

    For cosine of float32 the distances are those of float64: `transform` rounds unit vectors to
    float32 where that leaves no doubt about the nearest.
    """

    path: Path
    model: str
    index: np.ndarray
    distances: np.ndarray


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Exported]:
    models = {}
    for case in CASES:
        path = tmp_path_factory.mktemp(case.name)
        features = case.features()
        kmeans = centroids.KMeansClustering(
            NUM_CLUSTERS,
            str(path / "model"),
            initial_clusters=case.points()[:NUM_CLUSTERS],
            distance_metric=case.metric,
            use_mini_batch=False,
            missing="mean" if case.prepared else "raise",
            standardize=case.prepared,
        ).train(lambda features=features: features, steps=1 if case.hard else 4)
        folder = kmeans.export_savedmodel(path / "exports", case.receiver_fn())
        (path / "model.txt").write_text(folder)
        np.savez(path / "inputs", **features)
        once = [features]
        distances = np.array(list(kmeans.transform(lambda once=once: once)))
        if case.metric == "cosine" and distances.dtype == np.float32:
            exact = cosine_distances(case.points(), kmeans.cluster_centers()).astype(np.float32)
            check_rounded_chords(exact, distances)
            distances = exact
        models[case.name] = Exported(
            path,
            folder,
            np.array(list(kmeans.predict_cluster_index(lambda once=once: once))),
            distances,
        )
    return models


def run(*command: str) -> str:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module", params=["tf1", "tf2"])
def answers(request: pytest.FixtureRequest, exported: dict[str, Exported]) -> dict[str, Any]:
    """The answers of one loader by case."""
    run(str(SCRIPT), request.param, *(str(model.path) for model in exported.values()))
    return {name: np.load(model.path / f"{request.param}.npz") for name, model in exported.items()}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_tensorflow_gives_the_same_answers(
    exported: dict[str, Exported], answers: dict[str, Any], case: Case
) -> None:
    ours, theirs = exported[case.name], answers[case.name]
    assert sorted(theirs) == ["all_distances", "cluster_index", "serving_default"]
    assert theirs["serving_default"].dtype == np.int64
    np.testing.assert_array_equal(theirs["serving_default"], ours.index)
    np.testing.assert_array_equal(theirs["cluster_index"], ours.index)
    assert theirs["all_distances"].dtype == ours.distances.dtype
    assert (theirs["all_distances"] >= 0).all()
    np.testing.assert_allclose(theirs["all_distances"], ours.distances, rtol=1e-5, atol=0)


def test_the_c_library_gives_the_same_answers(exported: dict[str, Exported]) -> None:
    cases = [case for case in CASES if case.receiver != "examples"]
    run(str(C_SCRIPT), *(str(exported[case.name].path) for case in cases))
    for case in cases:
        ours = exported[case.name]
        theirs = np.load(ours.path / "c.npz")
        np.testing.assert_array_equal(theirs["serving_default"], ours.index)
        np.testing.assert_array_equal(theirs["cluster_index"], ours.index)
        np.testing.assert_allclose(theirs["all_distances"], ours.distances, rtol=1e-5, atol=0)


@pytest.mark.parametrize("as_text", [False, True])
def test_saved_model_cli_shows_and_runs_it(
    tmp_path: Path, exported: dict[str, Exported], as_text: bool
) -> None:
    case = CASES[0]
    ours = exported[case.name]
    kmeans = centroids.KMeansClustering(NUM_CLUSTERS, str(ours.path / "model"))
    folder = kmeans.export_savedmodel(tmp_path / "exports", case.receiver_fn(), as_text=as_text)
    tool = ["-m", "tensorflow.python.tools.saved_model_cli"]
    shown = run(*tool, "show", "--dir", folder, "--all")
    for line in (
        "signature_def['serving_default']",
        "signature_def['cluster_index']",
        "signature_def['all_distances']",
        "shape: (-1, 12)",
        "dtype: DT_INT64",
        "Method name is: tensorflow/serving/predict",
    ):
        assert line in shown
    np.save(tmp_path / "x.npy", case.points())
    arguments = ["--tag_set", "serve", "--signature_def", "cluster_index"]
    files = ["--inputs", f"x={tmp_path / 'x.npy'}", "--outdir", str(tmp_path)]
    run(*tool, "run", "--dir", folder, *arguments, *files)
    np.testing.assert_array_equal(np.load(tmp_path / "output.npy"), ours.index)


def test_values_that_are_not_finite_are_refused(
    tmp_path: Path, exported: dict[str, Exported]
) -> None:
    code = """
import numpy as np, sys, tensorflow as tf
answer = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
for bad in (np.nan, np.inf, -np.inf):
    points = np.zeros((3, 12), np.float32)
    points[1, 5] = bad
    try:
        answer(x=tf.constant(points))
    except tf.errors.InvalidArgumentError as error:
        assert "points must be finite" in str(error), error
    else:
        raise AssertionError(f"{bad} was answered")
"""
    for metric in METRICS:
        run("-c", code, exported[Case("raw", metric, "float32", 0.0).name].model)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_points_at_right_angles_to_all_centers_are_at_distance_1(
    tmp_path: Path, dtype: str
) -> None:
    random = np.random.default_rng(0)
    centers = np.pad(random.random((40, 6)), [(0, 0), (0, 5)]).astype(dtype)
    kmeans = centroids.KMeansClustering(
        40, initial_clusters=centers, distance_metric="cosine", use_mini_batch=False
    ).train(lambda: [centers], steps=1)
    receive = export.build_raw_serving_input_receiver_fn({"x": centers})
    folder = kmeans.export_savedmodel(tmp_path, receive)
    np.save(
        tmp_path / "x.npy", np.pad(random.normal(size=(200, 5)), [(0, 0), (6, 0)]).astype(dtype)
    )
    code = """
import numpy as np, sys, tensorflow as tf
signatures = tf.saved_model.load(sys.argv[1]).signatures
points = tf.constant(np.load(sys.argv[2]))
distances = signatures["all_distances"](x=points)["output"].numpy()
assert distances.shape == (200, 40) and (distances == 1).all(), distances
assert not signatures["cluster_index"](x=points)["output"].numpy().any()
"""
    run("-c", code, folder, str(tmp_path / "x.npy"))


def test_columns_by_their_names_and_no_checks(tmp_path: Path) -> None:
    points = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)
    kmeans = centroids.KMeansClustering(7, initial_clusters=points[:7], distance_metric="cosine")
    kmeans.train(lambda: [points])
    receive = export.build_columns_serving_input_receiver_fn(["width", "height (cm)"])
    folder = kmeans.export_savedmodel(tmp_path, receive, check_numerics=False)
    np.save(tmp_path / "points.npy", points)
    np.save(tmp_path / "index.npy", list(kmeans.predict_cluster_index(lambda: [points])))
    code = """
import numpy as np, sys, tensorflow as tf
folder, model = sys.argv[1:]
points, index = np.load(folder + "/points.npy"), np.load(folder + "/index.npy")
signatures = tf.saved_model.load(model).signatures
assert len(signatures) == 6, list(signatures)
whole = signatures["serving_default"](points=tf.constant(points))["output"]
np.testing.assert_array_equal(whole, index)
apart = {"height (cm)": tf.constant(points[:, 1]), "width": tf.constant(points[:, 0])}
np.testing.assert_array_equal(signatures["columns:cluster_index"](**apart)["output"], index)
points[3] = np.nan
assert signatures["serving_default"](points=tf.constant(points))["output"].shape == (500,)
"""
    run("-c", code, str(tmp_path), folder)
