"""Shells complete commands and options."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SHELLS = ["bash", "zsh", "fish"]
# Its name decides what the command listens to.
COMMAND = "import sys; sys.argv[0] = 'centroids'; from centroids.cli import main; main()"
PYTHONPATH = os.pathsep.join(filter(None, sys.path))


def ask(instruction: str, line: str = "") -> str:
    """What the command answers to a shell."""
    asked = {
        "_CENTROIDS_COMPLETE": instruction,
        "COMP_WORDS": line,
        "COMP_CWORD": str(line.count(" ")),
        "_TYPER_COMPLETE_ARGS": line,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "PYTHONPATH": PYTHONPATH,
    }
    command = [sys.executable, "-c", COMMAND]
    environment = {**os.environ, **asked}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert not done.stderr
    return done.stdout


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("line", "found", "other"),
    [("tr", ["train", "transform"], "predict"), ("train --num", ["--num-clusters"], "--seed")],
)
def test_a_line_is_completed(shell: str, line: str, found: list[str], other: str) -> None:
    answer = ask(f"complete_{shell}", f"centroids {line}")
    assert all(each in answer for each in found) and other not in answer


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_that_is_there_takes_the_script(shell: str) -> None:
    script = ask(f"source_{shell}")
    assert f"complete_{shell}" in script and "centroids" in script
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True)


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes(tmp_path: Path) -> None:
    (tmp_path / "script").write_text(ask("source_bash"))
    command = tmp_path / "centroids"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{COMMAND}" "$@"\n')
    command.chmod(0o755)
    press_tab = (
        f". {tmp_path}/script; COMP_WORDS=(centroids ins); COMP_CWORD=1; "
        '_centroids_completion centroids; echo "${COMPREPLY[@]}"'
    )
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": PYTHONPATH}
    done = subprocess.run(
        ["bash", "-c", press_tab], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.strip() == "inspect"
