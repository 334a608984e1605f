"""One rule for labels: no kernel, level, layout, type, batch or memory can change them."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import centroids
from centroids import kernels
from tests.fuzz.damage import SLOW

LEVELS = kernels.supported_instruction_sets()
SEARCHES: list[Any] = [
    "automatic",
    "panels",
    "lanes",
    "words",
    "grid",
    "float_filter",
    "byte_filter",
    "axes_filter",
]


def scaled_problem(random: np.random.Generator) -> tuple[NDArray[Any], NDArray[Any]]:
    """Points and centers with columns of 1e-30 to 1e17, ties, far groups and outliers."""
    n, d, k = (
        int(random.integers(1, 300)),
        int(random.integers(1, 70)),
        int(random.integers(1, 150)),
    )
    dtype = random.choice([np.float32, np.float64])
    kind = random.choice(["normal", "integers", "two groups", "subset"])
    points = random.normal(size=(n, d))
    centers = random.normal(size=(k, d))
    if kind == "integers":
        points, centers = np.rint(points), np.rint(centers)
    if kind == "two groups":
        points[::2] += 1e8
        centers[::2] += 1e8
    scales = 10.0 ** random.integers(-30, 18, d) if random.random() < 0.5 else np.ones(d)
    if random.random() < 0.3:
        scales[random.integers(d)] = 10.0 ** random.integers(-30, 18)
    points, centers = points * scales, centers * scales
    if kind == "subset":
        centers = points[random.integers(n, size=k)]
    for _ in range(int(random.integers(3))):  # far from everything
        points[random.integers(n)] *= 10.0 ** random.integers(1, 18)
    if random.random() < 0.5:
        points[random.random(points.shape) < random.random()] = 0
    most = 1e30  # squares must fit float64
    return np.clip(points, -most, most).astype(dtype), np.clip(centers, -most, most).astype(dtype)


def all_labels(
    points: NDArray[Any], centers: NDArray[Any], cosine: bool
) -> dict[str, NDArray[np.int32]]:
    """The labels of each kernel at each level, in one batch and in halves, dense and sparse."""
    found = {}
    half = len(points) // 2
    sparse = scipy.sparse.csr_array(points)
    memories = {search: kernels.AssignmentMemory() for search in SEARCHES}
    for level in LEVELS:
        kernels.set_instruction_set(level)
        for search in SEARCHES:

            def assign(rows: Any, search: Any = search, **options: Any) -> NDArray[np.int32]:
                result = kernels.assign(rows, centers, cosine=cosine, search=search, **options)
                return result.cluster_index

            name = f"{level} {search}"
            found[name] = assign(points)
            found[f"{name} in halves"] = np.concatenate(
                [assign(points[:half]), assign(points[half:])]
            )
            found[f"{name} remembered"] = assign(points, memory=memories[search])
        found[f"{level} sparse"] = kernels.assign(sparse, centers, cosine=cosine).cluster_index
        if cosine:
            distances = kernels.all_distances(points, centers, cosine=True)
            found[f"{level} all_distances"] = distances.argmin(axis=1)
            distances = kernels.all_distances(sparse, centers, cosine=True)
            found[f"{level} sparse all_distances"] = distances.argmin(axis=1)
    kernels.set_instruction_set("")
    return found


def check_rounds(seed: int) -> None:
    random = np.random.default_rng(seed)
    points, centers = scaled_problem(random)
    for cosine in (False, True):
        found = all_labels(points, centers, cosine)
        first = found["scalar panels"]
        different = {name: (labels != first).sum() for name, labels in found.items()}
        assert not any(different.values()), (seed, cosine, different)


@settings(max_examples=12)
@given(seed=st.integers(0, 2**32 - 1))
def test_labels_are_the_same_everywhere(seed: int) -> None:
    check_rounds(seed)


@pytest.mark.slow
@settings(max_examples=SLOW // 20)
@given(seed=st.integers(0, 2**32 - 1))
def test_labels_are_the_same_everywhere_in_many_rounds(seed: int) -> None:
    check_rounds(seed)


def exact_labels(points: NDArray[Any], centers: NDArray[Any]) -> list[int]:
    """The nearest centers in exact arithmetic, the lowest index on ties."""

    def fractions(rows: NDArray[Any]) -> list[list[Fraction]]:
        return [[Fraction(float(value)) for value in row] for row in rows]

    exact_centers = fractions(centers)
    labels = []
    for row in fractions(points):
        distances = [
            sum(((x - c) ** 2 for x, c in zip(row, center, strict=True)), Fraction(0))
            for center in exact_centers
        ]
        labels.append(distances.index(min(distances)))
    return labels


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1))
def test_labels_are_those_of_exact_arithmetic(seed: int) -> None:
    random = np.random.default_rng(seed)
    points, centers = scaled_problem(random)
    points, centers = points[:12, :9], centers[:20, :9]
    # Ties to the last bit, and near ties that float64 distances cannot see.
    centers[::3] = centers[0]
    centers[1::4, 0] = np.nextafter(centers[0, 0], np.inf)
    points[::2] = points[0] * 10.0 ** random.integers(0, 9)
    truth = exact_labels(points, centers)
    for name, labels in all_labels(points, centers, cosine=False).items():
        assert labels.tolist() == truth, name


def test_one_row_far_away_does_not_change_a_run() -> None:
    # A proof by scores accepted a gap that float64 differences could not see.
    random = np.random.default_rng(0)
    points = random.normal(size=(4200, 64)).astype(np.float32)
    points[100] = 1e17
    centers = points[200:300].copy()
    found = all_labels(points, centers, cosine=False)
    assert {labels[100] for labels in found.values()} == set(exact_labels(points[100:101], centers))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_run_with_one_row_far_away_is_the_same_on_all_levels(dtype: Any) -> None:
    random = np.random.default_rng(0)
    points = random.normal(size=(4200, 64)).astype(dtype)
    points[100] = 1e17
    ends = []
    for level in LEVELS:
        kernels.set_instruction_set(level)
        for stops in ((3,), (1, 2, 3)):
            model = centroids.KMeansClustering(
                100, initial_clusters=points[200:300], use_mini_batch=False
            )
            for steps in stops:
                model.train(lambda: points, max_steps=steps)
            ends.append(model.cluster_centers())
    kernels.set_instruction_set("")
    for other in ends[1:]:
        np.testing.assert_array_equal(other, ends[0])


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_that_overflow_prove_nothing(dtype: Any, level: str) -> None:
    # The first center is nearest to the first point, and no distance overflows; but after the first
    # of two products its score is infinite. A finite one of another center was taken for lower.
    corners = np.array([[-0.3, 0.9], [0.3, -0.9], [0, 0]])
    directions = np.vstack([[[0.3, 0.9]], np.random.default_rng(0).uniform(-0.6, 0.6, (40, 2))])
    kernels.set_instruction_set(level)
    for size in (0.3, 0.5, 0.9, 1, 1.1):
        largest = size * np.sqrt(float(np.finfo(dtype).max))
        points, centers = (directions * largest).astype(dtype), (corners * largest).astype(dtype)
        truth = exact_labels(points, centers)
        assert truth[0] == 0
        for search in SEARCHES:
            found = kernels.assign(points, centers, search=search)
            assert found.cluster_index.tolist() == truth, (search, size)
    kernels.set_instruction_set("")


LAYOUTS: dict[str, Any] = {"dense": np.asarray, "sparse": scipy.sparse.csr_array}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_points_orthogonal_to_all_centers_belong_to_the_first(dtype: Any, layout: str) -> None:
    random = np.random.default_rng(0)
    centers = np.zeros((4, 40), dtype)
    centers[:, :30] = random.random((4, 30))
    points = np.zeros((50, 40), dtype)
    points[:, 30:] = random.random((50, 10))
    given = LAYOUTS[layout](points)
    assert (kernels.all_distances(given, centers, cosine=True) == 1).all()
    for level in LEVELS:
        kernels.set_instruction_set(level)
        for search in SEARCHES:
            found = kernels.assign(given, centers, cosine=True, search=search)
            assert (found.cluster_index == 0).all()
    kernels.set_instruction_set("")


def test_sparse_rows_under_cosine_have_one_label_in_all_layouts_and_types() -> None:
    points = scipy.sparse.random(500, 300, 0.01, format="csr", dtype="f4", random_state=0)
    centers = points[::25].toarray()
    labels = []
    for layout in LAYOUTS.values():
        for dtype in (np.float32, np.float64):
            given = layout(points.toarray().astype(dtype))
            own = centers.astype(dtype)
            labels.append(kernels.assign(given, own, cosine=True).cluster_index)
            distances = kernels.all_distances(given, own, cosine=True)
            labels.append(distances.argmin(axis=1))
    overlap = (points @ centers.T > 0).any(axis=1)
    assert 50 < (~overlap).sum() < 450  # orthogonal to all centers
    assert (labels[0][~overlap] == 0).all()
    for other in labels[1:]:
        np.testing.assert_array_equal(other, labels[0])


def test_sparse_trainings_under_cosine_agree_with_dense_ones() -> None:
    points = scipy.sparse.random(400, 200, 0.01, format="csr", dtype="f4", random_state=1)
    centers = {}
    for layout, convert in LAYOUTS.items():
        given = convert(points.toarray())
        model = centroids.KMeansClustering(
            6,
            initial_clusters=points[:6].toarray(),
            distance_metric="cosine",
            use_mini_batch=False,
        )
        centers[layout] = model.train(lambda given=given: given, steps=5).cluster_centers()
    np.testing.assert_allclose(centers["dense"], centers["sparse"], atol=1e-6)


@pytest.mark.parametrize("level", LEVELS)
def test_sparse_products_that_overflow_float32_shut_nobody_out(level: str) -> None:
    kernels.set_instruction_set(level)
    points = scipy.sparse.csr_array(np.array([[1e20, 0], [-1e20, 0], [1e20, 1e20]], np.float32))
    for centers in ([[1e25, 0], [1e18, 0]], [[-1e25, 0], [1e18, 0]], [[1e25, -1e25], [1e18, 0]]):
        given = np.array(centers, np.float32)
        found = kernels.assign(points, given).cluster_index.tolist()
        assert found == exact_labels(points.toarray(), given)
    kernels.set_instruction_set("")
