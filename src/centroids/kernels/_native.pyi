from typing import Any

import numpy as np
from numpy.typing import NDArray

TOTAL_DIGITS: int

class AssignmentMemory: ...

class RowWeights:
    def __init__(self, distances: NDArray[np.float64], times: NDArray[np.int64] | None) -> None: ...
    def add_up(self) -> None: ...
    def total(self, digits: NDArray[np.uint32]) -> None: ...
    def find(self, digits: NDArray[np.uint32], rows: NDArray[np.int64]) -> None: ...

class SeedingFloat32:
    def __init__(self, points: NDArray[Any], type: int, normalize: bool) -> None: ...
    def start(self, center: NDArray[Any], weights: RowWeights) -> int: ...
    def propose(
        self, candidates: NDArray[Any], weights: RowWeights, digits: NDArray[np.uint32]
    ) -> None: ...
    def take(self, candidate: int, weights: RowWeights) -> None: ...

class SeedingFloat64(SeedingFloat32): ...

def distances_to(
    points: NDArray[Any],
    type: int,
    normalize: bool,
    vectors: NDArray[Any],
    labels: NDArray[np.int32],
    distances: NDArray[np.float64],
) -> None: ...
def assign(
    points: NDArray[Any],
    type: int,
    normalize: bool,
    centers: NDArray[Any],
    penalties: NDArray[np.float64] | None,
    units: NDArray[np.float64] | None,
    cluster_index: NDArray[np.int32] | None,
    sums: NDArray[np.float64] | None,
    counts: NDArray[np.int64] | None,
    inertia: NDArray[np.float64] | None,
    search: int,
    block_rows: int,
    memory: AssignmentMemory | None,
) -> tuple[int, int, bool, int, int, int, int]: ...
def all_distances(
    points: NDArray[Any],
    type: int,
    normalize: bool,
    centers: NDArray[Any],
    penalties: NDArray[np.float64] | None,
    units: NDArray[np.float64] | None,
    distances: NDArray[Any],
) -> int: ...
def assign_sparse(
    values: NDArray[Any],
    columns: NDArray[Any],
    row_starts: NDArray[Any],
    normalize: bool,
    centers: NDArray[Any],
    penalties: NDArray[np.float64] | None,
    units: NDArray[np.float64] | None,
    cluster_index: NDArray[np.int32],
    sums: NDArray[np.float64] | None,
    counts: NDArray[np.int64] | None,
    inertia: NDArray[np.float64] | None,
) -> int: ...
def all_distances_sparse(
    values: NDArray[Any],
    columns: NDArray[Any],
    row_starts: NDArray[Any],
    normalize: bool,
    centers: NDArray[Any],
    penalties: NDArray[np.float64] | None,
    units: NDArray[np.float64] | None,
    distances: NDArray[Any],
) -> int: ...
def find_nonfinite(points: NDArray[Any], type: int) -> tuple[int, int] | None: ...
def compiled_levels() -> list[str]: ...
def supported_levels() -> list[str]: ...
def current_level() -> str: ...
def set_level(name: str) -> None: ...
def fingerprint_keys() -> list[int]: ...
def enter_float_mode() -> int: ...
def leave_float_mode(before: int) -> None: ...
def num_threads() -> int: ...
def default_num_threads(root: str = "") -> int: ...
def set_num_threads(count: int) -> None: ...
