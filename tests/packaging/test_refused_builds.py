"""What cannot be built says so in words: for free-threaded Python, and without a compiler."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_an_import_is_refused() -> None:
    code = "import sys; sys.abiflags = 't'; import centroids"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 1
    assert "ImportError: centroids does not work with free-threaded Python" in done.stderr


@pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not installed")
@pytest.mark.parametrize(("answer", "refused"), [(0, False), (1, True)])
def test_a_build_is_refused(tmp_path: Path, answer: int, refused: bool) -> None:
    python, script = tmp_path / "python", tmp_path / "check.cmake"
    python.write_text(f"#!/bin/sh\necho {answer}\n")
    python.chmod(0o755)
    script.write_text(f'include("{ROOT}/cmake/python.cmake")\ncentroids_check_python("{python}")\n')
    command = ["cmake", "-P", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode != 0) == refused, done.stderr
    assert ("does not work with free-threaded Python" in done.stderr) == refused


@pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not installed")
@pytest.mark.skipif(shutil.which("ninja") is None, reason="ninja is not installed")
def test_a_build_without_a_compiler_is_refused_in_one_sentence(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("cmake", "ninja"):
        found = shutil.which(name)
        assert found is not None
        script = tools / name
        script.write_text(f'#!/bin/sh\nexec {found} "$@"\n')
        script.chmod(0o755)
    command = [str(tools / "cmake"), "-G", "Ninja", "-S", str(ROOT), "-B", str(tmp_path / "build")]
    environment = {"PATH": str(tools), "HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode != 0
    assert "needs a C++20 compiler, and none was found" in " ".join(done.stderr.split())
    assert done.stderr.count("CMake Error") == 1
