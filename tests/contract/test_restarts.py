"""Several choices of initial centers, of which the best one goes on."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import centroids
from centroids import KMeansClustering, kernels
from centroids.clustering import restart_watchers
from centroids.inputs import numpy_input_fn
from tests.oracle import Oracle, distances

RANDOM = np.random.default_rng(8)
POINTS = (RANDOM.normal(size=(6, 3)) * 9)[RANDOM.integers(6, size=240)] + RANDOM.normal(
    size=(240, 3)
)
MODES: dict[str, dict[str, Any]] = {
    "full": {"use_mini_batch": False},
    "mini": {},
    "multi": {"mini_batch_steps_per_iteration": 3},
}


@pytest.fixture
def other_threads() -> Iterator[None]:
    yield
    kernels.set_num_threads(0)


def variables(model: KMeansClustering) -> dict[str, Any]:
    names = model.get_variable_names()
    return dict(zip(names, model.get_variable_value(names), strict=True))


def assert_equal(one: KMeansClustering, other: KMeansClustering) -> None:
    for name, value in variables(one).items():
        np.testing.assert_array_equal(value, variables(other)[name], name, strict=True)


class Choices:
    """Gives out centers in turn, two of a batch."""

    def __init__(self, *centers: Any) -> None:
        self._rows = [row for choice in centers for row in np.asarray(choice, float)]
        self.calls = 0

    def __call__(self, inputs: Any, k: int) -> Any:
        self.calls += 1
        taken, self._rows = self._rows[: min(2, k)], self._rows[min(2, k) :]
        return np.array(taken)


def some_centers(count: int) -> list[np.ndarray]:
    random = np.random.default_rng(4)
    return [random.normal(size=(4, 3)) * 9 for _ in range(count)]


@pytest.mark.parametrize("metric", ["squared_euclidean", "cosine"])
@pytest.mark.parametrize("mode", ["mini", "multi"])
def test_mini_batches_begin_with_the_lowest_loss_on_the_first_batches(
    mode: str, metric: str
) -> None:
    # Two centers of a batch: the first two batches are pulled for each choice.
    choices = some_centers(5)
    batches = [POINTS[at : at + 60] for at in range(0, 240, 60)]
    pulled = np.concatenate(batches[:2])
    losses = [distances(pulled, centers, metric).min(axis=1).sum() for centers in choices]
    best = int(np.argmin(losses))
    assert best != 0
    steps = MODES[mode].get("mini_batch_steps_per_iteration", 1)
    oracle = Oracle(choices[best], metric, True, steps)
    expected = [oracle.step(batch) for batch in batches]
    seen = []

    class Losses(centroids.SessionRunHook):
        def before_run(self, run_context: Any) -> centroids.SessionRunArgs:
            return centroids.SessionRunArgs("loss")

        def after_run(self, run_context: Any, run_values: Any) -> None:
            seen.append(run_values.results)

    function = Choices(*choices)
    model = KMeansClustering(
        4, initial_clusters=function, distance_metric=metric, num_restarts=5, **MODES[mode]
    )
    model.train(lambda: iter(batches), hooks=[Losses()])
    assert function.calls == 10
    assert model.get_variable_value("global_step") == 4  # no batch is lost
    np.testing.assert_allclose(seen, expected, rtol=1e-9)
    np.testing.assert_allclose(model.cluster_centers(), oracle.centers, rtol=1e-9)


@pytest.mark.parametrize("metric", ["squared_euclidean", "cosine"])
def test_full_batches_go_on_from_the_best_of_short_runs(metric: str) -> None:
    points = np.random.default_rng(1).random((240, 3)) - 0.5  # no two runs end alike
    choices = [centers / 50 for centers in some_centers(4)]
    runs = [Oracle(centers, metric, False) for centers in choices]
    losses = [[run.step(points) for _ in range(10)][-1] for run in runs]
    best = runs[int(np.argmin(losses))]
    choices.append(choices.pop(int(np.argmin(losses))))  # the last one
    expected = [best.step(points) for _ in range(2)]
    # A full batch that comes again: two centers of each.
    model = KMeansClustering(
        4,
        initial_clusters=Choices(*choices),
        distance_metric=metric,
        use_mini_batch=False,
        num_restarts=4,
    )
    model.train(lambda: points, steps=2)
    assert model.get_variable_value("global_step") == 2
    np.testing.assert_allclose(model.get_variable_value("previous_loss"), expected[-1], rtol=1e-9)
    np.testing.assert_allclose(model.cluster_centers(), best.centers, rtol=1e-9)


@pytest.mark.parametrize("mode", MODES)
def test_of_equal_choices_the_first_one_wins(mode: str) -> None:
    centers = some_centers(1)[0]
    mirrored = centers[::-1]
    models = [
        KMeansClustering(4, initial_clusters=Choices(*given), num_restarts=2, **MODES[mode])
        for given in ([centers, mirrored], [centers, centers])
    ]
    for model in models:
        model.train(lambda: POINTS, steps=1)
    assert_equal(*models)


@pytest.mark.parametrize("kind", ["dense", "sparse"])
@pytest.mark.parametrize("metric", ["squared_euclidean", "cosine"])
@pytest.mark.parametrize(
    "method", ["random", "kmeans_plus_plus", "kmeans_parallel", "kmeans_rejection"]
)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.usefixtures("other_threads")
def test_restarts_are_never_worse_and_depend_on_the_seed_alone(
    mode: str, method: Any, metric: Any, kind: str
) -> None:
    points = scipy.sparse.csr_array(np.maximum(POINTS, 0)) if kind == "sparse" else POINTS

    def train(num_restarts: int, seed: int = 5) -> KMeansClustering:
        return KMeansClustering(
            8,
            initial_clusters=method,
            distance_metric=metric,
            random_seed=seed,
            num_restarts=num_restarts,
            **MODES[mode],
        ).train(lambda: points, steps=1)

    kernels.set_num_threads(1)
    once, often = train(1), train(6)
    losses = [float(model.get_variable_value("previous_loss")) for model in (once, often)]
    assert losses[1] <= losses[0] * (1 + 1e-12)
    kernels.set_num_threads(3)
    assert_equal(often, train(6))
    assert any(
        (train(6, seed).cluster_centers() != often.cluster_centers()).any() for seed in (6, 7)
    )


@pytest.mark.parametrize("mode", MODES)
def test_another_number_changes_nothing_once_there_is_a_model(tmp_path: Path, mode: str) -> None:
    input_fn = numpy_input_fn(POINTS, batch_size=80, num_epochs=4, shuffle=True)

    def model(folder: str, num_restarts: int) -> KMeansClustering:
        path = tmp_path / folder
        return KMeansClustering(6, path, num_restarts=num_restarts, **MODES[mode])

    whole = model("whole", 3).train(input_fn, steps=7)
    model("parts", 3).train(input_fn, steps=2)
    model("parts", 1).train(input_fn, steps=3)
    assert_equal(whole, model("parts", 9).train(input_fn, steps=2))


def test_an_interrupt_between_restarts_leaves_nothing(tmp_path: Path) -> None:
    interrupted = Choices(*some_centers(4))

    def raise_in_the_third(inputs: Any, k: int) -> Any:
        if interrupted.calls == 4:
            raise KeyboardInterrupt
        return interrupted(inputs, k)

    arguments: dict[str, Any] = {"num_restarts": 4, "use_mini_batch": False}
    with pytest.raises(KeyboardInterrupt):
        KMeansClustering(4, tmp_path, initial_clusters=raise_in_the_third, **arguments).train(
            lambda: POINTS, steps=2
        )
    assert not list(tmp_path.glob("model.ckpt*"))
    again, alone = (
        KMeansClustering(4, path, initial_clusters=Choices(*some_centers(4)), **arguments)
        for path in (tmp_path, None)
    )
    assert_equal(again.train(lambda: POINTS, steps=2), alone.train(lambda: POINTS, steps=2))


def test_given_centers_are_the_same_each_time() -> None:
    for centers in (POINTS[:4], POINTS[:4].tolist()):
        with pytest.raises(ValueError, match="num_restarts is 2, but given initial centers are"):
            KMeansClustering(4, initial_clusters=centers, num_restarts=2)
    for number in (0, 1.5, True, None):
        with pytest.raises(ValueError, match="num_restarts must be an integer of at least 1"):
            KMeansClustering(4, num_restarts=number)


def test_a_warm_start_chooses_nothing(tmp_path: Path) -> None:
    old = KMeansClustering(4, tmp_path / "old").train(lambda: POINTS, steps=1)
    models = [
        KMeansClustering(4, warm_start_from=old.model_dir, num_restarts=number) for number in (1, 5)
    ]
    for model in models:
        model.train(lambda: POINTS, steps=1)
    assert_equal(*models)


@pytest.mark.parametrize("mode", MODES)
def test_each_restart_is_told(mode: str, caplog: pytest.LogCaptureFixture) -> None:
    seen = []

    def watch(number: int, of: int) -> None:
        seen.append((number, of))

    restart_watchers.append(watch)
    try:
        with caplog.at_level(logging.INFO, "centroids.clustering"):
            model = KMeansClustering(4, num_restarts=3, **MODES[mode])
            model.train(lambda: POINTS, steps=1)
    finally:
        restart_watchers.remove(watch)
    assert seen == [(1, 3), (2, 3), (3, 3)]
    told = [r.getMessage() for r in caplog.records if r.name.endswith("_restarts")]
    assert [text.partition(": loss ")[0] for text in told] == [
        f"Restart {number} of 3" for number in (1, 2, 3)
    ]


def test_a_bad_row_is_named_in_any_restart() -> None:
    points = POINTS.copy()
    points[77, 1] = np.nan
    for mode in MODES.values():
        with pytest.raises(ValueError, match="row 77, column 1"):
            KMeansClustering(4, num_restarts=3, **mode).train(lambda: points, steps=1)
