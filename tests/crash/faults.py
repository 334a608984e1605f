"""Faults at file operations: what there are, and the library that makes them (faults.c)."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.crash.forked import Outcome, run_forked

SOURCE = Path(__file__).with_name("faults.c")


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


def is_loaded(function: str = "faults_arm") -> bool:
    """Whether this process was started with the library that has a function."""
    return hasattr(ctypes.CDLL(None), function)


def run_with_library(folder: Path, source: Path = SOURCE, *libraries: str) -> int:
    """Runs this program again, with a library.

    Args:
        folder: Where the library is built.
        source: What it is built from.
        libraries: Arguments of the linker; what they name is loaded at once too.

    Returns:
        The exit code.
    """
    found = compiler()
    if found is None:
        raise SystemExit("faults need Linux and a C compiler")
    library = folder / "faults.so"
    build = [found, "-shared", "-fPIC", "-O1", "-Wall", "-o", library, source, "-ldl", *libraries]
    subprocess.run(build, check=True)
    command = [sys.executable, *sys.orig_argv[1:]]
    return subprocess.run(command, env={**os.environ, "LD_PRELOAD": str(library)}).returncode


def run_with_fault(work: Callable[[], object], folder: Path, at: int, fault: Fault) -> Outcome:
    """Does some work in a process in which operation number `at` under a folder goes wrong.

    Its output has a line for each operation, `done` at the end, and `OSError` if that was raised.

    Args:
        work: What the process does.
        folder: Only what changes files in it counts.
        at: The number from 0; -1 for no fault.
        fault: What happens.
    """

    def guarded() -> None:
        path = os.fsencode(folder.resolve())
        ctypes.CDLL(None).faults_arm(path, ctypes.c_long(at), fault.mode, fault.error, 1)
        try:
            work()
        except OSError as error:
            print(f"OSError: {error!r}")
        else:
            print("done")

    return run_forked(guarded)


def operations_of(outcome: Outcome) -> list[str]:
    """What a process did, each as its name and its path under the folder."""
    return re.findall(r"^call \d+ (.*)$", outcome.output, re.MULTILINE)
