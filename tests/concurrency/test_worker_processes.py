"""Workers of the process pools that people use: multiprocessing, futures, torch, joblib."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import centroids
from centroids import kernels
from tests.concurrency import work

METHODS = multiprocessing.get_all_start_methods()

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@pytest.fixture(autouse=True)
def running_pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The parent has threads when the workers start, and chooses nothing for them."""
    monkeypatch.delenv("CENTROIDS_NUM_THREADS", raising=False)
    kernels.set_num_threads(3)
    work.digest_of_assignment()
    yield
    kernels.set_num_threads(0)


@pytest.mark.parametrize("method", METHODS)
def test_process_pool(method: str, tmp_path: Path) -> None:
    expected = [work.digest_of_training(tmp_path / f"parent-{seed}", seed) for seed in range(2)]
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        folders = [tmp_path / f"child-{seed}" for seed in range(2)]
        found = list(pool.map(work.digest_of_training, folders, range(2), timeout=work.DEADLINE))
    assert found == expected


def assign_batches(requests: Any, answers: Any) -> None:
    """A worker as data loaders have it: indices of batches in, data out, None ends it."""
    while (index := requests.get()) is not None:
        x = work.points(index)[:5000]
        answers.put((index, kernels.assign(x, x[:30]).cluster_index))


@pytest.mark.parametrize("method", METHODS)
def test_daemon_workers_that_feed_a_run(method: str, tmp_path: Path) -> None:
    context = multiprocessing.get_context(method)
    answers: Any = context.Queue()
    requests = [context.Queue() for _ in range(2)]
    workers: list[Any] = [
        context.Process(target=assign_batches, args=(queue, answers), daemon=True)
        for queue in requests
    ]

    def batches() -> Iterator[np.ndarray]:
        waiting: dict[int, np.ndarray] = {}
        for index in range(6):
            requests[index % 2].put(index)
        for index in range(6):
            while index not in waiting:
                number, labels = answers.get(timeout=work.DEADLINE)
                waiting[number] = labels
            yield waiting.pop(index).astype(np.float32)[:, None]

    def labels_alone() -> Iterator[np.ndarray]:
        for index in range(6):
            x = work.points(index)[:5000]
            yield kernels.assign(x, x[:30]).cluster_index.astype(np.float32)[:, None]

    try:
        for worker in workers:
            worker.start()
        model = centroids.KMeansClustering(4, model_dir=str(tmp_path / "fed")).train(batches)
        for queue in requests:
            queue.put(None)
        for worker in workers:
            worker.join(work.DEADLINE)
        assert [worker.exitcode for worker in workers] == [0, 0]
    finally:
        for worker in workers:
            worker.kill()
    alone = centroids.KMeansClustering(4, model_dir=str(tmp_path / "alone")).train(labels_alone)
    np.testing.assert_array_equal(model.cluster_centers(), alone.cluster_centers())


def digest_and_num_threads(seed: int) -> tuple[str, int, int]:
    return work.digest_of_assignment(seed), kernels.num_threads(), os.getpid()


def test_joblib_workers_share_the_cpus() -> None:
    joblib = pytest.importorskip("joblib", reason="joblib is not installed")
    expected = [work.digest_of_assignment(seed) for seed in range(4)]
    workers = joblib.Parallel(n_jobs=2, backend="loky", timeout=work.DEADLINE)
    found = workers(joblib.delayed(digest_and_num_threads)(seed) for seed in range(4))
    assert [digest for digest, _, _ in found] == expected
    assert os.getpid() not in {process for _, _, process in found}
    for _, threads, _ in found:
        assert threads * 2 <= max(joblib.cpu_count(), 2)


def test_joblib_workers_train(tmp_path: Path) -> None:
    joblib = pytest.importorskip("joblib", reason="joblib is not installed")
    expected = [work.digest_of_training(tmp_path / f"parent-{seed}", seed) for seed in range(2)]
    found = joblib.Parallel(n_jobs=2, backend="loky", timeout=work.DEADLINE)(
        joblib.delayed(work.digest_of_training)(tmp_path / f"child-{seed}", seed)
        for seed in range(2)
    )
    assert found == expected


class LabelledPoints:
    """A dataset whose items are computed with the kernels, and with a trained model."""

    def __init__(self, model: centroids.KMeansClustering) -> None:
        self.predict: Callable[..., Any] = model.predict_cluster_index

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> np.ndarray:
        x = work.points(index)[:5000]
        by_kernel = kernels.assign(x, x[:30]).cluster_index
        by_model = list(self.predict(lambda: iter([x])))
        return np.stack([by_kernel, by_model], axis=1).astype(np.float32)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_torch_data_loader(method: str, tmp_path: Path) -> None:
    data = pytest.importorskip("torch.utils.data", reason="torch is not installed")
    dataset = LabelledPoints(work.train(tmp_path / "labels"))
    loader = data.DataLoader(
        dataset,
        batch_size=None,
        num_workers=2,
        multiprocessing_context=method,
        timeout=work.DEADLINE,
    )
    model = centroids.KMeansClustering(4, model_dir=str(tmp_path / "fed")).train(lambda: loader)
    alone = centroids.KMeansClustering(4, model_dir=str(tmp_path / "alone"))
    alone.train(lambda: (dataset[index] for index in range(len(dataset))))
    assert model.get_variable_value("global_step") == 6
    np.testing.assert_array_equal(model.cluster_centers(), alone.cluster_centers())
