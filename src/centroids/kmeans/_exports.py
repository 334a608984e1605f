"""What an exported k-means computes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from centroids import clustering, kernels
from centroids.estimator import Batch, TensorSpec
from centroids.export import (
    DEFAULT_SERVING_SIGNATURE_DEF_KEY,
    PredictOutput,
    Tensor,
    cast,
    nearest,
    operations,
)
from centroids.export.preparation import prepare
from centroids.kmeans.variables import CLUSTERS

if TYPE_CHECKING:
    from centroids.kmeans.model import KMeansModel

CLUSTER_INDEX = "cluster_index"
ALL_DISTANCES = "all_distances"


def export_outputs(model: KMeansModel) -> dict[str, PredictOutput]:
    """The signatures of an exported model, which are those of later TensorFlow versions."""

    def points(batch: Batch) -> Tensor:
        features = model.without_weights(batch.features)  # a request may have them, to no effect
        joined = clustering.join_columns(empty_batch(features))
        dtype = np.result_type(
            kernels.result_dtype(joined), kernels.result_dtype(batch.variables[CLUSTERS])
        )
        joined_points = nearest.join_columns(features, dtype)
        return prepare(joined_points, model.preparation(batch.variables))

    def distances(batch: Batch) -> Tensor:
        centers = batch.variables[CLUSTERS]
        return nearest.all_distances(batch.get(points), centers, cosine=model.cosine)

    def all_distances(batch: Batch) -> Tensor:
        return cast(batch.get(distances), batch.get(points).dtype)

    index = PredictOutput(lambda batch: operations.arg_min(batch.get(distances)))
    return {
        ALL_DISTANCES: PredictOutput(all_distances),
        CLUSTER_INDEX: index,
        DEFAULT_SERVING_SIGNATURE_DEF_KEY: index,
    }


def empty_batch(features: TensorSpec | Mapping[str, TensorSpec]) -> Any:
    """Arrays of no rows with the described dtypes and widths: joined, they tell those of points."""
    if isinstance(features, Mapping):
        return {name: empty_batch(spec) for name, spec in features.items()}
    return np.empty([size or 0 for size in features.shape], features.dtype)
