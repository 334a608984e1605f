"""Trained clusters as plain arrays: NumPy files, or a faiss index."""

from __future__ import annotations

import io
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.export._shift import shift_of
from centroids.export.columns import Columns, check_columns
from centroids.export.destination import as_float32, check_destination
from centroids.files import replace_file
from centroids.kernels.float_mode import in_usual_float_mode
from centroids.kernels.functions import prepare_centers


@in_usual_float_mode
def write_npz(
    path: str | os.PathLike[str],
    centers: NDArray[Any],
    counts: NDArray[np.int64],
    distance_metric: str,
    global_step: int,
    columns: Columns | None = None,
) -> str:
    """Writes centers and what belongs to them as a NumPy archive, which needs no pickle.

    The archive has `clusters`, `cluster_counts`, `distance_metric` and `global_step`, the names
    that the model's variables and settings have, and `columns` if they are given.

    Args:
        path: The file. An existing one is replaced in one step.
        centers: [k, d].
        counts: [k], the number of points of each center.
        distance_metric: "squared_euclidean" or "cosine".
        global_step: The number of training steps.
        columns: The names of the d columns.

    Returns:
        The path.

    Raises:
        ValueError: If there is another number of columns.
        OSError: If the file cannot be written; nothing is left behind.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = os.path.join(folder, "clusters.npz")
    ...     with np.load(write_npz(file, np.eye(2), np.array([3, 4]), "cosine", 7)) as archive:
    ...         print(archive["clusters"].tolist(), archive["distance_metric"])
    [[1.0, 0.0], [0.0, 1.0]] cosine
    """
    file = check_destination(path)
    arrays: dict[str, NDArray[Any]] = {
        "clusters": centers,
        "cluster_counts": counts,
        "distance_metric": np.array(distance_metric),
        "global_step": np.array(global_step, np.int64),
    }
    if columns is not None:
        arrays["columns"] = np.array(check_columns(columns, centers.shape[1]))
    archive = io.BytesIO()
    np.savez(archive, **arrays)  # type: ignore[arg-type]  # its own allow_pickle
    replace_file(file, archive.getvalue())
    return file


@in_usual_float_mode
def write_npy(path: str | os.PathLike[str], centers: NDArray[Any]) -> str:
    """Writes centers as one array [k, d] in their own type.

    Args:
        path: The file. An existing one is replaced in one step.
        centers: [k, d].

    Returns:
        The path.

    Raises:
        OSError: If the file cannot be written; nothing is left behind.
    """
    file = check_destination(path)
    data = io.BytesIO()
    np.save(data, centers, allow_pickle=False)
    replace_file(file, data.getvalue())
    return file


@in_usual_float_mode
def write_faiss(path: str | os.PathLike[str], centers: NDArray[Any], distance_metric: str) -> str:
    """Writes centers as a flat faiss index, whose ids are the indices of the clusters.

    It is an IndexFlatL2 of the centers, or for cosine an IndexFlatIP of the centers divided by
    their norms. faiss works in float32 and loses distances far from the origin. Centers that lie
    there are therefore shifted to it: an IndexPreTransform of a CenteringTransform, which also
    shifts each point, and an IndexFlatL2. For cosine, what counts is where the centers of length 1
    lie; a NormalizationTransform then comes first, and distances are twice those of cosine.

    Args:
        path: The file. An existing one is replaced in one step.
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
    if distance_metric == "cosine":
        index = _search_for_directions(faiss, centers)
    else:
        index = _search_for_nearest(faiss, centers)
    replace_file(file, faiss.serialize_index(index).tobytes())
    return file


def _search_for_directions(faiss: Any, centers: NDArray[Any]) -> Any:
    """An index of cosines; or of squared distances of unit vectors if centers are much alike."""
    wide = centers.astype(np.float64)
    units, _ = prepare_centers(wide[:0], wide, cosine=True)
    if not shift_of(units).any():
        index = faiss.IndexFlatIP(centers.shape[1])
        index.add(as_float32(units, "a faiss index holds float32"))
        return index
    shifted = _search_for_nearest(faiss, units)
    shifted.prepend_transform(faiss.NormalizationTransform(centers.shape[1], 2.0))
    return shifted


def _search_for_nearest(faiss: Any, centers: NDArray[Any]) -> Any:
    """An index of squared distances, which shifts centers and points if needed."""
    dimensions = centers.shape[1]
    vectors = as_float32(centers, "a faiss index holds float32")
    shift = shift_of(centers).astype(np.float32)
    index = faiss.IndexFlatL2(dimensions)
    if not shift.any():
        index.add(vectors)
        return index
    index.add(np.ascontiguousarray(centers - shift.astype(np.float64), np.float32))
    centering = faiss.CenteringTransform(dimensions)
    faiss.copy_array_to_vector(shift, centering.mean)
    centering.is_trained = True
    shifted = faiss.IndexPreTransform(index)
    shifted.prepend_transform(centering)
    return shifted
