"""The preparation of points as a graph: to the bit what `Preparation.prepare` does."""

from __future__ import annotations

import numpy as np

from centroids.export.graph import Tensor, cast, constant
from centroids.export.operations import is_nan, select
from centroids.kernels.preparation import Preparation


def prepare(points: Tensor, preparation: Preparation | None) -> Tensor:
    """Points [n, d] as they are clustered, in their own type.

    Args:
        points: In the type that they are computed in.
        preparation: What is to be done; None: nothing.
    """
    if preparation is None:
        return points
    prepared = cast(points, np.float64)
    if preparation.scales is not None:
        prepared = (prepared - preparation.means) / constant(preparation.scales)
    if preparation.fills:
        filling = constant(preparation.filling)
        prepared = select(is_nan(prepared), filling, prepared)
    return cast(prepared, points.dtype)
