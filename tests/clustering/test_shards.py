"""Choosing centers from points in parts: the bits of one array, however they are cut and held."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from centroids import kernels
from centroids.clustering import (
    TooFewPointsError,
    choose_initial_centers,
    choose_initial_centers_of_shards,
)
from centroids.clustering._seeding_shard import SeedingShard
from centroids.clustering._shards import LocalShards
from centroids.rows import split_weights

Method = Literal["random", "kmeans_plus_plus", "kmeans_parallel", "kmeans_rejection"]
METHODS: list[Method] = ["random", "kmeans_plus_plus", "kmeans_parallel", "kmeans_rejection"]


class RemoteShards:
    """Shards whose messages are pickled, which answer in another order, and of which some are lost.

    Args:
        parts: The points of each part, in the order of their rows.
        holders: The shard that holds each part.
        lost: Whether a shard is made anew before it is asked.
    """

    def __init__(
        self,
        parts: Sequence[Any],
        holders: Sequence[int],
        *,
        cosine: bool = False,
        lost: Callable[[], bool] = lambda: False,
    ) -> None:
        rows = [split_weights(part)[0] for part in parts]
        firsts = np.cumsum([0, *(part.shape[0] for part in rows)]).tolist()
        self.num_rows, self.dimensions = firsts[-1], rows[0].shape[1]
        self.dtype, self.weighted = kernels.result_dtype(rows[0]), rows[0] is not parts[0]
        self._held: list[list[tuple[int, Any]]] = [[] for _ in range(max(holders) + 2)]
        for first, points, holder in zip(firsts, parts, holders, strict=False):
            self._held[holder].append((first, points))
        self._cosine, self._lost = cosine, lost
        self._shards = [SeedingShard(held, cosine=cosine) for held in self._held]

    def ask(self, method: str, *arguments: Any) -> list[Any]:
        for at, held in enumerate(self._held):
            if self._lost():
                self._shards[at] = SeedingShard(held[::-1], cosine=self._cosine)
        message = pickle.dumps(arguments)
        answers = [getattr(shard, method)(*pickle.loads(message)) for shard in self._shards]
        return list(pickle.loads(pickle.dumps(answers))[::-1])


def cut(points: Any, num_parts: int, random: np.random.Generator) -> list[Any]:
    """Uneven parts, some of them empty."""
    n = points.shape[0]
    ends: Any = np.sort(random.integers(0, n + 1, num_parts - 1)) if num_parts > 1 else []
    return [points[a:b] for a, b in zip([0, *ends], [*ends, n], strict=True)]


def clustered(n: int, d: int, random: np.random.Generator) -> NDArray[np.float64]:
    groups = random.normal(size=(7, d)) * 6
    points = groups[random.integers(7, size=n)] + random.normal(size=(n, d))
    points[random.random(n) < 0.1] = points[0]  # equal rows
    return np.asarray(points)


def one(points: Any, k: int, method: Method, cosine: bool, seed: int = 3) -> NDArray[Any]:
    return choose_initial_centers(
        [points], k, method, seed=seed, cosine=cosine, whole_input_in_batch=True
    )


@pytest.fixture
def other_threads_and_levels() -> Iterator[None]:
    yield
    kernels.set_num_threads(0)
    kernels.set_instruction_set("")


@pytest.mark.usefixtures("other_threads_and_levels")
@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_parts_threads_and_levels_change_no_bit(method: Method, cosine: bool) -> None:
    random = np.random.default_rng(0)
    points = clustered(6000, 9, random).astype(np.float32)
    points[17] = 0
    expected = one(points, 25, method, cosine)
    levels = kernels.supported_instruction_sets()
    for turn, num_parts in enumerate((1, 2, 3, 7, 20)):
        kernels.set_num_threads(1 + turn % 3)
        kernels.set_instruction_set(levels[turn % len(levels)])
        parts = cut(points, num_parts, random)
        holders = random.integers(0, 4, num_parts).tolist()
        shards = RemoteShards(parts, holders, cosine=cosine)
        chosen = choose_initial_centers_of_shards(shards, 25, method, seed=3, cosine=cosine)
        np.testing.assert_array_equal(chosen, expected)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 300),
    k=st.integers(1, 12),
    num_parts=st.integers(1, 20),
    method=st.sampled_from(METHODS),
    cosine=st.booleans(),
    kind=st.sampled_from(["float32", "float64", "int16", "sparse"]),
    exponent=st.sampled_from([-160, -20, 0, 20, 100]),
    losses=st.sampled_from([0.0, 0.1, 0.4]),
    seed=st.integers(0, 50),
)
def test_any_parts_and_any_lost_shard_choose_the_same(
    n: int,
    k: int,
    num_parts: int,
    method: Method,
    cosine: bool,
    kind: str,
    exponent: int,
    losses: float,
    seed: int,
) -> None:
    random = np.random.default_rng(seed)
    points: Any = clustered(n, 4, random)
    if kind == "int16":
        points = np.round(points).astype(np.int16)
    elif kind == "float32":
        points = points.astype(np.float32)
    else:
        points[random.random(n) < 0.3] *= 10.0**exponent
        points[np.abs(points) < 1] = 0
        points = scipy.sparse.csr_array(points) if kind == "sparse" else points
    parts = cut(points, num_parts, random)
    shards = RemoteShards(
        parts,
        random.integers(0, 3, num_parts).tolist(),
        cosine=cosine,
        lost=lambda: bool(random.random() < losses),
    )
    if n < k:
        with pytest.raises(TooFewPointsError, match=f"num_clusters={k}, but .* only {n} points"):
            choose_initial_centers_of_shards(shards, k, method)
        return
    chosen = choose_initial_centers_of_shards(shards, k, method, seed=seed, cosine=cosine)
    np.testing.assert_array_equal(chosen, one(points, k, method, cosine, seed))


@pytest.mark.parametrize("method", METHODS)
def test_a_bad_value_is_named_by_its_row_of_all(method: Method) -> None:
    points = np.ones((30, 2))
    points[22, 1] = points[27, 0] = np.nan
    shards = RemoteShards(cut(points, 5, np.random.default_rng(1)), [1, 0, 2, 1, 0])
    with pytest.raises(kernels.NonFiniteError) as error:
        choose_initial_centers_of_shards(shards, 2, method)
    assert (error.value.row, error.value.column) == (22, 1)


@pytest.mark.parametrize("method", METHODS[1:])
def test_a_row_without_a_finite_distance_is_named_by_its_row_of_all(method: Method) -> None:
    points = np.zeros((30, 2))
    points[[13, 25]] = 1e200
    shards = RemoteShards([points[:11], points[11:]], [0, 1])
    with pytest.raises(kernels.NonFiniteError, match="overflow float64 at row 13"):
        choose_initial_centers_of_shards(shards, 2, method, seed=4)


def test_equal_points_in_many_parts_are_found_out() -> None:
    points = np.repeat(np.arange(5.0), 400)[:, None]
    expected = one(points, 9, "kmeans_plus_plus", False)
    parts = cut(points, 7, np.random.default_rng(0))
    chosen = choose_initial_centers_of_shards(
        LocalShards(parts, num_shards=3), 9, "kmeans_plus_plus", seed=3
    )
    np.testing.assert_array_equal(chosen, expected)
    assert len(np.unique(chosen)) == 5


def test_plus_plus_asks_twice_for_each_center() -> None:
    class Counting(LocalShards):
        asked = 0

        def ask(self, method: str, *arguments: Any) -> list[Any]:
            self.asked += 1
            return super().ask(method, *arguments)

    shards = Counting([np.random.default_rng(0).normal(size=(300, 3))])
    choose_initial_centers_of_shards(shards, 50, "kmeans_plus_plus")
    assert shards.asked <= 2 * 50 + 6
    shards = Counting([np.random.default_rng(0).normal(size=(3000, 3))])
    choose_initial_centers_of_shards(shards, 500, "kmeans_parallel")
    assert shards.asked <= 2 * 5 + 8
