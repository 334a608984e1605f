"""Raises KeyboardInterrupt at each line that a run or an inference runs, one after another.

    python -m tests.crash.interrupts [--lines each|all] [--sample 100] [--seed 7] [--storms 100]

The work runs once to count the lines of the package that it runs; then it is repeated with an
interrupt at each of them: as of Ctrl-C, which may hit anywhere. Afterwards the folder is free, no
thread is left, the handlers of signals are back, and the next training comes to the right bits.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import centroids
from centroids.estimator import Checkpoint, Estimator
from tests.crash.cases import INPUTS, Case, prepare
from tests.crash.compare import (
    CrashFailure,
    check_names_of_some,
    differences,
    load,
    load_quietly,
    names_of_checkpoints,
)
from tests.crash.forked import Child

PACKAGE = os.path.dirname(centroids.__file__) + os.sep
CASES = {
    # Read ahead by a thread; several batches for the initial centers.
    "slow": Case("multi-step", "slow", max_steps=6, save_steps=2, keep=2),
    "shuffled": Case("mini-batch", "shuffled", max_steps=4, save_steps=1, keep=1),
    "full batch": Case("relative tolerance", "array", max_steps=3, save_steps=2, keep=2),
    "asynchronous": Case("mini-batch", "epochs", 5, save_steps=1, keep=2, asynchronous=True),
}
INFERENCE = "inference"
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_PATIENCE_SECONDS = 60.0

Place = tuple[str, int]


class Lines:
    """Counts the lines of the package that this thread runs, and interrupts one of them.

    Attributes:
        places: The file and line of each, in their order.
        raised: Whether the interrupt has come.

    Args:
        interrupt_at: The number of the line, from 0; None for no interrupt.
    """

    def __init__(self, interrupt_at: int | None = None) -> None:
        self.places: list[Place] = []
        self.raised = False
        self._interrupt_at = interrupt_at

    def run(self, work: Callable[[], object]) -> BaseException | None:
        """Does some work, and returns what it raised without its traceback."""
        sys.settrace(self._enter)
        try:
            work()
        except BaseException as error:
            return error.with_traceback(None)
        finally:
            sys.settrace(None)
        return None

    def _enter(self, frame: FrameType, event: str, argument: Any) -> Any:
        return self._line if frame.f_code.co_filename.startswith(PACKAGE) else None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            self.places.append((frame.f_code.co_filename, frame.f_lineno))
            if len(self.places) - 1 == self._interrupt_at:
                self.raised = True
                raise KeyboardInterrupt
        return self._line


class Trials:
    """Trainings of one case that are interrupted.

    Args:
        case: The training.
        folder: Where the models go.
        data: Where the files of the inputs are.
    """

    def __init__(self, case: Case, folder: Path, data: Path) -> None:
        self.case, self.folder, self.data = case, folder, data
        self.work(folder / "warm")  # what is imported late is not a line of a run
        lines = Lines()
        if error := lines.run(lambda: self.work(folder / "expected")):
            raise CrashFailure(f"the run without an interrupt failed: {error!r}")
        self.places = lines.places
        self._expected: Checkpoint = load(folder / "expected")
        self._names = names_of_checkpoints(folder / "expected")
        self._handlers = _handlers()
        self._swallowed: list[Any] = []

    def work(self, model_dir: Path) -> object:
        """What is interrupted: a run."""
        return self.case.train(model_dir, self.data)

    def choose(self, which: str, sample: int | None, generator: random.Random) -> list[int]:
        """Numbers of lines: all, or of each line in the files its first, its last and one more."""
        chosen = list(range(len(self.places)))
        if which == "each":
            by_place: dict[Place, list[int]] = {}
            for number in chosen:
                by_place.setdefault(self.places[number], []).append(number)
            chosen = sorted(
                {
                    number
                    for numbers in by_place.values()
                    for number in (numbers[0], numbers[-1], generator.choice(numbers))
                }
            )
        return chosen if sample is None else generator.sample(chosen, min(sample, len(chosen)))

    def interrupt(self, at: int) -> None:
        """Interrupts a run, and checks what it leaves.

        Raises:
            CrashFailure: If something is not as it should be.
        """
        model_dir = self.folder / "model"
        self.clear(model_dir)
        self._swallowed.clear()
        before, sys.unraisablehook = sys.unraisablehook, self._swallowed.append
        try:
            lines = Lines(at)
            error = lines.run(lambda: self.work(model_dir))
        finally:
            sys.unraisablehook = before
        # Python itself lets nothing out of what it calls while it collects an object.
        seen = isinstance(error, KeyboardInterrupt) or self._swallowed
        if lines.raised and not seen:
            raise CrashFailure(f"the interrupt was lost: {error!r}")
        del error
        self._swallowed.clear()
        self.check_left(model_dir)

    def clear(self, model_dir: Path) -> None:
        """Makes room for the next one."""
        shutil.rmtree(model_dir, ignore_errors=True)

    def check_left(self, model_dir: Path) -> None:
        """Checks that nothing is left but a folder that a run can go on with."""
        self.check_threads_and_handlers()
        before = load_quietly(model_dir)
        ended = before is not None and not differences(before, self._expected)
        self.case.train(model_dir, self.data)
        if different := differences(load(model_dir), self._expected):
            raise CrashFailure(f"the next training differs in {different}")
        # Where the last checkpoint was saved, the next training has nothing to tidy up for.
        if not ended:
            # A signal saves the step that it came in, and steps are counted from there.
            check_names_of_some(names_of_checkpoints(model_dir), self._names, self.case.keep)

    def check_threads_and_handlers(self) -> None:
        """Checks that no thread is left, and no handler of signals."""
        _expect_no_readers()
        if (now := _handlers()) != self._handlers:
            raise CrashFailure(f"the handlers of signals are {now}, not {self._handlers}")

    def storm(self, generator: random.Random) -> None:
        """Sends many SIGINT and some SIGTERM at once, at a random instant of a run."""
        model_dir = self.folder / "model"
        shutil.rmtree(model_dir, ignore_errors=True)
        started = time.perf_counter()
        self.case.train(model_dir, self.data)
        span = time.perf_counter() - started
        shutil.rmtree(model_dir)
        signals = generator.choices(
            [signal.SIGINT, signal.SIGTERM], weights=[3, 1], k=generator.randint(2, 40)
        )
        instant, gap = generator.uniform(0, span), generator.choice([0, 1e-5, 1e-3])
        before = [signal.signal(number, _raise) for number in _SIGNALS]
        handlers, self._handlers = self._handlers, _handlers()
        sender = Child(lambda: _send(signals, os.getppid(), instant, gap))
        try:
            self._train_in_storm(model_dir)
            sender.finish()
            self.check_left(model_dir)
        finally:
            for number, handler in zip(_SIGNALS, before, strict=True):
                signal.signal(number, handler)
            self._handlers = handlers

    def _train_in_storm(self, model_dir: Path) -> None:
        with contextlib.suppress(KeyboardInterrupt, SystemExit):
            self.case.train(model_dir, self.data)


class Inference(Trials):
    """Evaluations and predictions that are interrupted, with a model of the case."""

    def work(self, model_dir: Path) -> object:
        """Evaluates and predicts."""
        model, input_fn = self.case.estimator(model_dir), INPUTS[self.case.input](self.data)
        values = model.evaluate(input_fn)
        return values, [int(index) for index in model.predict_cluster_index(input_fn)]

    def clear(self, model_dir: Path) -> None:
        """Keeps the model."""

    def check_left(self, model_dir: Path) -> None:
        """Checks that the same comes out again."""
        self.check_threads_and_handlers()
        if self.work(model_dir) != self.work(self.folder / "expected"):
            raise CrashFailure("the next evaluation or prediction differs")


def _raise(number: int, frame: FrameType | None) -> None:
    """Raises within `train`, from its first line to its last, and not in this program."""
    inside = frame is None  # called by the training itself
    while frame is not None and not inside:
        inside = frame.f_code is Estimator.train.__code__
        frame = frame.f_back
    if inside:
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)


def _send(signals: list[signal.Signals], process: int, instant: float, gap: float) -> None:
    time.sleep(instant)
    for number in signals:
        os.kill(process, number)
        time.sleep(gap)


def _handlers() -> list[Any]:
    return [signal.getsignal(number) for number in _SIGNALS]


def _expect_no_readers() -> None:
    until = time.monotonic() + 5
    while names := [
        thread.name for thread in threading.enumerate() if thread.name.startswith("centroids-")
    ]:
        if time.monotonic() > until:
            raise CrashFailure(f"these threads are left: {names}")
        time.sleep(0.001)


def run_lines(trials: Trials, chosen: list[int]) -> None:
    """Interrupts a run at these lines.

    Raises:
        CrashFailure: At the first that fails; it names the line.
    """
    for at in chosen:
        faulthandler.dump_traceback_later(_PATIENCE_SECONDS, exit=True)
        try:
            trials.interrupt(at)
        except (Exception, KeyboardInterrupt) as error:
            file, line = trials.places[at]
            place = f"{os.path.relpath(file, PACKAGE)}:{line}"
            raise CrashFailure(f"interrupted at {place} (line event {at}): {error!r}") from error
        finally:
            faulthandler.cancel_dump_traceback_later()


def make_trials(name: str, folder: Path, data: Path) -> Trials:
    """The trials of a case, or of inference with one of them."""
    folder.mkdir()
    if name != INFERENCE:
        return Trials(CASES[name], folder, data)
    for model in ("warm", "expected", "model"):
        CASES["slow"].train(folder / model, data)
    return Inference(CASES["slow"], folder, data)


def run_case(trials: Trials, chosen: list[int], storms: int, generator: random.Random) -> str:
    """Runs the trials, and returns in words what was done.

    Raises:
        CrashFailure: At the first that fails.
    """
    run_lines(trials, chosen)
    for _ in range(storms):
        faulthandler.dump_traceback_later(_PATIENCE_SECONDS, exit=True)
        trials.storm(generator)
        faulthandler.cancel_dump_traceback_later()
    num_files = len({trials.places[at][0] for at in chosen})
    return (
        f"interrupted at {len(chosen)} of {len(trials.places)} lines in {num_files} files, "
        f"{storms} storms"
    )


def main() -> None:
    """The command."""
    names = [*CASES, INFERENCE]
    parser = argparse.ArgumentParser(description="Interrupts a run at each of its lines.")
    parser.add_argument("--lines", choices=["each", "all"], default="each")
    parser.add_argument("--sample", type=int, help="only so many of a case, drawn at random")
    parser.add_argument("--storms", type=int, default=0)
    parser.add_argument("--case", choices=names, action="append", help="only this one")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    arguments = parser.parse_args()
    generator = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory(prefix="centroids-interrupts-") as temporary:
        data = prepare(Path(temporary))
        for name in arguments.case or names:
            try:
                trials = make_trials(name, Path(temporary) / name, data)
                chosen = trials.choose(arguments.lines, arguments.sample, generator)
                storms = 0 if name == INFERENCE else arguments.storms
                print(f"{name}: {run_case(trials, chosen, storms, generator)}", flush=True)
            except CrashFailure as failure:
                sys.exit(f"FAILED in {name!r}, seed {arguments.seed}: {failure}")


if __name__ == "__main__":
    main()
