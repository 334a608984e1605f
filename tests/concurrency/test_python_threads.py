"""Several threads of one process: each with its own Estimator, and all with the same one."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import centroids
from centroids import kernels
from tests.concurrency import work


def in_threads(functions: list[Callable[[], str]]) -> list[str]:
    """Calls the functions at the same moment, each in its own thread."""
    together = threading.Barrier(len(functions))

    def start(function: Callable[[], str]) -> str:
        together.wait(work.DEADLINE)
        return function()

    with ThreadPoolExecutor(len(functions)) as threads:
        results = [threads.submit(start, function) for function in functions]
        return [result.result(timeout=work.DEADLINE) for result in results]


def test_models_trained_in_threads_equal_those_trained_alone(tmp_path: Path) -> None:
    alone = [work.digest_of_training(tmp_path / f"alone-{seed}", seed) for seed in range(4)]
    together = in_threads(
        [
            lambda seed=seed: work.digest_of_training(tmp_path / f"together-{seed}", seed)
            for seed in range(4)
        ]
    )
    assert together == alone
    assert len(set(alone)) == 4


@pytest.mark.parametrize("name", ["scipy.sparse", "torch.utils.data"])
def test_another_thread_may_be_importing_a_package(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A module is in sys.modules before it has its names.
    monkeypatch.setitem(sys.modules, name, ModuleType(name))
    model = centroids.KMeansClustering(3, model_dir=str(tmp_path))
    model.train(lambda: iter([work.points()]))
    assert model.cluster_centers().shape == (3, work.points().shape[1])


def test_threads_predict_with_one_estimator(tmp_path: Path) -> None:
    model = work.train(tmp_path)

    def labels(seed: int) -> str:
        once = centroids.inputs.numpy_input_fn(work.points(seed), batch_size=3000, shuffle=False)
        found = np.array(list(model.predict_cluster_index(once)), np.int32)
        return found.tobytes().hex()

    alone = [labels(seed) for seed in range(4)]
    assert in_threads([lambda seed=seed: labels(seed) for seed in range(4)]) == alone


def test_one_estimator_is_read_while_it_trains(tmp_path: Path) -> None:
    # Readers get some whole checkpoint, never a mixture: centers and steps fit together.
    x = work.points()
    centers_after = {0: x[:20]}
    for step in range(1, 31):
        state = centroids.clustering.initial_state(centers_after[step - 1])
        batch = kernels.assign(x, state.centers, update=True)
        centers_after[step] = centroids.clustering.full_batch_update(state, batch).centers
    config = centroids.RunConfig(save_checkpoints_steps=1)
    model = centroids.KMeansClustering(
        20,
        model_dir=str(tmp_path),
        initial_clusters=x[:20],
        use_mini_batch=False,
        config=config,
    ).train(lambda: x, steps=1)
    trained = threading.Event()

    def read() -> str:
        seen = 0
        while not trained.is_set() or seen == 0:
            step, centers = model.get_variable_value(["global_step", "clusters"])
            np.testing.assert_array_equal(centers, centers_after[int(step)])
            seen += 1
        return "whole"

    def go_on() -> str:
        try:
            model.train(lambda: x, max_steps=30)
        finally:
            trained.set()
        return "trained"

    assert in_threads([go_on, read, read]) == ["trained", "whole", "whole"]


@pytest.mark.parametrize("mode", ["train", "predict"])
def test_an_error_in_one_thread_is_no_concern_of_another(tmp_path: Path, mode: str) -> None:
    bad = np.full((10, 12), np.nan, np.float32)
    model = work.train(tmp_path / "model")

    def fail(name: str) -> str:
        with pytest.raises(ValueError, match=r"batch 0, row 0, column 0"):
            if mode == "train":
                other = centroids.KMeansClustering(2, model_dir=str(tmp_path / name))
                other.train(lambda: bad, steps=1)
            else:
                next(model.predict_cluster_index(lambda: bad))
        return "failed"

    good = work.digest_of_training(tmp_path / "alone")
    results = in_threads(
        [
            lambda: fail("first"),
            lambda: work.digest_of_training(tmp_path / "together"),
            lambda: fail("second"),
        ]
    )
    assert results == ["failed", good, "failed"]
