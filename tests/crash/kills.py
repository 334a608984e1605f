"""Kills trainings at random instants, resumes them, and compares bits with uninterrupted ones.

    python -m tests.crash.kills --kills 2000 [--seed 7]

A trial draws a run (`cases.py`) and an instant from its seed, kills it at that instant, starts
it again, kills it again, until it ends; then every byte of the last checkpoint must equal that of
the uninterrupted training, which has waited for each of its checkpoints. Some signals are SIGINT
and SIGTERM, which must save the last step. The seeds of trials are consecutive: `--seed` with the
seed that a failure names repeats that trial.
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
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from centroids import SessionRunHook
from centroids.estimator import Checkpoint
from tests.crash.cases import Case, draw_case, points, prepare
from tests.crash.compare import (
    CrashFailure,
    check_names_of_some,
    differences,
    load,
    load_quietly,
    names_of_checkpoints,
)
from tests.crash.events import read_losses
from tests.crash.forked import Outcome, run_forked

_ATTEMPTS = 200
_SIGNALS = (signal.SIGKILL,) * 8 + (signal.SIGINT, signal.SIGTERM)


class PrintSteps(SessionRunHook):
    """Tells the parent which steps have ended, and whether the training has."""

    def after_run(self, run_context: Any, run_values: Any) -> None:
        os.write(1, b"step %d\n" % run_context.session.global_step)

    def end(self, session: Any) -> None:
        os.write(1, b"end\n")


@dataclass
class Trial:
    """One run that is killed until it ends.

    Attributes:
        seed: Decides everything but the instants' effects.
        data: Where the files of the inputs are.
        folder: Where the models go.
        signals: What was sent so far, with the seconds after the start.
    """

    seed: int
    data: Path
    folder: Path
    signals: list[tuple[float, str]] = field(default_factory=list)

    def run(self) -> None:
        """Runs the trial.

        Raises:
            CrashFailure: If the interrupted training differs in anything from the uninterrupted.
        """
        self._generator = random.Random(self.seed)
        self.case = draw_case(self._generator)
        self._expect()
        self._model_dir = self.folder / "killed"
        span, before = 1.2 * self._seconds, -1
        for _ in range(_ATTEMPTS):
            outcome = self._attempt(self._generator.uniform(0, span))
            reached = self._check_folder()
            arrived = reached is not None and not differences(reached, self._expected)
            if outcome.code == 0 or arrived:
                break
            step = -1 if reached is None else reached.global_step
            if step < before:
                raise CrashFailure(f"the newest checkpoint was of step {before}, now of {step}")
            # Where the machine is slower than it was, kills must come later to let it advance.
            span *= 1.0 if step > before else 1.3
            before = step
        self._check_end(cleared=outcome.code == 0)

    def _expect(self) -> None:
        expected_dir = self.folder / "expected"
        expected = replace(self.case, asynchronous=False)
        outcome = run_forked(lambda: expected.train(expected_dir, self.data))
        if outcome.code != 0:
            raise CrashFailure(f"the uninterrupted training failed:\n{outcome.output}")
        self._seconds = outcome.seconds
        self._expected = load(expected_dir)
        self._losses = dict(read_losses(expected_dir))
        self._names = names_of_checkpoints(expected_dir)
        if len(self._losses) != self._expected.global_step:
            raise CrashFailure(f"the event file has the losses of {sorted(self._losses)} only")

    def _attempt(self, instant: float) -> Outcome:
        number = self._generator.choice(_SIGNALS)
        hooks = [PrintSteps()]
        outcome = run_forked(
            lambda: self.case.train(self._model_dir, self.data, hooks=hooks),
            signal_after=(instant, number),
        )
        # A process that ended before its instant has got no signal.
        if outcome.code != 0:
            self.signals.append((round(instant, 5), number.name))
        lines = outcome.output.splitlines()
        # Python has handlers of its own before and after those of train.
        codes = {
            signal.SIGKILL: {-signal.SIGKILL},
            signal.SIGINT: {-signal.SIGINT},
            signal.SIGTERM: {-signal.SIGTERM, 128 + signal.SIGTERM},
        }
        if outcome.code not in {0, *codes[number]}:
            raise CrashFailure(f"exit code {outcome.code}:\n{outcome.output}")
        expected = re.compile(r"step |end|\d+ of \d+ clusters (is|are) empty; ")
        unexpected = [line for line in lines if not expected.match(line)]
        if unexpected and number == signal.SIGKILL:
            raise CrashFailure("unexpected output:\n" + "\n".join(unexpected))
        steps = [int(line.split()[1]) for line in lines if line.startswith("step ")]
        if "end" in lines and steps and load(self._model_dir).global_step != steps[-1]:
            raise CrashFailure(
                f"it ended after step {steps[-1]}, but the newest checkpoint is of step "
                f"{load(self._model_dir).global_step}"
            )
        return outcome

    def _check_folder(self) -> Checkpoint | None:
        """What holds after each kill; returns the newest checkpoint."""
        newest = load_quietly(self._model_dir)
        for step, loss in read_losses(self._model_dir):
            if self._losses.get(step) != loss:
                raise CrashFailure(
                    f"the loss of step {step} was {loss!r}, uninterrupted {self._losses.get(step)}"
                )
        if newest is not None and self._generator.random() < 0.2:
            outcome = run_forked(lambda: _use(self.case, self._model_dir))
            if outcome.code != 0 or outcome.output:
                raise CrashFailure(f"the killed model cannot be used:\n{outcome.output}")
        return newest

    def _check_end(self, cleared: bool) -> None:
        reached = load(self._model_dir)
        if differences(reached, self._expected):
            raise CrashFailure(
                f"the resumed training differs in {differences(reached, self._expected)}"
            )
        # SIGINT and SIGTERM save other steps than those that are due.
        only_kills = all(name == "SIGKILL" for _, name in self.signals)
        names = names_of_checkpoints(self._model_dir)
        if cleared and self.case.asynchronous:
            check_names_of_some(names, self._names, self.case.keep)
        elif cleared and only_kills and names != self._names:
            raise CrashFailure(f"the files are {names}, uninterrupted {self._names}")


def _use(case: Case, model_dir: Path) -> None:
    """Predicts and evaluates with a model whose training was killed."""
    model = case.estimator(model_dir)
    assert len(list(model.predict_cluster_index(lambda: iter([case.batch()])))) == len(points())
    model.evaluate(lambda: iter([case.batch()]))


def run_trials(kills: int, seed: int, folder: Path, report: Callable[[str], None]) -> None:
    """Runs trials until there were so many kills.

    Raises:
        CrashFailure: At the first trial that fails; its folder is left behind.
    """
    data = prepare(folder)
    report(f"seed {seed}")
    done, number = 0, seed
    started = time.perf_counter()
    while done < kills:
        trial = Trial(number, data, folder / f"trial-{number}")
        trial.folder.mkdir()
        try:
            trial.run()
        except Exception as error:
            raise CrashFailure(
                f"{error}\n  {trial.case}\n  signals: {trial.signals}\n  folder: {trial.folder}\n"
                f"  again: python -m tests.crash.kills --seed {number} --kills 1"
            ) from error
        shutil.rmtree(trial.folder)
        done, number = done + len(trial.signals), number + 1
    seconds = time.perf_counter() - started
    report(f"{done} kills in {number - seed} trials, {seconds:.0f} s; the seed was {seed}")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Kills trainings and compares bits.")
    environment = os.environ.get
    parser.add_argument("--kills", type=int, default=int(environment("CENTROIDS_CRASH_KILLS", 200)))
    default_seed = environment("CENTROIDS_CRASH_SEED") or random.SystemRandom().randrange(1 << 30)
    parser.add_argument("--seed", type=int, default=int(default_seed))
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="centroids-crash-"))
    try:
        run_trials(arguments.kills, arguments.seed, folder, lambda text: print(text, flush=True))
    except CrashFailure as failure:
        sys.exit(f"FAILED: {failure}")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
