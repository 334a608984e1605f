"""Lets the power fail after each operation of a run and of exports, and looks at what is left.

    python -m tests.crash.power_loss [training|asynchronous|resumed|export|file|prediction ...]
        [--choices 20]

What a program does is recorded once. Then, for each operation, `disk.py` works out what the disk
may hold if the power fails after it: all that was synced, and any of the rest. What must hold: the
newest checkpoint is whole and at least the last one whose saving had ended; exports are whole or
not there, and there once the call has returned; a prediction that is gone on with comes to its end.
At last it is made sure that a program that forgets to sync would have been found out. Linux only,
and it needs a C compiler.

Over 400 lines: a program by itself, whose parts nothing else needs.
"""

from __future__ import annotations

import argparse
import ctypes
import logging
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

import centroids
from centroids import CheckpointSaverListener
from centroids.estimator import Checkpoint, load_latest, read_checkpoint
from centroids.export.array_files import write_npz
from tests.crash import predictions
from tests.crash.cases import Case, points, prepare
from tests.crash.compare import CrashFailure, differences, load
from tests.crash.disk import Disk, Operation, State, read_record, read_state, write_state
from tests.crash.faults import is_loaded, run_with_library
from tests.crash.forked import run_forked

CASE = Case("multi-step", "limit_epochs", max_steps=None, save_steps=3, keep=2)
_MAX_RESUMED = 3
_BEGUN = 6


class Program(Protocol):
    """Something that is done, and what must be found after a power failure."""

    def begin(self, root: Path) -> None:
        """Does what has reached the disk before."""

    def run(self, root: Path, mark: Callable[[object], None]) -> None:
        """Does it under a folder, and marks what is promised from then on."""

    def check(self, root: Path, marks: list[str]) -> None:
        """Raises a CrashFailure if a promise is broken."""


@dataclass
class Training:
    """A run: the newest checkpoint is one of it, and not older than the last that was saved.

    Attributes:
        folder: Where the expected ones go.
        data: Where the files of the inputs are.
    """

    folder: Path
    data: Path
    case: ClassVar[Case] = CASE

    def __post_init__(self) -> None:
        self._resumed = 0
        every = replace(self.case, keep=0, asynchronous=False)
        run_forked(lambda: replace(every, keep=2).train(self.folder / "expected", self.data))
        self._expected = load(self.folder / "expected")
        run_forked(lambda: every.train(self.folder / "every", self.data))
        # The last step is saved twice: on time, and at the end.
        self._known = [self._expected]
        for path in (self.folder / "every").glob("*.safetensors"):
            self._known.append(read_checkpoint(path))

    def begin(self, root: Path) -> None:
        pass

    def run(self, root: Path, mark: Callable[[object], None]) -> None:
        class MarkSaves(CheckpointSaverListener):
            def after_save(self, session: Any, global_step_value: int) -> None:
                mark(global_step_value)

        model_dir = root / "models" / "model"
        self.case.train(model_dir, self.data, saving_listeners=[MarkSaves()])
        mark(self._expected.global_step)

    def check(self, root: Path, marks: list[str]) -> None:
        model_dir = root / "models" / "model"
        found = load_latest(str(model_dir))
        if found is None:
            if marks:
                raise CrashFailure(f"step {marks[-1]} was saved, but there is no checkpoint")
            return
        if marks and found.global_step < int(marks[-1]):
            raise CrashFailure(f"step {marks[-1]} was saved, the newest is {found.global_step}")
        if all(differences(found, known) for known in self._known):
            raise CrashFailure(f"the checkpoint of {found.global_step} is none of this training")
        self._resume(model_dir, found)

    def _resume(self, model_dir: Path, found: Checkpoint) -> None:
        """Goes on from a few of the folders; that takes longer than reading them."""
        if self._resumed >= _MAX_RESUMED or not differences(found, self._expected):
            return
        if found.global_step == 0 and self._resumed:
            return
        self._resumed += 1
        outcome = run_forked(lambda: self.case.train(model_dir, self.data))
        if outcome.code != 0 or differences(load(model_dir), self._expected):
            raise CrashFailure(f"going on failed:\n{outcome.output}")


class Asynchronous(Training):
    """A run that goes on while a thread writes its checkpoints."""

    # With a last step that is known to be one, so that there is one checkpoint of it.
    case = replace(CASE, max_steps=9, save_steps=1, asynchronous=True)


