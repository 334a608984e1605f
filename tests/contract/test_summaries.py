"""What TensorBoard shows of a k-means, in every mode."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import centroids
from centroids.clustering._state import ClusterState
from centroids.kmeans.summaries import center_shift
from tests.tensorboard_reader import Projector, accumulate, curve, histograms, sessions, ticked

NUM_STEPS = 8
MODES = {
    "full": {"use_mini_batch": False},
    "mini": {"use_mini_batch": True},
    "multi": {"use_mini_batch": True, "mini_batch_steps_per_iteration": 3},
}


class Recorder(centroids.SessionRunHook):
    """Notes centers and labels of every step."""

    def __init__(self) -> None:
        self.centers: list[Any] = []
        self.gathered: list[Any] = []
        self.labels: list[Any] = []

    def after_create_session(self, session: Any, coord: Any) -> None:
        self.centers.append(session.run("clusters"))

    def before_run(self, run_context: Any) -> centroids.SessionRunArgs:
        return centroids.SessionRunArgs(["cluster_index", "clusters", "clusters_updated"])

    def after_run(self, run_context: Any, run_values: Any) -> None:
        labels, centers, gathered = run_values.results
        self.labels.append(labels)
        self.centers.append(centers)
        self.gathered.append(gathered)


@pytest.fixture(scope="module")
def data() -> list[np.ndarray]:
    random = np.random.default_rng(2)
    return [random.normal(size=(50, 3)).astype(np.float32) for _ in range(NUM_STEPS)]


def make(folder: Path, data: list[np.ndarray], **arguments: Any) -> centroids.KMeansClustering:
    initial = np.vstack([data[0][:4], np.full((1, 3), 1e3, np.float32)])  # the last one stays empty
    config = centroids.RunConfig(save_summary_steps=1, log_step_count_steps=2)
    arguments = {"initial_clusters": initial, "config": config} | arguments
    return centroids.KMeansClustering(5, model_dir=str(folder), **arguments)


@pytest.mark.parametrize("metric", ["squared_euclidean", "cosine"])
@pytest.mark.parametrize("mode", MODES)
def test_values(tmp_path: Path, data: list[np.ndarray], mode: str, metric: str) -> None:
    model = make(tmp_path, data, distance_metric=metric, **MODES[mode])
    recorder = Recorder()
    model.train(lambda: data, hooks=[recorder])
    read = accumulate(tmp_path)
    losses = curve(read, "loss")
    assert [step for step, _ in losses] == list(range(1, NUM_STEPS + 1))
    assert curve(read, "loss/raw") == losses
    assert curve(read, "loss/mean_distance") == [
        (step, pytest.approx(loss / 50)) for step, loss in losses
    ]
    counts = np.stack([np.bincount(labels, minlength=5) for labels in recorder.labels])
    if mode == "mini":
        counts = counts.cumsum(axis=0)
    if mode == "multi":
        counts = np.vstack([counts[at : at + 3].cumsum(axis=0) for at in range(0, NUM_STEPS, 3)])
    assert curve(read, "model/empty_clusters") == [
        (step, (sizes == 0).sum()) for step, sizes in enumerate(counts, 1)
    ]
    for step, sizes in enumerate(counts, 1):
        buckets = histograms(read, "model/cluster_sizes")[step]
        assert buckets[:, 2].sum() == 5
        assert (buckets[0, 0], buckets[-1, 1]) == (sizes.min(), sizes.max())
    moved = [
        (step, pytest.approx(float(np.linalg.norm(after.astype(float) - before)), rel=1e-6))
        for step, (before, after) in enumerate(
            zip(recorder.centers, recorder.gathered, strict=False), 1
        )
    ]
    assert curve(read, "model/center_shift") == moved
    rates = dict(curve(read, "global_step/sec"))
    assert sorted(rates) == [2, 4, 6, 8]
    points = dict(curve(read, "rows/sec"))
    assert points == {step: pytest.approx(50 * rate) for step, rate in rates.items()}


@pytest.mark.parametrize("mode", MODES)
def test_the_last_step_has_the_values_from_before_its_update(
    tmp_path: Path, data: list[np.ndarray], mode: str
) -> None:
    make(tmp_path / "all", data, **MODES[mode]).train(lambda: data)
    config = centroids.RunConfig(save_summary_steps=1000)
    make(tmp_path / "ends", data, config=config, **MODES[mode]).train(lambda: data)
    everything, ends = accumulate(tmp_path / "all"), accumulate(tmp_path / "ends")
    tags = ["loss", "loss/raw", "loss/mean_distance", "model/empty_clusters", "model/center_shift"]
    for tag in tags:
        whole = curve(everything, tag)
        # A step of full batches is a pass over all points: each is written.
        assert curve(ends, tag) == (whole if mode == "full" else [whole[0], whole[-1]])
    sizes = histograms(ends, "model/cluster_sizes")
    assert list(sizes) == [1, NUM_STEPS]
    assert (sizes[NUM_STEPS] == histograms(everything, "model/cluster_sizes")[NUM_STEPS]).all()


def test_every_step_of_full_batches_is_there_by_default(
    tmp_path: Path, data: list[np.ndarray]
) -> None:
    points = np.vstack(data)
    model = centroids.KMeansClustering(
        4, model_dir=str(tmp_path), use_mini_batch=False, relative_tolerance=0.0
    )
    recorder = Recorder()
    model.train(lambda: points, hooks=[recorder], steps=30)
    losses = []
    for centers in recorder.centers[:-1]:
        squares = ((points[:, None].astype(float) - centers[None].astype(float)) ** 2).sum(axis=2)
        losses.append(squares.min(axis=1).sum())
    read = accumulate(tmp_path)
    assert curve(read, "loss") == [
        (step, pytest.approx(loss, rel=1e-6)) for step, loss in enumerate(losses, 1)
    ]
    assert len(curve(read, "model/center_shift")) == len(losses) > 3
    assert list(histograms(read, "model/cluster_sizes")) == [1, len(losses)]


def test_loss_and_distance_are_ticked_in_hparams(tmp_path: Path, data: list[np.ndarray]) -> None:
    for seed in range(2):
        model = make(tmp_path / str(seed), data, random_seed=seed).train(lambda: data)
        model.evaluate(lambda: data)
    parameters, metrics = ticked(tmp_path)
    assert parameters[0] == "random_seed" and len(parameters) == 5
    assert metrics == [
        "global_step/sec",
        "loss",
        "eval/loss",
        "loss/mean_distance",
        "eval/loss/mean_distance",
    ]


def test_the_projector_shows_the_centers(tmp_path: Path, data: list[np.ndarray]) -> None:
    model = make(tmp_path / "run", data).train(lambda: data[:3])
    for _ in range(2):
        model.train(lambda: data[3:])
        projector = Projector(tmp_path)
        assert (projector.tensor("run", "clusters") == model.cluster_centers()).all()
        head, *table = projector.metadata("run", "clusters")
        sizes = model.get_variable_value("cluster_counts") - 1
        assert head == ["index", "size"]
        assert table == [[str(index), str(size)] for index, size in enumerate(sizes)]


def test_the_arguments_are_in_the_table_of_parameters(
    tmp_path: Path, data: list[np.ndarray]
) -> None:
    make(tmp_path / "a", data, relative_tolerance=0.25).train(lambda: data[:1])
    make(tmp_path / "b", data, initial_clusters="random", random_seed=7).train(lambda: data[:1])
    found = sessions(tmp_path)
    shared = {
        "num_clusters": 5,
        "distance_metric": "squared_euclidean",
        "use_mini_batch": True,
        "mini_batch_steps_per_iteration": 1,
        "kmeans_plus_plus_num_retries": 2,
    }
    of_a = {"initial_clusters": "ndarray", "random_seed": 0, "relative_tolerance": 0.25}
    assert found["a"][0] == shared | of_a
    assert found["b"][0] == shared | {"initial_clusters": "random", "random_seed": 7}


def test_evaluations_have_folders_of_their_own(tmp_path: Path, data: list[np.ndarray]) -> None:
    model = make(tmp_path, data).train(lambda: data)
    for name in (None, "test"):
        values = model.evaluate(lambda: data[:2], name=name)
        read = accumulate(tmp_path / ("eval" if name is None else "eval_test"))
        tags = {"loss": "loss", "score": "score", "num_examples": "rows/number"}
        for key, tag in (tags | {"mean_distance": "loss/mean_distance"}).items():
            assert curve(read, tag) == [(NUM_STEPS, pytest.approx(values[key]))]


def test_nothing_is_written_without_summaries(tmp_path: Path, data: list[np.ndarray]) -> None:
    config = centroids.RunConfig(save_summary_steps=None, log_step_count_steps=None)
    make(tmp_path, data, config=config).train(lambda: data)
    names = [path.name for path in tmp_path.iterdir()]
    assert not [name for name in names if "tfevents" in name or "projector" in name]


def test_the_shift_is_measured_in_float64() -> None:
    # In float32 the squares would overflow.
    old = ClusterState(np.zeros((2, 1), np.float32), np.ones(2), np.zeros((2, 1)), 0)
    far = np.full((2, 1), 1e30, np.float32)
    new = ClusterState(far, np.ones(2), far, 0)
    assert center_shift(old, new) == pytest.approx(np.sqrt(2) * 1e30)
