"""What `initial_clusters` may be, and what becomes of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from centroids import KMeansClustering

MODES: dict[str, dict[str, Any]] = {
    "full": {"use_mini_batch": False},
    "mini": {},
    "multi": {"mini_batch_steps_per_iteration": 3},
}

# Rows of very different lengths; TensorFlow 1.15.5 was trained on them with the given centers.
POINTS = np.array(
    [
        [1, 2, 3],
        [40, 1, 0],
        [0, 5, 50],
        [-2, 1, 1],
        [300, 200, 10],
        [1, -1, 0.5],
        [7, 7, 7],
        [0.01, 0.02, 0.5],
    ],
    np.float32,
)
GIVEN = np.array([[100, 0, 0], [0, 1, 20], [-3, 0.5, 0.25]], np.float32)
FULL = [
    [0.989126, -0.0345222, 0.1429621],
    [0.2336593, 0.3381786, 0.9116132],
    [-0.8164966, 0.4082483, 0.4082483],
]
# Of mini-batches the first step alone: from the second on, and with the counts of some first ones,
# TensorFlow's result depends on which of its threads comes first.
FROM_TENSORFLOW = [
    ("full", 1, FULL),
    ("full", 7, FULL),
    (
        "mini",
        1,
        [
            [0.8745212, -0.0217969, 0.0902644],
            [0.1729183, 0.2602548, 0.874385],
            [-0.8997875, 0.2860473, 0.2450857],
        ],
    ),
    (
        "multi",
        1,
        [[1, 0, 0], [0, 0.0499376, 0.9987524], [-0.9830784, 0.1638464, 0.0819232]],
    ),
]


@pytest.mark.parametrize(("mode", "steps", "expected"), FROM_TENSORFLOW)
@pytest.mark.parametrize("kind", ["array", "callable"])
def test_cosine_normalises_given_centers_as_tensorflow_does(
    kind: str, mode: str, steps: int, expected: Any
) -> None:
    given: Any = GIVEN if kind == "array" else lambda points, k: GIVEN
    model = KMeansClustering(
        3, initial_clusters=given, distance_metric="cosine", **MODES[mode]
    ).train(lambda: POINTS, steps=steps)
    np.testing.assert_allclose(model.cluster_centers(), expected, atol=2e-7)


def test_cosine_mini_batches_do_not_feel_the_length_of_given_centers() -> None:
    model = KMeansClustering(
        1, initial_clusters=np.array([[100.0, 0.0]], np.float32), distance_metric="cosine"
    ).train(lambda: iter([np.array([[0.0, 1.0]], np.float32)]))
    np.testing.assert_allclose(model.cluster_centers(), [[0.5, 0.5]])


@pytest.mark.parametrize("kind", ["array", "callable"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e17, 1e300])
def test_cosine_takes_given_centers_of_any_length(scale: float, mode: str, kind: str) -> None:
    wide = GIVEN.astype(np.float64)
    centers = []
    for given in (wide, wide * scale):
        initial: Any = given if kind == "array" else lambda points, k, given=given: given
        model = KMeansClustering(
            3, initial_clusters=initial, distance_metric="cosine", **MODES[mode]
        )
        centers.append(model.train(lambda: POINTS, steps=2).cluster_centers())
    np.testing.assert_allclose(centers[1], centers[0], rtol=1e-6)


@pytest.mark.parametrize("kind", ["array", "callable"])
def test_given_centers_that_overflow_the_type_of_the_points(kind: str) -> None:
    given = np.array([[0.0, 1.0], [2.0, 1e300]])
    initial: Any = given if kind == "array" else lambda points, k: given
    model = KMeansClustering(2, initial_clusters=initial)
    with pytest.raises(ValueError, match=r"1e\+300 at row 1, column 1, which overflows float32"):
        model.train(lambda: np.ones((4, 2), np.float32), steps=1)