@dataclass
class Resumed(Training):
    """A run that goes on in a folder whose list is damaged, as after an earlier accident."""

    def begin(self, root: Path) -> None:
        model_dir = root / "models" / "model"
        begun = replace(CASE, max_steps=_BEGUN)
        run_forked(lambda: begun.train(model_dir, self.data))
        self._known.append(load(model_dir))
        # The newest is saved anew, and rotates from then on.
        names = {path.name for path in model_dir.glob("*.safetensors")}
        self._kept = names - {f"model.ckpt-{_BEGUN}.safetensors"}
        content = bytearray((model_dir / "checkpoint").read_bytes())
        content[-3] ^= 4
        (model_dir / "checkpoint").write_bytes(content)

    def check(self, root: Path, marks: list[str]) -> None:
        super().check(root, [str(_BEGUN), *marks])
        if missing := self._kept - {path.name for path in (root / "models" / "model").iterdir()}:
            raise CrashFailure(f"{missing} should have stayed, as no list told otherwise")


@dataclass
class Export:
    """Two exports: a folder with a number for a name is whole, and there once the call returned.

    Attributes:
        folder: Where the model goes.
        data: Where the files of the inputs are.
    """

    folder: Path
    data: Path

    def __post_init__(self) -> None:
        run_forked(lambda: CASE.train(self.folder / "served", self.data))
        self._whole: dict[str, bytes] | None = None

    def begin(self, root: Path) -> None:
        pass

    def run(self, root: Path, mark: Callable[[object], None]) -> None:
        model = CASE.estimator(self.folder / "served")
        receiver = centroids.export.build_raw_serving_input_receiver_fn({"x": points()})
        assets = {"deep/asset.py": __file__}
        for number in range(2):
            model.export_savedmodel(str(root / "a" / "b"), receiver, assets_extra=assets)
            mark(number + 1)

    def check(self, root: Path, marks: list[str]) -> None:
        base = root / "a" / "b"
        names = [path.name for path in base.glob("[0-9]*")]
        if len(names) < len(marks):
            raise CrashFailure(f"{len(marks)} exports had ended, but the folders are {names}")
        for name in names:
            found = _contents(base / name)
            self._whole = self._whole or found
            if set(found) != {"saved_model.pb", "assets.extra/deep/asset.py"}:
                raise CrashFailure(f"the export {name} has {sorted(found)}")
            if found["assets.extra/deep/asset.py"] != Path(__file__).read_bytes():
                raise CrashFailure(f"an asset of the export {name} is not whole")
            if found["saved_model.pb"] != self._whole["saved_model.pb"]:
                raise CrashFailure(f"the export {name} is not whole")


@dataclass
class File:
    """Two exports to one file: it holds the first, then the second, and never a part of one.

    Attributes:
        folder: Not used.
        data: Not used.
    """

    folder: Path
    data: Path

    def begin(self, root: Path) -> None:
        pass

    def run(self, root: Path, mark: Callable[[object], None]) -> None:
        for step in (1, 2):
            centers = np.full((40, 5), float(step))
            write_npz(root / "centers.npz", centers, np.ones(40, np.int64), "cosine", step)
            mark(step)

    def check(self, root: Path, marks: list[str]) -> None:
        if not (root / "centers.npz").exists():
            if marks:
                raise CrashFailure("the file had been written, but it is not there")
            return
        try:
            with np.load(root / "centers.npz") as found:
                step, centers = int(found["global_step"]), found["clusters"]
        except Exception as error:
            raise CrashFailure(f"the file is not whole: {error!r}") from error
        if step < len(marks) or not (centers == step).all():
            raise CrashFailure(f"write {len(marks)} had ended, but the file is that of {step}")


@dataclass
class Prediction:
    """A prediction in the place of another one that was interrupted.

    The file is whole or not there; --resume continues with either, and never mixes them.

    Attributes:
        folder: Where the model and the points go.
        data: Not used.
    """

    folder: Path
    data: Path

    def __post_init__(self) -> None:
        predictions.prepare(self.folder)
        predictions.save_often(300, 0.0)
        self._labels = predictions.Job(self.folder, "points.npy", "out.npy", distances=False)
        self._distances = replace(self._labels, distances=True)
        self._whole = {
            job: job.whole(self.folder / f"whole-{job.distances}")
            for job in (self._labels, self._distances)
        }

    def begin(self, root: Path) -> None:
        predictions.interrupted(self._distances, root, 2)

    def run(self, root: Path, mark: Callable[[object], None]) -> None:
        self._labels.run(root)
        mark("done")

    def check(self, root: Path, marks: list[str]) -> None:
        output = root / self._labels.output
        if output.exists() and output.read_bytes() != self._whole[self._labels]:
            raise CrashFailure("the file is not whole")
        if marks and not output.exists():
            raise CrashFailure("it had been written, but it is not there")
        job = self._labels
        outcome = run_forked(lambda: job.run(root, "--resume"))
        if outcome.code != 0 and "was 'all_distances as .npy'" in outcome.output:
            job = self._distances
            outcome = run_forked(lambda: job.run(root, "--resume"))
        if outcome.code != 0 or os.listdir(root) != [output.name]:
            raise CrashFailure(f"going on failed, with {os.listdir(root)}:\n{outcome.output}")
        if output.read_bytes() != self._whole[job]:
            raise CrashFailure(f"what went on differs:\n{outcome.output}")
        if "damaged" in outcome.output:
            raise CrashFailure(f"rows of a journal were lost:\n{outcome.output}")


