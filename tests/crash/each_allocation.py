"""Lets each allocation of memory fail, one after another: of the kernels, and of a run.

    python -m tests.crash.each_allocation kernels|training [--sample 50] [--seed 7]

All allocations are counted in one run; then it is repeated with a failure at each of them. What
must come is a MemoryError or, where one can do without, the right result; and what was there goes
on working: the same call gives the right result, the same training comes to the right bits.
Linux with glibc only, and it needs a C compiler.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from centroids import KMeansClustering, RunConfig, kernels
from centroids.inputs import numpy_input_fn
from centroids.kernels._seeding import Seeding
from tests.crash.cases import Case, prepare
from tests.crash.compare import CrashFailure, differences, load
from tests.crash.faults import is_loaded, run_with_library
from tests.crash.forked import run_forked

SOURCE = Path(__file__).with_name("memory.c")


@dataclass(frozen=True)
class Kind:
    """Which allocations fail.

    Attributes:
        number: As in memory.c: of C, or of C++.
        least_bytes: Smaller ones do not count.
    """

    number: int
    least_bytes: int


# Ours are those of C++, and arrays. NumPy and Python themselves do not survive a failure at each of
# their own: where NumPy has no room to convert by parts of 64 KiB, it ends the process.
KINDS = {"C++": Kind(1, 1), "arrays": Kind(0, 70_000)}


@dataclass(frozen=True)
class Large:
    """A run with arrays that are large enough to count: of points and of centers.

    Attributes:
        asynchronous: Whether a thread writes the checkpoints.
    """

    asynchronous: bool = False

    def __str__(self) -> str:
        return "large arrays" + ", asynchronous checkpoints" * self.asynchronous

    def train(self, model_dir: Path, data: Path) -> object:
        """Trains, or goes on with it."""
        points = np.random.default_rng(0).normal(size=(4000, 24)).astype(np.float32)
        config = RunConfig(
            save_checkpoints_steps=1 if self.asynchronous else 2,
            log_step_count_steps=None,
            asynchronous_checkpoints=self.asynchronous,
        )
        model = KMeansClustering(1500, str(model_dir), random_seed=3, config=config)
        input_fn = numpy_input_fn(points, batch_size=2000, num_epochs=2, shuffle=True)
        return model.train(input_fn, max_steps=4)


CASES = (
    Large(),
    Large(asynchronous=True),
    Case("full batch", "array", max_steps=4, save_steps=2, keep=2),
    Case("k-means++", "epochs", max_steps=4, save_steps=2, keep=2),
    Case("multi-step", "slow", max_steps=6, save_steps=3, keep=2),
)


# NumPy's reductions forget to say what is wrong, and Python says that.
_NO_MEMORY = (MemoryError, SystemError, OSError)


def _check_error(error: Exception) -> None:
    if isinstance(error, OSError) and error.errno != errno.ENOMEM:
        raise error
    if isinstance(error, SystemError) and "without setting an exception" not in str(error):
        raise error


class Failing:
    """Counts the allocations of a kind within a block, and lets number `at` fail; -1: none."""

    def __init__(self, kind: Kind, at: int = -1) -> None:
        self._library, self._kind, self._at = ctypes.CDLL(None), kind, at
        self.count = 0

    def __enter__(self) -> Failing:
        least = ctypes.c_size_t(self._kind.least_bytes)
        self._library.memory_arm(self._kind.number, ctypes.c_long(self._at), least, 0)
        return self

    def __exit__(self, *exception: object) -> None:
        self._library.memory_disarm.restype = ctypes.c_long
        self.count = self._library.memory_disarm()


def kernel_calls() -> dict[str, Callable[[], Any]]:
    """Calls of each kernel that give arrays; each in several threads where it has them."""
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(6000, 24)).astype(np.float32)
    centers = rows[:300].copy()
    sparse = scipy.sparse.csr_array(np.where(rows > 1, rows, 0))
    few = rows[:, :2].copy()

    def assigned(points: Any, which: Any, **options: Any) -> Any:
        result = kernels.assign(points, which, update=True, **options)
        return [result.cluster_index, result.sums, result.counts, np.array(result.inertia)]

    def with_memory() -> Any:
        memory = kernels.AssignmentMemory()
        for moved in (centers, centers * np.float32(1.01)):
            try:
                found = assigned(rows, moved, memory=memory)
            except _NO_MEMORY:
                # What is remembered must be right nevertheless.
                expected = assigned(rows, centers * np.float32(1.02))
                _compare(assigned(rows, centers * np.float32(1.02), memory=memory), expected)
                raise
        return found

    def seeded() -> Any:
        seeding = Seeding(rows)
        seeding.start(rows[3])
        for candidates in ([5, 9], [100, 7, 8], [4000]):
            seeding.propose(rows[candidates])
            seeding.take(0)
        return [seeding.closest, seeding.weights.find([seeding.weights.total // 2])]

    calls: dict[str, Callable[[], Any]] = {
        f"assign, {search}": lambda search=search: assigned(rows, centers, search=search)
        for search in (
            "automatic",
            "panels",
            "lanes",
            "words",
            "float_filter",
            "byte_filter",
            "axes_filter",
        )
    }
    return calls | {
        "assign, float64": lambda: assigned(rows.astype(np.float64), centers.astype(np.float64)),
        "assign, cosine": lambda: assigned(rows, centers, cosine=True),
        "assign, grid": lambda: assigned(few, few[:300], search="grid"),
        "assign with memory": with_memory,
        "assign, sparse": lambda: assigned(sparse, centers),
        "all_distances": lambda: [kernels.all_distances(rows, centers)],
        "all_distances, sparse": lambda: [kernels.all_distances(sparse, centers)],
        "seeding": seeded,
    }


def _compare(found: list[Any], expected: list[Any]) -> None:
    for one, other in zip(found, expected, strict=True):
        if one.tobytes() != other.tobytes():
            raise CrashFailure("the result differs")


def check_kernel(call: Callable[[], Any], kind: Kind, at: int, expected: Any) -> None:
    """Lets one allocation of a call fail, and calls again.

    Raises:
        CrashFailure: If another error comes than MemoryError, or another result.
    """
    with Failing(kind, at):
        try:
            found = call()
        except _NO_MEMORY as error:
            _check_error(error)
            found = None
    if found is not None:
        _compare(found, expected)
    _compare(call(), expected)


class Training:
    """Trainings of one case in which an allocation fails."""

    def __init__(self, case: Case | Large, folder: Path, data: Path) -> None:
        self.case, self.folder, self.data = case, folder, data
        run_forked(lambda: case.train(folder / "expected", data))
        self._expected = load(folder / "expected")

    def count(self, kind: Kind) -> int:
        """How many allocations a run makes."""

        def work() -> None:
            with Failing(kind) as failing:
                self.case.train(self.folder / f"counted-{kind.number}", self.data)
            print(f"count {failing.count}")

        return int(run_forked(work).output.split()[-1])

    def check(self, kind: Kind, at: int) -> None:
        """Lets one allocation fail, then trains again, in the same process."""
        model_dir = self.folder / "model"
        shutil.rmtree(model_dir, ignore_errors=True)
        outcome = run_forked(lambda: self._train_twice(model_dir, kind, at))
        if outcome.code != 0 or "well" not in outcome.output:
            raise CrashFailure(f"ended with {outcome.code}:\n{outcome.output}")

    def _train_twice(self, model_dir: Path, kind: Kind, at: int) -> None:
        try:
            with Failing(kind, at):
                self.case.train(model_dir, self.data)
        except _NO_MEMORY as error:
            _check_error(error)
            self.case.train(model_dir, self.data)
        if different := differences(load(model_dir), self._expected):
            raise CrashFailure(f"the next training differs in {different}")
        print("well")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Lets each allocation of memory fail.")
    parser.add_argument("what", choices=["kernels", "training"])
    parser.add_argument("--sample", type=int, help="only so many of each, drawn at random")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="centroids-memory-") as name:
        folder = Path(name)
        if not is_loaded("memory_arm"):
            sys.exit(run_with_library(folder, SOURCE, "-Wl,--no-as-needed", "-lstdc++"))
        generator = random.Random(arguments.seed)
        try:
            run = _run_kernels if arguments.what == "kernels" else _run_trainings
            run(folder, arguments.sample, generator)
        except CrashFailure as failure:
            sys.exit(f"FAILED: {failure}\n  seed {arguments.seed}")


def _numbers(count: int, sample: int | None, generator: random.Random) -> list[int]:
    return (
        list(range(count)) if sample is None else generator.sample(range(count), min(sample, count))
    )


def _run_kernels(folder: Path, sample: int | None, generator: random.Random) -> None:
    kernels.set_num_threads(2)
    for name, call in kernel_calls().items():
        expected = call()
        done = {}
        for kind_name, kind in KINDS.items():
            with Failing(kind) as failing:
                call()
            done[kind_name] = numbers = _numbers(failing.count, sample, generator)
            for at in numbers:
                try:
                    check_kernel(call, kind, at, expected)
                except Exception as error:
                    raise CrashFailure(f"{name}, {kind_name} {at}: {error!r}") from error
        print(name, {kind: len(numbers) for kind, numbers in done.items()}, flush=True)


def _run_trainings(folder: Path, sample: int | None, generator: random.Random) -> None:
    data = prepare(folder)
    # Where nanobind needs more room for its objects, a failure ends the process: there is enough.
    _ = [kernels.AssignmentMemory() for _ in range(100)]
    for index, case in enumerate(CASES):
        (folder / str(index)).mkdir()
        training = Training(case, folder / str(index), data)
        done = {}
        for kind_name, kind in KINDS.items():
            done[kind_name] = numbers = _numbers(training.count(kind), sample, generator)
            for at in numbers:
                try:
                    training.check(kind, at)
                except CrashFailure as failure:
                    raise CrashFailure(f"{case}, {kind_name} {at}: {failure}") from failure
        print(case, {kind: len(numbers) for kind, numbers in done.items()}, flush=True)


if __name__ == "__main__":
    main()
