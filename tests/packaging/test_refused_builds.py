"""What cannot be built says so in words, and free-threaded Python stays so."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


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


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="Python has its lock")
def test_the_extension_needs_no_global_lock() -> None:
    # Otherwise Python would take the lock again, and warn.
    code = "import centroids.kernels, sys; print(sys._is_gil_enabled())"
    command = [sys.executable, "-W", "error", "-c", code]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.stdout == "False\n", done.stderr
