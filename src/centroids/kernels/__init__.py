"""Arrays in, arrays out: the typed face of the native extension.

Everything above this layer is free of pointers; everything below it is free of Python.
"""

from centroids.kernels._columns import ColumnSums, sum_columns
from centroids.kernels._machine import (
    check_environment,
    default_num_threads,
    instruction_set,
    num_threads,
    set_instruction_set,
    set_num_threads,
    supported_instruction_sets,
)
from centroids.kernels._mini_batch import mini_batch_steps, move_centers
from centroids.kernels._nonfinite import NonFiniteError, find_nonfinite
from centroids.kernels._partial import (
    Assignment,
    Counts,
    ExactSums,
    PartialAssignment,
    rounded_sums,
)
from centroids.kernels._seeding import Seeding, accept_draws, nearest_vectors
from centroids.kernels._taken_rows import take_rows
from centroids.kernels._to_assigned import distances_to_assigned
from centroids.kernels._weights import add_weights, check_products, check_weights
from centroids.kernels.dense_or_sparse import Points, check_points, num_rows, result_dtype
from centroids.kernels.float_mode import in_usual_float_mode
from centroids.kernels.functions import (
    AssignmentMemory,
    all_distances,
    assign,
    assign_partial,
)
from centroids.kernels.normalization import l2_normalize
from centroids.kernels.row_weights import RowWeights

__all__ = [
    "Assignment",
    "AssignmentMemory",
    "ColumnSums",
    "Counts",
    "ExactSums",
    "NonFiniteError",
    "PartialAssignment",
    "Points",
    "RowWeights",
    "Seeding",
    "accept_draws",
    "add_weights",
    "all_distances",
    "assign",
    "assign_partial",
    "check_environment",
    "check_points",
    "check_products",
    "check_weights",
    "default_num_threads",
    "distances_to_assigned",
    "find_nonfinite",
    "in_usual_float_mode",
    "instruction_set",
    "l2_normalize",
    "mini_batch_steps",
    "move_centers",
    "nearest_vectors",
    "num_rows",
    "num_threads",
    "result_dtype",
    "rounded_sums",
    "set_instruction_set",
    "set_num_threads",
    "sum_columns",
    "supported_instruction_sets",
    "take_rows",
]
