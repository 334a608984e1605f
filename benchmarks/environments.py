"""Environments of their own for peers that cannot share ours, made when first needed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


class NoEnvironmentError(RuntimeError):
    """A peer's environment cannot be made here; the message says why."""


@dataclass(frozen=True)
class Environment:
    """What to install, and for which Pythons there are wheels.

    Attributes:
        requirements: For pip.
        newest_python: The newest minor version of Python 3 that works.
    """

    requirements: tuple[str, ...]
    newest_python: int


ENVIRONMENTS = {
    # 2.16 dropped Estimators; 2.15 needs numpy below 2.
    "tensorflow": Environment(("tensorflow-cpu==2.15.1",), newest_python=11),
    "superkmeans": Environment(("superkmeans==0.2.0", "numpy==2.4.6"), newest_python=13),
    "sparsekmeans": Environment(
        (
            "sparsekmeans==0.3.1",
            "python-graphblas==2025.2.0",
            "suitesparse-graphblas==9.4.5.0",
            "numpy==2.4.6",
            "scipy==1.17.1",
        ),
        newest_python=13,
    ),
    # There are no wheels: pip compiles it, which takes a C++ compiler.
    "geokmeans": Environment(("geokmeans==0.1.2", "numpy==2.4.6"), newest_python=13),
}


def python_of(name: str | None, folder: Path) -> str:
    """The interpreter of an environment, which is made unless it is there.

    Args:
        name: A key of `ENVIRONMENTS`, or None for the running interpreter's.
        folder: Where environments are kept.

    Raises:
        NoEnvironmentError: If there is no suitable Python or pip fails.
    """
    if name is None:
        return sys.executable
    environment, path = ENVIRONMENTS[name], folder / name
    python, complete = path / "bin" / "python", path / ".complete"
    wanted = "\n".join(environment.requirements)
    if not (complete.exists() and complete.read_text() == wanted):
        print(f"making the environment of {name}: {wanted}", flush=True)
        _run([_base_python(environment), "-m", "venv", "--clear", str(path)])
        _run([str(python), "-m", "pip", "install", "--quiet", *environment.requirements])
        complete.write_text(wanted)
    return str(python)


def _base_python(environment: Environment) -> str:
    if sys.version_info.minor <= environment.newest_python:
        return sys.executable
    # 3.11 is the oldest that the harness itself runs on.
    for minor in range(environment.newest_python, 10, -1):
        if found := shutil.which(f"python3.{minor}"):
            return found
    raise NoEnvironmentError(f"it needs Python 3.{environment.newest_python}, not found here")


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise NoEnvironmentError(f"{' '.join(command[1:4])} failed: {last}")