PROGRAMS: dict[
    str, type[Training] | type[Resumed] | type[Export] | type[File] | type[Prediction]
] = {
    "training": Training,
    "asynchronous": Asynchronous,
    "resumed": Resumed,
    "export": Export,
    "file": File,
    "prediction": Prediction,
}


def record(program: Program, folder: Path) -> tuple[State, list[Operation]]:
    """Runs a program once, and returns what was there before and what it did."""
    root, file = folder / "recorded", folder / "record"
    root.mkdir()
    program.begin(root)
    start = read_state(root)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def mark(text: object) -> None:
        os.write(descriptor, f"mark\t{text}\t\t0\t0\n".encode())

    def work() -> None:
        ctypes.CDLL(None).faults_record(os.fsencode(root.resolve()), descriptor)
        program.run(root, mark)

    outcome = run_forked(work)
    os.close(descriptor)
    if outcome.code != 0:
        raise CrashFailure(f"the program failed:\n{outcome.output}")
    operations = read_record(file, root)
    disk = Disk(start)
    for operation in operations:
        disk.do(operation)
    (_, everything) = list(disk.failures(random.Random(0), 0))[:2]
    found = {f"./{path}": content for path, content in _contents(root).items()}
    if found != {path: content for path, (content, _) in everything.items() if path[-1] != "/"}:
        raise CrashFailure("the record does not lead to the files that are there")
    return start, operations


def check_all(
    program: Program,
    start: State,
    operations: list[Operation],
    folder: Path,
    choices: int,
    seed: int,
) -> str:
    """Lets the power fail after each operation.

    Returns:
        What was done, in words.

    Raises:
        CrashFailure: At the first that breaks a promise.
    """
    chosen, disk, seen = random.Random(seed), Disk(start), set()
    started = time.perf_counter()
    for number, operation in enumerate(operations):
        disk.do(operation)
        for choice, state in enumerate(disk.failures(chosen, choices)):
            key = hash((len(disk.marks), frozenset(state.items())))
            if key in seen:
                continue
            seen.add(key)
            root = folder / "after"
            shutil.rmtree(root, ignore_errors=True)
            write_state(state, root)
            try:
                program.check(root, disk.marks)
            except Exception as error:
                raise CrashFailure(
                    f"the power failed after operation {number} ({operation}), choice {choice}: "
                    f"{error!r}\n  in {root}"
                ) from error
    seconds = time.perf_counter() - started
    return f"{len(seen)} states after {len(operations)} operations in {seconds:.0f} s, seed {seed}"


def without_syncs(operations: list[Operation], of_folders: bool) -> list[Operation]:
    """The operations of a program that forgets to sync its folders, or its files."""
    names = {operation.path for operation in operations if operation.name in ("create", "rename")}

    def is_forgotten(operation: Operation) -> bool:
        return operation.name == "sync" and (operation.path not in names) == of_folders

    return [operation for operation in operations if not is_forgotten(operation)]


def check_that_missing_syncs_are_noticed(
    program: Program,
    start: State,
    operations: list[Operation],
    folder: Path,
    choices: int,
    seed: int,
) -> None:
    """These checks would be worth nothing if they passed without the syncs."""
    for of_folders in (False, True):
        fewer = without_syncs(operations, of_folders)
        assert len(fewer) < len(operations)
        try:
            check_all(program, start, fewer, folder, choices, seed)
        except CrashFailure:
            continue
        raise CrashFailure(f"nobody noticed missing syncs ({of_folders=})")


def _contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Lets the power fail after each operation.")
    parser.add_argument("what", nargs="*", default=list(PROGRAMS), help=" or ".join(PROGRAMS))
    parser.add_argument("--choices", type=int, default=20, help="random ones at each operation")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="centroids-power-") as name:
        folder = Path(name)
        if not is_loaded():
            sys.exit(run_with_library(folder))
        data = prepare(folder)
        logging.disable(logging.WARNING)  # of damage, which is what is made here
        for what in arguments.what:
            place = folder / what
            place.mkdir()
            program = PROGRAMS[what](place, data)
            try:
                given = (program, *record(program, place), place)
                done = check_all(*given, arguments.choices, arguments.seed)
                check_that_missing_syncs_are_noticed(*given, arguments.choices, arguments.seed)
                print(f"{what}: {done}")
            except CrashFailure as failure:
                sys.exit(f"FAILED: {what}: {failure}\n  seed {arguments.seed}")


if __name__ == "__main__":
    main()
