"""Fewer different points than clusters."""

from __future__ import annotations

import numpy as np

from centroids import choose_num_clusters


def test_copies_of_three_points_are_three_clusters() -> None:
    points = np.repeat(np.random.default_rng(0).normal(size=(3, 2)), 20, axis=0)
    for highest in (4, 5, 8):
        assert choose_num_clusters(points, range(2, highest)).num_clusters == 3


def test_equal_points_have_no_silhouette() -> None:
    found = choose_num_clusters(np.ones((50, 2)), range(2, 4))
    assert "there is no silhouette" in found.reason
