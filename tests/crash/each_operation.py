"""Makes each file operation of a run, an export or a prediction go wrong, one by one.

    python -m tests.crash.each_operation training|asynchronous|export|prediction [--sample 50]
        [--seed 7]

All operations are counted in one run; then it is repeated with each fault at each of them.
Linux only, and it needs a C compiler.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol

import centroids
from centroids import CheckpointSaverListener, SessionRunHook
from centroids.estimator import Checkpoint, read_checkpoint
from tests.crash import predictions
from tests.crash.cases import Case, points, prepare
from tests.crash.compare import (
    CrashFailure,
    differences,
    load,
    load_quietly,
    names_of_checkpoints,
)
from tests.crash.faults import (
    FAULTS,
    Fault,
    is_loaded,
    operations_of,
    run_with_fault,
    run_with_library,
)
from tests.crash.forked import Outcome, run_forked

CASE = Case("multi-step", "limit_epochs", max_steps=None, save_steps=3, keep=2)


class Experiment(Protocol):
    """Something that is done with a fault."""

    def prepare(self) -> list[str]:
        """Does it without a fault, and returns the operations."""

    def check(self, at: int, fault: Fault) -> None:
        """Does it with a fault; raises a CrashFailure if something is lost or left behind."""


class _PrintSaves(CheckpointSaverListener):
    def after_save(self, session: Any, global_step_value: int) -> None:
        os.write(1, b"saved %d\n" % global_step_value)


@dataclass
class Training:
    """A run. The newest checkpoint must be at least the one that was saved last, and equal to
    the bit to that of the uninterrupted training at its step; without the fault, the training goes
    on to the same end.

    Attributes:
        folder: Where the models go.
        data: Where the files of the inputs are.
    """

    folder: Path
    data: Path
    case: ClassVar[Case] = CASE
    hooks: ClassVar[list[SessionRunHook]] = []

    def prepare(self) -> list[str]:
        outcome = self._train(self.folder / "expected", -1, FAULTS["EIO"])
        if outcome.code != 0:
            raise CrashFailure(f"the training without faults failed:\n{outcome.output}")
        self._expected = load(self.folder / "expected")
        self._names = names_of_checkpoints(self.folder / "expected")
        every = replace(CASE, keep=0)
        run_forked(lambda: every.train(self.folder / "every", self.data))
        self._of_step: dict[int, Checkpoint] = {}
        for path in (self.folder / "every").glob("*.safetensors"):
            checkpoint = read_checkpoint(path)
            self._of_step[checkpoint.global_step] = checkpoint
        # The lock is of no effect without its process; the next training deletes it.
        self._known = {*names_of_checkpoints(self.folder / "every"), *self._names, "training.lock"}
        operations = operations_of(outcome)
        seen = "\n".join(operations)
        if missed := [name for name in self._names if name not in seen]:
            raise CrashFailure(f"these files were written unseen: {missed}")
        return operations

    def check(self, at: int, fault: Fault) -> None:
        model_dir = self.folder / "model"
        shutil.rmtree(model_dir, ignore_errors=True)
        outcome = self._train(model_dir, at, fault)
        _check_outcome(outcome, fault)
        newest = self._check_newest(model_dir, outcome)
        ended = newest is not None and not differences(newest, self._expected)
        if "\ndone" in outcome.output and not ended:
            raise CrashFailure(f"it ended, but the newest checkpoint is {newest}")
        left = set(names_of_checkpoints(model_dir)) - self._known
        if left and not fault.kills and not fault.lasts:
            raise CrashFailure(f"these files stay behind: {sorted(left)}")
        if newest is not None and fault.lasts:
            self._check_reading(model_dir, fault)
        if not ended:
            self._resume(model_dir)

    def _train(self, model_dir: Path, at: int, fault: Fault) -> Outcome:
        arguments = {"hooks": self.hooks, "saving_listeners": [_PrintSaves()]}
        work = lambda: self.case.train(model_dir, self.data, **arguments)  # noqa: E731
        return run_with_fault(work, model_dir, at, fault)

    def _check_newest(self, model_dir: Path, outcome: Outcome) -> Checkpoint | None:
        newest = load_quietly(model_dir)
        step = -1 if newest is None else newest.global_step
        saved = [int(step) for step in re.findall(r"^saved (\d+)$", outcome.output, re.MULTILINE)]
        if saved and saved[-1] > step:
            raise CrashFailure(f"step {saved[-1]} was saved, but the newest is {step}")
        # The last step is saved twice: on time, and at the end.
        if newest is not None and differences(newest, self._expected):
            different = differences(newest, self._of_step[step])
            if different:
                raise CrashFailure(f"the checkpoint of step {step} differs in {different}")
        return newest

    def _check_reading(self, model_dir: Path, fault: Fault) -> None:
        def use() -> None:
            model = CASE.estimator(model_dir)
            assert len(list(model.predict_cluster_index(lambda: iter([points()])))) == len(points())
            model.evaluate(lambda: iter([points()]))

        outcome = run_with_fault(use, model_dir, 0, fault)
        if "\ndone" not in "\n" + outcome.output:
            raise CrashFailure(f"it cannot be read on this disk:\n{outcome.output}")

    def _resume(self, model_dir: Path) -> None:
        outcome = run_forked(lambda: CASE.train(model_dir, self.data))
        if outcome.code != 0 or outcome.output:
            raise CrashFailure(f"going on failed:\n{outcome.output}")
        if different := differences(load(model_dir), self._expected):
            raise CrashFailure(f"the resumed training differs in {different}")
        names = names_of_checkpoints(model_dir)
        if names != self._names:
            raise CrashFailure(f"the files are {names}, without faults {self._names}")


class _WaitForThread(SessionRunHook):
    """Makes the operations of a run as many as those of another one.

    The thread writes while the others of the step go on: their events, for example.
    """

    def before_run(self, run_context: Any) -> None:
        until = time.monotonic() + 60
        while any(thread.name == "centroids-writer" for thread in threading.enumerate()):
            assert time.monotonic() < until
            time.sleep(0.0001)


class Asynchronous(Training):
    """The same while a thread writes the checkpoints."""

    case = replace(CASE, asynchronous=True)
    hooks: ClassVar[list[SessionRunHook]] = [_WaitForThread()]


@dataclass
class Export:
    """An export. A folder with a number for a name is whole; after an error nothing stays.

    Attributes:
        folder: Where the exports go.
        data: Where the files of the inputs are.
    """

    folder: Path
    data: Path

    def prepare(self) -> list[str]:
        run_forked(lambda: CASE.train(self.folder / "expected", self.data))
        (self.folder / "words.txt").write_text("one\ntwo\n" * 5000)
        outcome = self._export(self.folder / "whole", -1, FAULTS["EIO"])
        if outcome.code != 0:
            raise CrashFailure(f"the export without faults failed:\n{outcome.output}")
        (whole,) = (self.folder / "whole").iterdir()
        self._whole = _contents(whole)
        return operations_of(outcome)

    def check(self, at: int, fault: Fault) -> None:
        base = self.folder / "exports"
        shutil.rmtree(base, ignore_errors=True)
        outcome = self._export(base, at, fault)
        _check_outcome(outcome, fault)
        names = [path.name for path in base.iterdir()] if base.exists() else []
        for name in filter(str.isdigit, names):
            if _contents(base / name) != self._whole:
                raise CrashFailure(f"the export {name} is not whole: {_contents(base / name)}")
        if "\nOSError" in outcome.output and not fault.lasts and names:
            raise CrashFailure(f"these stay behind: {names}")
        if "\ndone" in outcome.output and (len(names) != 1 or not names[0].isdigit()):
            raise CrashFailure(f"it ended, but the folders are {names}")

    def _export(self, base: Path, at: int, fault: Fault) -> Outcome:
        def work() -> None:
            model = CASE.estimator(self.folder / "expected")
            receiver = centroids.export.build_raw_serving_input_receiver_fn({"x": points()})
            assets = {"words.txt": str(self.folder / "words.txt")}
            model.export_savedmodel(str(base), receiver, assets_extra=assets)

        return run_with_fault(work, base, at, fault)


@dataclass
class Prediction:
    """A prediction that goes on with an interrupted one. What is at its place is whole; after any
    fault --resume comes to the same bits.

    Attributes:
        folder: Where the outputs go.
        data: Not used.
    """

    folder: Path
    data: Path

    def prepare(self) -> list[str]:
        predictions.prepare(self.folder)
        predictions.save_often(300, 0.0)
        self._job = predictions.Job(self.folder, "points.npy", "out.npy", distances=False)
        self._whole = self._job.whole(self.folder / "whole")
        self._begun = self.folder / "begun"
        self._begun.mkdir()
        predictions.interrupted(self._job, self._begun, 2)
        outcome = self._resume(-1, FAULTS["EIO"])
        if outcome.code != 0 or "Continuing after 600 rows" not in outcome.output:
            raise CrashFailure(f"the prediction without faults failed:\n{outcome.output}")
        return operations_of(outcome)

    def check(self, at: int, fault: Fault) -> None:
        outcome = self._resume(at, fault)
        _check_outcome(outcome, fault)
        output = self._place / self._job.output
        if output.exists() and output.read_bytes() != self._whole:
            raise CrashFailure("the file is not whole")
        if "\ndone" in outcome.output and not output.exists():
            raise CrashFailure("it ended, but the file is not there")
        is_done = output.exists()
        again = run_forked(lambda: self._job.run(self._place, "--resume"))
        if again.code != 0 or output.read_bytes() != self._whole:
            raise CrashFailure(f"going on failed:\n{again.output}")
        if os.listdir(self._place) != [output.name]:
            raise CrashFailure(f"these files stay behind: {os.listdir(self._place)}")
        if not is_done and "Continuing after" not in again.output:
            raise CrashFailure(f"it began anew:\n{again.output}")

    def _resume(self, at: int, fault: Fault) -> Outcome:
        self._place = self.folder / "place"
        shutil.rmtree(self._place, ignore_errors=True)
        shutil.copytree(self._begun, self._place)
        return run_with_fault(
            lambda: self._job.run(self._place, "--resume"), self._place, at, fault
        )


def _contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def _check_outcome(outcome: Outcome, fault: Fault) -> None:
    if fault.kills and outcome.code != -signal.SIGKILL:
        raise CrashFailure(f"it was not killed:\n{outcome.output}")
    if not fault.kills and (outcome.code or not re.search(r"^(done|OSE)", outcome.output, re.M)):
        raise CrashFailure(f"neither an end nor an OSError came of it:\n{outcome.output}")


def check_all(experiment: Experiment, sample: int | None, seed: int) -> str:
    """Checks all operations with all faults, or a random sample of them.

    Returns:
        What was done, in words.

    Raises:
        CrashFailure: At the first that fails.
    """
    operations = experiment.prepare()
    chosen = [(at, name) for at in range(len(operations)) for name in FAULTS]
    if sample is not None:
        chosen = random.Random(seed).sample(chosen, min(sample, len(chosen)))
    started = time.perf_counter()
    for at, name in chosen:
        try:
            experiment.check(at, FAULTS[name])
        except Exception as error:
            raise CrashFailure(f"{name} at operation {at} ({operations[at]}): {error}") from error
    seconds = time.perf_counter() - started
    return f"{len(chosen)} faults at {len(operations)} operations in {seconds:.0f} s, seed {seed}"


KINDS: dict[str, type[Training] | type[Export] | type[Prediction]] = {
    "training": Training,
    "asynchronous": Asynchronous,
    "export": Export,
    "prediction": Prediction,
}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Makes each file operation go wrong.")
    parser.add_argument("what", choices=list(KINDS))
    parser.add_argument("--sample", type=int, help="only so many, drawn at random")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="centroids-faults-") as name:
        folder = Path(name)
        if not is_loaded():
            sys.exit(run_with_library(folder))
        data = prepare(folder)
        try:
            print(check_all(KINDS[arguments.what](folder, data), arguments.sample, arguments.seed))
        except CrashFailure as failure:
            sys.exit(f"FAILED: {failure}\n  seed {arguments.seed}")


if __name__ == "__main__":
    main()
