"""What float64 cannot hold is an error that names the place, never an infinite loss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import centroids
from centroids import kernels
from centroids.estimator.hooks._event_files import EventWriter
from tests.tensorboard_reader import accumulate, curve

# Each squared distance fits float64, the sum of four does not.
FAR = np.array([[9e153], [-9e153], [9e153], [-9e153]])


def model(**arguments: Any) -> centroids.KMeansClustering:
    arguments.setdefault("initial_clusters", np.array([[0.0]]))
    return centroids.KMeansClustering(1, use_mini_batch=False, **arguments)


@pytest.mark.parametrize("layout", [np.asarray, scipy.sparse.csr_array])
def test_a_loss_that_overflows_is_an_error_that_changes_nothing(layout: Any) -> None:
    points = layout(FAR)
    kmeans = model().train(lambda: iter([np.array([[1.0], [2.0]])]))
    before = kmeans.cluster_centers()
    error = r"sum of their squared distances overflows float64 in batch 0; scale"
    with pytest.raises(ValueError, match=error):
        kmeans.train(lambda: iter([points]))
    np.testing.assert_array_equal(kmeans.cluster_centers(), before)
    with pytest.raises(ValueError, match=error):
        kmeans.score(lambda: iter([points]))
    with pytest.raises(ValueError, match=error):
        kmeans.evaluate(lambda: iter([points]))
    # Labels and single distances are there.
    assert list(kmeans.predict_cluster_index(lambda: iter([points]))) == [0] * 4
    assert np.isfinite(list(kmeans.transform(lambda: iter([points])))).all()


def test_a_sum_over_batches_that_overflows_is_an_error() -> None:
    kmeans = model().train(lambda: iter([np.array([[0.0]])]))
    batches = [FAR[:2], FAR[:2]]
    assert np.isfinite(kmeans.score(lambda: iter(batches)))
    with pytest.raises(ValueError, match="sum over the batches overflows float64 in batch 1"):
        kmeans.evaluate(lambda: iter(batches))


@pytest.mark.parametrize(
    "search", ["automatic", "panels", "lanes", "words", "grid", "float_filter"]
)
@pytest.mark.parametrize("far", ["point", "center"])
def test_a_distance_that_overflows_is_an_error_in_every_kernel(search: Any, far: str) -> None:
    points, centers = np.ones((5, 2)), np.zeros((1, 2))
    if far == "point":
        points[3] = 1.5e154
    else:
        centers[0] = 1.5e154
    row = 3 if far == "point" else 0
    for given in (points, scipy.sparse.csr_array(points)):
        with pytest.raises(kernels.NonFiniteError, match=f"overflow float64 at row {row}"):
            kernels.assign(given, centers, search=search)


def test_event_files_hold_what_float32_cannot(tmp_path: Path) -> None:
    with EventWriter(str(tmp_path)) as writer:
        for step, value in enumerate([1.5, 1e300, -1e39, 3e38]):
            writer.add_scalars({"loss": value}, step)
    values = [value for _, value in curve(accumulate(tmp_path), "loss")]
    assert values == [1.5, 1e300, -1e39, float(np.float32(3e38))]
