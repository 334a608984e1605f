"""Arrays in, arrays out: the typed face of the native extension.

Everything above this layer is free of pointers; everything below it is free of Python.
"""

from centroids.kernels.dense_or_sparse import Points, check_points, num_rows, result_dtype
from centroids.kernels.functions import (
    SAMPLING_BLOCK,
    Assignment,
    AssignmentMemory,
    NonFiniteError,
    add_center,
    all_distances,
    assign,
    candidate_potentials,
    find_nonfinite,
)
from centroids.kernels.machine import (
    default_num_threads,
    instruction_set,
    num_threads,
    set_instruction_set,
    set_num_threads,
    supported_instruction_sets,
)

__all__ = [
    "SAMPLING_BLOCK",
    "Assignment",
    "AssignmentMemory",
    "NonFiniteError",
    "Points",
    "add_center",
    "all_distances",
    "assign",
    "candidate_potentials",
    "check_points",
    "default_num_threads",
    "find_nonfinite",
    "instruction_set",
    "num_rows",
    "num_threads",
    "result_dtype",
    "set_instruction_set",
    "set_num_threads",
    "supported_instruction_sets",
]
