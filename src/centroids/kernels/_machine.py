"""Threads and instruction sets: what the kernels run on."""

from __future__ import annotations

from typing import Literal, TypeAlias

from centroids.checks import as_integer
from centroids.kernels import _native

InstructionSet: TypeAlias = Literal[
    "scalar", "avx2", "avxvnni", "avx512", "avx512vnni", "neon", "neondot"
]


def num_threads() -> int:
    """The number of threads that the kernels use at most.

    Returns:
        What `set_num_threads` chose; else `CENTROIDS_NUM_THREADS`; else the smallest of the
        calling thread's CPU affinity, the container's CPU quota and `OMP_NUM_THREADS`. All but the
        affinity are read once in a process.

    Raises:
        ValueError: If `CENTROIDS_NUM_THREADS` is needed but is not an integer from 1 to 4096. Every
            computation raises it too; the import does not, because a program may use
            `set_num_threads`, or compute nothing.
    """
    return _native.num_threads()


def check_environment() -> None:
    """Checks what the environment chooses: `CENTROIDS_NUM_THREADS` and `CENTROIDS_ISA`.

    Every computation checks it too, but only once it has begun.

    Raises:
        ValueError: If one of them has a value that is not allowed, and nothing else was chosen
            since.
    """
    num_threads()
    instruction_set()


def default_num_threads() -> int:
    """The number of threads when nothing was chosen in this process; see `num_threads`."""
    return _native.default_num_threads()


def set_num_threads(count: int) -> None:
    """Chooses the number of threads. Results never depend on it, to the bit.

    Args:
        count: At least 1; or 0 to go back to the default.

    Raises:
        ValueError: If `count` is negative or above 4096.
        TypeError: If it is not an integer.

    >>> set_num_threads(2)
    >>> num_threads()
    2
    >>> set_num_threads(0)
    """
    allowed = "count must be an integer from 0 (the default) to 4096"
    number = as_integer(count)
    if number is None:
        raise TypeError(f"{allowed}, got {count!r}")
    if not 0 <= number <= 4096:
        raise ValueError(f"{allowed}, got {number}")
    _native.set_num_threads(number)


def instruction_set() -> InstructionSet:
    """The instruction-set level that runs."""
    return _native.current_level()


def supported_instruction_sets() -> list[InstructionSet]:
    """The levels of this build that this processor has, best first; "scalar" is always there."""
    return _native.supported_levels()


def set_instruction_set(name: InstructionSet | Literal[""]) -> None:
    """Forces a level, as the environment variable `CENTROIDS_ISA` does; "" chooses the best.

    Raises:
        ValueError: If this build or this processor lacks the level; says which there are.
    """
    _native.set_level(name)
