"""Nodes of Ray that die with the blocks they hold: made again, or a plain error. Slow."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import centroids
from centroids.distribute import Ray
from tests.distribute.test_dask import assert_equal

pandas = pytest.importorskip("pandas")
pytest.importorskip("ray.data")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore"),  # of Ray, which has many
]
NAMES = list("abcd")


class Nodes:
    """A head that computes nothing, and two nodes of two CPUs."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        store = {"object_store_memory": 100 << 20}
        head = {"num_cpus": 0, "include_dashboard": False, **store}
        self.cluster = Cluster(initialize_head=True, head_node_args=head)
        self.nodes = [self.cluster.add_node(num_cpus=2, **store) for _ in range(2)]

    def kill(self, at: int) -> None:
        import ray

        self.cluster.remove_node(self.nodes[at], allow_graceful=False)
        until = time.monotonic() + 60  # its workers may outlive it for a moment
        while sum(node["Alive"] for node in ray.nodes()) > 2 and time.monotonic() < until:
            time.sleep(0.1)


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    import ray

    # A dead node is found in seconds, not minutes.
    monkeypatch.setenv("RAY_health_check_period_ms", "500")
    monkeypatch.setenv("RAY_health_check_failure_threshold", "3")
    paths = [str(Path(__file__).parents[2]), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    nodes = Nodes()
    ray.init(
        address=nodes.cluster.address,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join(filter(None, paths))}},
    )
    yield nodes
    ray.shutdown()
    nodes.cluster.shutdown()


@pytest.fixture(scope="module")
def points() -> NDArray[np.float32]:
    """Enough for blocks that a node holds: small ones stay with their owner."""
    random = np.random.default_rng(5)
    places = random.normal(scale=30, size=(10, 4))
    rows = places[random.integers(10, size=200_000)] + random.normal(size=(200_000, 4))
    return rows.astype(np.float32)


class At(centroids.SessionRunHook):
    """Does something before a step."""

    def __init__(self, step: int, action: Callable[[], None]) -> None:
        self._step, self._action = step, action

    def before_run(self, run_context: Any) -> None:
        if run_context.session.global_step == self._step:
            self._action()


def fit(points: Any, *hooks: Any, **limits: Any) -> centroids.KMeansClustering:
    kmeans = centroids.KMeansClustering(
        7,
        initial_clusters=np.arange(28.0).reshape(7, 4),
        use_mini_batch=False,
        config=centroids.RunConfig(train_distribute=Ray(2, 1, **limits)),
    )
    return kmeans.train(lambda: points, steps=12, hooks=hooks)


def test_blocks_of_a_dead_node_are_made_again(
    nodes: Nodes, points: NDArray[Any], tmp_path: Path
) -> None:
    import ray.data

    for number, part in enumerate(np.split(points, 4)):
        pandas.DataFrame(part, columns=NAMES).to_parquet(tmp_path / f"{number}.parquet")
    spread = ray.data.read_parquet(str(tmp_path), override_num_blocks=4)
    alone = fit(pandas.DataFrame(points, columns=NAMES))
    assert_equal(alone, fit(spread, At(2, lambda: nodes.kill(0)), timeout=120))


def test_blocks_without_a_recipe_are_named_as_lost(nodes: Nodes, points: NDArray[Any]) -> None:
    import ray
    import ray.data
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    def frame_of(part: Any) -> Any:
        return pandas.DataFrame(part, columns=NAMES)

    block: Any = ray.remote(max_retries=0)(frame_of)
    refs = [
        block.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node.node_id, soft=False)
        ).remote(part)
        for node, part in zip(nodes.nodes, np.split(points, 2), strict=True)
    ]
    spread = ray.data.from_pandas_refs(refs)
    with pytest.raises(RuntimeError, match="blocks were lost with their node"):
        fit(spread, At(2, lambda: nodes.kill(0)), timeout=120)
