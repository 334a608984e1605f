"""Several processes train into one folder, are killed, and others read it all the time.

    python -m tests.crash.rivals --kills 200 [--seed 7]

Each rival trains, or waits for the one that does; the first to come after a kill goes on. Together
they must come to the bits of one uninterrupted training. The reader evaluates and predicts without
a pause, while each step is saved and only one checkpoint is kept: it must never fail nor warn.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from centroids import ModelDirBusyError
from tests.crash.cases import Case, points, prepare
from tests.crash.compare import CrashFailure, differences, load, load_quietly
from tests.crash.forked import Child, Outcome, run_forked

CASE = Case("mini-batch", "array", max_steps=60, save_steps=1, keep=1)
_RIVALS = 3


def compete(model_dir: Path, data: Path) -> None:
    """Trains to the end, or until another process has."""
    while True:
        try:
            CASE.train(model_dir, data)
            return
        except ModelDirBusyError as error:
            if not re.search(r"process \d+ on |just started", str(error)):
                raise
            time.sleep(0.001)


def read(model_dir: Path) -> None:
    """Reads the model in all ways until its training has ended."""
    model, step, rounds = CASE.estimator(model_dir), 0, 0
    while step < (CASE.max_steps or 0):
        newest = load_quietly(model_dir)
        if newest is None:
            continue
        if newest.global_step < step:
            raise CrashFailure(f"the newest checkpoint was of step {step}, now {newest}")
        step = newest.global_step
        assert len(list(model.predict_cluster_index(lambda: iter([points()])))) == len(points())
        assert model.evaluate(lambda: iter([points()]))["global_step"] >= step
        assert model.get_variable_value("clusters").any()
        assert model.latest_checkpoint() is not None
        rounds += 1
    os.write(1, b"rounds %d\n" % rounds)


def run_round(folder: Path, data: Path, kills: int, generator: random.Random) -> tuple[int, int]:
    """Lets rivals train one model to its end, and kills up to so many of them.

    Returns:
        The number of kills, and how often the model was read meanwhile.

    Raises:
        CrashFailure: If a process fails, or the model differs from that of one run.
    """
    rivals = [Child(lambda: compete(folder, data)) for _ in range(_RIVALS)]
    reader = Child(lambda: read(folder))
    try:
        killed = _kill_some(rivals, lambda: compete(folder, data), kills, generator)
        for rival in rivals:
            _expect(rival.finish(), 0)
        outcome = reader.finish()
    finally:
        for child in (*rivals, reader):
            child.kill()
    rounds = re.fullmatch(r"rounds (\d+)\n", outcome.output)
    if rounds is None:
        raise CrashFailure(f"reading failed:\n{outcome.output}")
    return killed, int(rounds[1])


def _kill_some(
    rivals: list[Child], work: Callable[[], object], kills: int, generator: random.Random
) -> int:
    """Kills rivals and puts new ones in their places, until one of them has come to the end."""
    for killed in range(kills):
        time.sleep(generator.uniform(0, 0.03))
        chosen = generator.randrange(len(rivals))
        if rivals[chosen].has_ended(after=0):
            return killed
        rivals[chosen].send(signal.SIGKILL)
        _expect(rivals[chosen].finish(), -signal.SIGKILL)
        rivals[chosen] = Child(work)
    return kills


def _expect(outcome: Outcome, code: int) -> None:
    # A rival that was to be killed may have ended just before.
    if outcome.code not in (0, code) or outcome.output:
        raise CrashFailure(f"a rival ended with {outcome.code}:\n{outcome.output}")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Lets processes train and read one model.")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    arguments = parser.parse_args()
    generator = random.Random(arguments.seed)
    print(f"seed {arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="centroids-rivals-") as name:
        folder = Path(name)
        data = prepare(folder)
        run_forked(lambda: CASE.train(folder / "expected", data))
        expected = load(folder / "expected")
        kills = reads = number = 0
        while kills < arguments.kills:
            model_dir = folder / f"model-{number}"
            try:
                done, rounds = run_round(model_dir, data, arguments.kills - kills, generator)
                if different := differences(load(model_dir), expected):
                    raise CrashFailure(f"the model differs in {different}")
            except CrashFailure as failure:
                sys.exit(f"FAILED in round {number} of seed {arguments.seed}: {failure}")
            kills, reads, number = kills + done, reads + rounds, number + 1
        print(f"{kills} kills in {number} rounds, the model was read {reads} times")


if __name__ == "__main__":
    main()
