"""Data at the ends of the number range: right numbers or an error that names the place."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import example, given, settings
from hypothesis import strategies as st

import centroids
from centroids import clustering
from tests.numbers import modes

PLACE = re.compile(r"batch \d+, row \d+|cluster \d+, column \d+")

# Multiples of one unit, so that ties, duplicates and points that cancel out are frequent.
UNITS = {
    np.float32: [0.0, 1e-45, 1e-38, 1e-20, 1.0, 1e10, 1e18, 1e30, 3.4e38],
    np.float64: [0.0, 5e-324, 1e-308, 1e-170, 1.0, 1e20, 1e153, 1e300, 1.7e308],
}


@st.composite
def nasty_points(draw: st.DrawFn) -> np.ndarray:
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    rows, columns = draw(st.integers(1, 12)), draw(st.integers(1, 5))
    unit = draw(st.sampled_from(UNITS[dtype]))
    other = draw(st.sampled_from(UNITS[dtype]))
    factors = st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0])
    values = draw(st.lists(factors, min_size=rows * columns, max_size=rows * columns))
    far = draw(st.lists(st.booleans(), min_size=rows, max_size=rows))
    scale = np.where(far, other, unit)[:, None]
    return np.asarray(np.array(values).reshape(rows, columns) * scale).astype(dtype)


def check_training(
    points: np.ndarray, mode: str, metric: str, sparse: bool, init: str, num_clusters: int
) -> None:
    """Four steps: every number that comes out is finite, or there is an error with a place."""
    num_clusters = min(num_clusters, len(points))
    layout: Any = scipy.sparse.csr_array(points) if sparse else points
    cosine = metric == centroids.KMeansClustering.COSINE_DISTANCE
    try:
        centers = clustering.choose_initial_centers(
            [layout], num_clusters, init, cosine=cosine, whole_input_in_batch=mode == "full"
        )
        state = modes.start(mode, centers)
        for _ in range(4):
            with clustering.locate_bad_points(0):
                batch, state = modes.step(mode, state, layout, cosine)
            assert np.isfinite(batch.inertia) and batch.inertia >= 0
            assert np.isfinite(state.centers).all()
            assert np.isfinite(state.updated_centers).all()
            check_means(points, batch.cluster_index, state, mode, cosine)
    except ValueError as error:
        assert PLACE.search(str(error)) and "too large" in str(error)
        # Nothing that fits well into the range may be refused.
        assert points.dtype == np.float64 and np.abs(points).max() > 1e150


def check_means(
    points: np.ndarray,
    index: np.ndarray,
    state: clustering.ClusterState,
    mode: str,
    cosine: bool,
) -> None:
    """Full-batch centers are the means of their points."""
    if mode != "full" or cosine:
        return
    wide = points.astype(np.longdouble)
    eps = 4 * len(points) * float(np.finfo(points.dtype).eps)
    for cluster in np.unique(index):
        mean = wide[index == cluster].mean(axis=0)
        bound = eps * np.abs(wide[index == cluster]).max(axis=0)
        smallest = float(np.finfo(points.dtype).smallest_subnormal)
        assert (np.abs(state.centers[cluster] - mean) <= bound + smallest).all()


@settings(max_examples=300, deadline=None)
@given(
    points=nasty_points(),
    mode=st.sampled_from(modes.MODES),
    metric=st.sampled_from(["squared_euclidean", "cosine"]),
    sparse=st.booleans(),
    init=st.sampled_from(["random", "kmeans_plus_plus", "kmeans_parallel", "kmeans_rejection"]),
    num_clusters=st.integers(1, 12),
)
@example(np.full((3, 2), 1.7e308), "full", "squared_euclidean", False, "random", 1)
@example(np.array([[1.0, 0.0], [-1.0, 0.0]]), "multi", "cosine", False, "random", 1)
@example(np.full((4, 2), 5e-324), "full", "cosine", True, "kmeans_plus_plus", 2)
@example(np.eye(4, dtype=np.float32) * 1e30, "mini", "squared_euclidean", True, "random", 4)
@example(np.zeros((4, 2), np.float32), "full", "cosine", False, "kmeans_plus_plus", 4)
def test_no_number_is_ever_nan(
    points: np.ndarray, mode: str, metric: str, sparse: bool, init: str, num_clusters: int
) -> None:
    check_training(points, mode, metric, sparse, init, num_clusters)


@pytest.mark.slow
@settings(max_examples=4000, deadline=None)
@given(
    points=nasty_points(),
    mode=st.sampled_from(modes.MODES),
    metric=st.sampled_from(["squared_euclidean", "cosine"]),
    sparse=st.booleans(),
    init=st.sampled_from(["random", "kmeans_plus_plus", "kmeans_parallel", "kmeans_rejection"]),
    num_clusters=st.integers(1, 12),
)
def test_no_number_is_ever_nan_in_many_examples(
    points: np.ndarray, mode: str, metric: str, sparse: bool, init: str, num_clusters: int
) -> None:
    check_training(points, mode, metric, sparse, init, num_clusters)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("scale", [5e-324, 1e-300, 1e-170, 1e160, 1e300])
def test_cosine_knows_no_scale(scale: float, sparse: bool) -> None:
    directions = np.array([[3.0, 4.0], [-3.0, 4.0], [4.0, 3.0], [0.0, 1.0]])
    model = centroids.KMeansClustering(
        2,
        initial_clusters=directions[:2] * scale,
        distance_metric="cosine",
        use_mini_batch=False,
    )
    points = directions * scale
    layout = scipy.sparse.csr_array(points) if sparse else points
    model.train(lambda: layout, steps=1)
    found = list(model.predict_cluster_index(lambda: iter([layout])))
    assert found == [0, 1, 0, 0]
    plain = clustering.l2_normalize(
        (directions[[0, 2, 3]] / [[5.0], [5.0], [1.0]]).sum(axis=0)[None]
    )
    np.testing.assert_allclose(model.cluster_centers()[0], plain[0], rtol=1e-15)


@pytest.mark.parametrize("mode", ["full", "multi"])
def test_a_center_whose_points_cancel_out_stays(mode: str) -> None:
    first = np.array([[0.6, 0.8]])
    points = np.array([[1.0, 0.0], [-1.0, 0.0]])
    for _, state in modes.run(mode, first, [points, points], cosine=True):
        np.testing.assert_array_equal(state.centers, first)


@pytest.mark.parametrize("sparse", [False, True])
def test_distances_that_their_type_cannot_hold_are_an_error(sparse: bool) -> None:
    # Labels of such points are right; their squared distances are beyond float32.
    points = np.array([[1.0, 0.0], [1e30, 0.0], [0.0, 2.0]], np.float32)
    layout = scipy.sparse.csr_array(points) if sparse else points
    model = centroids.KMeansClustering(2, initial_clusters=points[:2], use_mini_batch=False)
    model.train(lambda: layout, steps=1)
    assert list(model.predict_cluster_index(lambda: iter([layout]))) == [0, 1, 0]
    with pytest.raises(ValueError, match=r"overflow float32 in batch 0, row 0; scale"):
        next(model.transform(lambda: iter([layout])))


def test_sums_that_overflow_are_an_error_that_leaves_the_model_alone() -> None:
    model = centroids.KMeansClustering(1, initial_clusters=np.array([[1.7e308]]))
    points = np.full((3, 1), 1.7e308)
    model.train(lambda: iter([points[:1]]))
    with pytest.raises(ValueError, match=r"overflows float64 in cluster 0, column 0; scale"):
        model.train(lambda: iter([points]))
    assert model.cluster_centers().tolist() == [[1.7e308]]
