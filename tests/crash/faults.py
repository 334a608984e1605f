"""Makes each file operation of a training fail, or kills the training there, one after another.

    python -m tests.crash.faults [--sample 50] [--seed 7]

All operations are counted in one training; then it is repeated with a fault at each of them. After
it the newest checkpoint must be at least the one that was saved last, and equal to the bit to that
of the uninterrupted training at its step; without the fault, training goes on to the same end.
Linux only, and it needs a C compiler: the faults are made in a library that is loaded before libc.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from centroids import CheckpointSaverListener
from centroids.estimator import Checkpoint, load_latest, read_checkpoint
from tests.crash.cases import Case, prepare
from tests.crash.compare import CrashFailure, differences, load, names_of_checkpoints
from tests.crash.forked import Outcome, run_forked

SOURCE = Path(__file__).with_name("faults.c")
CASE = Case("multi-step", "limit_epochs", max_steps=None, save_steps=3, keep=2)


@dataclass(frozen=True)
class Fault:
    """What happens at an operation; `mode` as in faults.c."""

    mode: int
    error: int = 0

    @property
    def kills(self) -> bool:
        """Whether the process dies."""
        return self.mode <= 2

    @property
    def lasts(self) -> bool:
        """Whether all later operations fail too."""
        return self.mode == 5


FAULTS = {
    "killed before": Fault(0),
    "killed after": Fault(1),
    "killed half-way": Fault(2),
    "short write": Fault(3),
    "EIO": Fault(4, errno.EIO),
    "ENOSPC": Fault(4, errno.ENOSPC),
    "EACCES": Fault(4, errno.EACCES),
    "disk stays full": Fault(5, errno.ENOSPC),
    "disk stays read-only": Fault(5, errno.EROFS),
}


def compiler() -> str | None:
    """The C compiler, or None where there is none or the faults cannot be made."""
    return shutil.which("cc") if sys.platform == "linux" else None


def arm(folder: Path, at: int, fault: Fault, trace: int = -1) -> None:
    """Sets a fault at operation number `at` under a folder; -1 only counts."""
    ctypes.CDLL(None).faults_arm(
        os.fsencode(folder.resolve()), ctypes.c_long(at), fault.mode, fault.error, trace
    )


class _PrintSaves(CheckpointSaverListener):
    def after_save(self, session: Any, global_step_value: int) -> None:
        os.write(1, b"saved %d\n" % global_step_value)


@dataclass
class Experiment:
    """One training, and what comes of it when an operation fails.

    Attributes:
        case: The training.
        data: Where the files of the inputs are.
        folder: Where the models go.
    """

    case: Case
    data: Path
    folder: Path

    def prepare(self) -> list[str]:
        """Trains without faults; returns the operations, each as its name and its path."""
        outcome = self._train(self.folder / "expected", -1, FAULTS["EIO"])
        if outcome.code != 0:
            raise CrashFailure(f"the training without faults failed:\n{outcome.output}")
        self._expected = load(self.folder / "expected")
        self._names = names_of_checkpoints(self.folder / "expected")
        every = replace(self.case, keep=0)
        run_forked(lambda: every.train(self.folder / "every", self.data))
        self._of_step: dict[int, Checkpoint] = {}
        for path in (self.folder / "every").glob("*.safetensors"):
            checkpoint = read_checkpoint(path)
            self._of_step[checkpoint.global_step] = checkpoint
        operations = re.findall(r"^call \d+ (.*)$", outcome.output, re.MULTILINE)
        seen = "\n".join(operations)
        if missed := [name for name in self._names if name not in seen]:
            raise CrashFailure(f"these files were written unseen: {missed}")
        return operations

    def check(self, at: int, fault: Fault) -> None:
        """Trains with a fault, then goes on without it.

        Raises:
            CrashFailure: If something is lost or left behind, or another error comes.
        """
        model_dir = self.folder / "model"
        shutil.rmtree(model_dir, ignore_errors=True)
        outcome = self._train(model_dir, at, fault)
        ended = "trained" in outcome.output
        if fault.kills and outcome.code != -signal.SIGKILL:
            raise CrashFailure(f"it was not killed:\n{outcome.output}")
        if not fault.kills and not ended and "OSError" not in outcome.output:
            raise CrashFailure(f"no OSError came of it:\n{outcome.output}")
        newest = self._check_newest(model_dir, outcome)
        if ended and (newest is None or differences(newest, self._expected)):
            raise CrashFailure(f"it ended, but the newest checkpoint is {newest}")
        if not fault.kills and not fault.lasts:
            # The lock is of no effect without its process; the next training deletes it.
            known = {*names_of_checkpoints(self.folder / "every"), *self._names, "training.lock"}
            if left := set(names_of_checkpoints(model_dir)) - known:
                raise CrashFailure(f"these files stay behind: {sorted(left)}")
        if newest is None or differences(newest, self._expected):
            self._resume(model_dir)

    def _train(self, model_dir: Path, at: int, fault: Fault) -> Outcome:
        def work() -> None:
            arm(model_dir, at, fault, trace=1)
            try:
                self.case.train(model_dir, self.data, saving_listeners=[_PrintSaves()])
            except OSError as error:
                print(f"OSError: {error!r}")
            else:
                print("trained")

        return run_forked(work)

    def _check_newest(self, model_dir: Path, outcome: Outcome) -> Checkpoint | None:
        newest = load_latest(str(model_dir))
        step = -1 if newest is None else newest.global_step
        saved = [int(step) for step in re.findall(r"^saved (\d+)$", outcome.output, re.MULTILINE)]
        if saved and saved[-1] > step:
            raise CrashFailure(f"step {saved[-1]} was saved, but the newest is {step}")
        if newest is not None:
            expected = self._of_step[step] if step in self._of_step else self._expected
            different = differences(newest, expected)
            if different and differences(newest, self._expected):
                raise CrashFailure(f"the checkpoint of step {step} differs in {different}")
        return newest

    def _resume(self, model_dir: Path) -> None:
        outcome = run_forked(lambda: self.case.train(model_dir, self.data))
        if outcome.code != 0 or outcome.output:
            raise CrashFailure(f"going on failed:\n{outcome.output}")
        if different := differences(load(model_dir), self._expected):
            raise CrashFailure(f"the resumed training differs in {different}")
        names = names_of_checkpoints(model_dir)
        if names != self._names:
            raise CrashFailure(f"the files are {names}, without faults {self._names}")


def run_all(folder: Path, sample: int | None, seed: int, report: Callable[[str], None]) -> None:
    """Checks all operations with all faults, or a random sample of them.

    Raises:
        CrashFailure: At the first that fails.
    """
    data = prepare(folder)
    experiment = Experiment(CASE, data, folder)
    operations = experiment.prepare()
    chosen = [(at, name) for at in range(len(operations)) for name in FAULTS]
    if sample is not None:
        chosen = random.Random(seed).sample(chosen, min(sample, len(chosen)))
    started = time.perf_counter()
    for at, name in chosen:
        try:
            experiment.check(at, FAULTS[name])
        except Exception as error:
            raise CrashFailure(
                f"{error}\n  {name} at operation {at}: {operations[at]}\n  folder: {folder}"
            ) from error
    seconds = time.perf_counter() - started
    report(f"{len(chosen)} faults at {len(operations)} operations, {seconds:.0f} s; seed {seed}")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Makes each file operation of a training fail.")
    parser.add_argument("--sample", type=int, help="only so many, drawn at random")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="centroids-faults-"))
    if not hasattr(ctypes.CDLL(None), "faults_arm"):
        sys.exit(_run_with_library(folder))
    try:
        run_all(folder, arguments.sample, arguments.seed, lambda text: print(text, flush=True))
    except CrashFailure as failure:
        sys.exit(f"FAILED: {failure}")
    shutil.rmtree(folder)


def _run_with_library(folder: Path) -> int:
    """Runs this program again, with the library that makes the faults."""
    found = compiler()
    if found is None:
        raise SystemExit("faults need Linux and a C compiler")
    library = folder / "faults.so"
    subprocess.run(
        [found, "-shared", "-fPIC", "-O1", "-Wall", "-o", library, SOURCE, "-ldl"], check=True
    )
    command = [sys.executable, *sys.orig_argv[1:]]
    code = subprocess.run(command, env={**os.environ, "LD_PRELOAD": str(library)}).returncode
    shutil.rmtree(folder)
    return code


if __name__ == "__main__":
    main()
