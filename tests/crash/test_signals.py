"""Ctrl-C and SIGTERM to real programs: exit codes, and nothing is lost."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.crash.compare import differences, load
from tests.crash.programs import ROOT, environment

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")

PROGRAM = """
import sys, time
from pathlib import Path
from centroids import SessionRunHook
from tests.crash.cases import Case
from tests.crash.kills import PrintSteps

class Wait(SessionRunHook):
    def after_run(self, run_context, run_values):
        if run_context.session.global_step == int(sys.argv[2]):
            time.sleep(600)
        time.sleep(0.01)

case = Case("mini-batch", "shuffled", max_steps=None, save_steps=1000, keep=2)
case.train(Path(sys.argv[1]), Path(), hooks=[PrintSteps(), Wait()])
"""


def start(*command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdout is not None
    for written in process.stdout:
        if written == line + "\n":
            return
    raise AssertionError(f"{line!r} did not come")


@pytest.mark.parametrize(
    ("number", "code", "error"),
    [(signal.SIGINT, -signal.SIGINT, "KeyboardInterrupt"), (signal.SIGTERM, 143, "SIGTERM")],
    ids=["SIGINT", "SIGTERM"],
)
def test_a_program_ends_as_usual_and_goes_on(
    tmp_path: Path, number: int, code: int, error: str
) -> None:
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    with start("-c", PROGRAM, str(stopped), "0") as process:
        wait_for(process, "step 5")
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == code and error in errors
    lines = ["step 5", *output.splitlines()]
    assert lines[-2:] == [f"step {load(stopped).global_step}", "end"]
    assert not load(stopped).finished
    for folder in (stopped, whole):
        with start("-c", PROGRAM, str(folder), "0") as process:
            process.communicate(timeout=60)
        assert process.returncode == 0
    assert differences(load(stopped), load(whole)) == []


ENDS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
if sys.platform != "win32":
    ENDS.append((signal.SIGHUP, 129))


@pytest.mark.parametrize(("number", "code"), ENDS)
def test_the_command_line_ends_as_usual_and_goes_on(tmp_path: Path, number: int, code: int) -> None:
    np.save(tmp_path / "points.npy", np.random.default_rng(0).normal(size=(500, 3)))
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    options = ["-k", "4", "--batch-size", "20", "--epochs", "1000000"]
    train = ["-m", "centroids", "train", str(tmp_path / "points.npy")]
    with start(*train, str(stopped), *options) as process:
        while not (stopped / "checkpoint").exists():
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(0.2)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    step = load(stopped).global_step
    assert re.search(rf"holds step {step:,}\b", errors) and "Continue with: centroids" in errors
    assert "Traceback" not in errors
    for folder in (stopped, whole):
        with start(*train, str(folder), *options, "--max-steps", str(step + 30)) as process:
            _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    assert load(whole).global_step == step + 30
    assert differences(load(stopped), load(whole)) == []


def test_a_second_interrupt_ends_what_blocks(tmp_path: Path) -> None:
    with start("-c", PROGRAM, str(tmp_path), "3") as process:
        wait_for(process, "step 3")
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.3)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert load(tmp_path).global_step == 0
    assert not [name for name in os.listdir(tmp_path) if "temporary" in name]
