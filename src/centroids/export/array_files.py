"""Trained clusters as plain arrays: a NumPy archive, or a faiss index."""

from __future__ import annotations

import io
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.export.destination import check_destination, write_whole
from centroids.kernels.functions import prepare_centers


def write_npz(
    path: str | os.PathLike[str],
    centers: NDArray[Any],
    counts: NDArray[np.int64],
    distance_metric: str,
    global_step: int,
) -> str:
    """Writes centers and what belongs to them as a NumPy archive, which needs no pickle.

    The archive has `clusters`, `cluster_counts`, `distance_metric` and `global_step`, the names
    that the model's variables and settings have.

    Args:
        path: The file. One that exists is replaced, in one step.
        centers: [k, d].
        counts: [k], the number of points of each center.
        distance_metric: "squared_euclidean" or "cosine".
        global_step: The number of training steps.

    Returns:
        The path.

    Raises:
        OSError: If the file cannot be written; nothing is left behind.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = os.path.join(folder, "clusters.npz")
    ...     with np.load(write_npz(file, np.eye(2), np.array([3, 4]), "cosine", 7)) as archive:
    ...         print(archive["clusters"].tolist(), archive["distance_metric"])
    [[1.0, 0.0], [0.0, 1.0]] cosine
    """
    file = check_destination(path)
    archive = io.BytesIO()
    np.savez(
        archive,
        clusters=centers,
        cluster_counts=counts,
        distance_metric=np.array(distance_metric),
        global_step=np.array(global_step, np.int64),
    )
    write_whole(file, archive.getvalue())
    return file


def write_faiss(path: str | os.PathLike[str], centers: NDArray[Any], distance_metric: str) -> str:
    """Writes centers as a flat faiss index, whose ids are the indices of the clusters.

    It is an IndexFlatL2 of the centers, or for cosine an IndexFlatIP of the centers divided by
    their norms. faiss works in float32 and does not shift: far from the origin its distances are
    less exact than ours.

    Args:
        path: The file. One that exists is replaced, in one step.
        centers: [k, d].
        distance_metric: "squared_euclidean" or "cosine".

    Returns:
        The path.

    Raises:
        ImportError: If faiss is missing.
        ValueError: If a value of the centers overflows float32.
        OSError: If the file cannot be written; nothing is left behind.
    """
    file = check_destination(path)
    try:
        import faiss
    except ImportError as error:
        raise ImportError(
            "writing a faiss index needs faiss; install it with: pip install faiss-cpu"
        ) from error
    cosine = distance_metric == "cosine"
    if cosine:
        centers, _ = prepare_centers(centers[:0], centers, cosine=True)
    with np.errstate(over="ignore"):
        vectors = np.ascontiguousarray(centers, np.float32)
    if not np.isfinite(vectors).all():
        raise ValueError(
            f"a faiss index holds float32, but the centers reach {np.abs(centers).max():.3g}; "
            "export them as npz instead"
        )
    dimensions = vectors.shape[1]
    index = faiss.IndexFlatIP(dimensions) if cosine else faiss.IndexFlatL2(dimensions)
    index.add(vectors)
    write_whole(file, faiss.serialize_index(index).tobytes())
    return file
