from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

SAMPLING_BLOCK: int

LAST_BIT: int

class AssignmentMemory: ...

class ExactSums:
    @overload
    def __init__(self) -> None: ...
    @overload
    def __init__(self, num_clusters: int, dimensions: int) -> None: ...
    @property
    def shape(self) -> tuple[int, int]: ...
    def __add__(self, other: ExactSums) -> ExactSums: ...
    def __sub__(self, other: ExactSums) -> ExactSums: ...
    def round(self, sums: NDArray[np.float64]) -> None: ...

class SeedingFloat32:
    def __init__(self, points: NDArray[Any], type: int, normalize: bool) -> None: ...
    def start(
        self,
        center: int,
        closest: NDArray[np.float64],
        block_sums: NDArray[np.float64],
    ) -> int: ...
    def add_best(
        self,
        candidates: NDArray[np.int64],
        closest: NDArray[np.float64],
        block_sums: NDArray[np.float64],
    ) -> int: ...

class SeedingFloat64(SeedingFloat32): ...

def assign(
    points: NDArray[Any],
    type: int,
    normalize: bool,
    centers: NDArray[Any],
    penalties: NDArray[np.float64] | None,
    units: NDArray[np.float64] | None,
    cluster_index: NDArray[np.int32] | None,
    sums: ExactSums | None,
    counts: NDArray[np.int64] | None,
    search: int,
    block_rows: int,
    memory: AssignmentMemory | None,
) -> tuple[int, bytes, int, bool, int, int, int, int]: ...
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
    sums: ExactSums | None,
    counts: NDArray[np.int64] | None,
) -> tuple[int, bytes]: ...
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
