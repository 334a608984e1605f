"""What runs where a system lacks what Windows lacks: in a process from which it was taken away."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import centroids

PACKAGE = Path(centroids.__file__).parent
LACKING = "fork register_at_fork pread pwrite preadv pwritev sysconf sched_getaffinity getuid "
LACKING += "geteuid O_NOFOLLOW O_NONBLOCK O_CLOEXEC O_DIRECTORY getpgrp mkfifo statvfs"
# An open file is neither renamed nor removed there, and a folder is not opened.
AS_WINDOWS = f"""
import os, sys
import numpy, scipy.sparse, google.protobuf.message, typer, rich.console
import asyncio, concurrent.futures, multiprocessing, subprocess, tempfile, uuid

for name in "fcntl resource termios tty pwd grp".split():
    sys.modules[name] = None
for name in {LACKING!r}.split():
    delattr(os, name)

def is_open(path):
    for each in os.listdir("/proc/self/fd"):
        try:
            if os.path.samestat(os.stat(f"/proc/self/fd/{{each}}"), os.lstat(path)):
                return True
        except OSError:
            pass
    return False

def not_if_open(real):
    def changed(path, *more, **others):
        if not isinstance(path, int) and not os.path.isdir(path) and is_open(path):
            raise PermissionError(13, "it is used by another process", path)
        return real(path, *more, **others)
    return changed

def open_file(path, *more, real=os.open, **others):
    if os.path.isdir(path):
        raise PermissionError(13, "Permission denied", path)
    return real(path, *more, **others)

os.open = open_file
tempfile.TemporaryFile = tempfile.NamedTemporaryFile
for name in "rename replace remove unlink".split():
    setattr(os, name, not_if_open(getattr(os, name)))
"""
TRAIN = """
import logging
import numpy as np
import centroids
from centroids import platform

logging.basicConfig(format="%(message)s")
assert not platform.LOCKS and platform.resident_bytes() is None
points = np.repeat(np.float32([[0, 0], [8, 8]]), 50, axis=0)
np.save("points.npy", points)
for steps in (3, 6):
    model = centroids.KMeansClustering(2, model_dir="model", random_seed=1)
    model.train(lambda: points, max_steps=steps)
print(sorted(np.round(model.cluster_centers()).tolist()))
"""


def as_windows(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", f"{AS_WINDOWS}\n{code}"]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env=environment, check=False
    )


pytestmark = pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="finds in /proc which files are open"
)


def test_only_one_room_asks_for_what_a_system_has() -> None:
    modules, names = {"fcntl", "resource", "msvcrt", "termios"}, {"O_NOFOLLOW", "register_at_fork"}
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            imported = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            if modules & {*imported} or (isinstance(node, ast.Attribute) and node.attr in names):
                found.add(path.relative_to(PACKAGE).parts[0])
    assert found == {"platform"}


def test_every_module_is_imported(tmp_path: Path) -> None:
    paths = [path.relative_to(PACKAGE.parent) for path in PACKAGE.rglob("*.py")]
    modules = [path for path in paths if path.stem not in {"__main__", "_posix"}]
    names = sorted(".".join(path.with_suffix("").parts) for path in modules)
    names = [name.removesuffix(".__init__") for name in names if ".tests" not in name]
    code = f"""
import importlib
for name in {names}:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:  # an extra
        assert not (error.name or "centroids").startswith(("centroids", "fcntl", "resource")), name
from centroids import platform
assert platform.sync_folder.__module__ == "centroids.platform._windows"
"""
    done = as_windows(code, tmp_path)
    assert len(names) > 100 and done.returncode == 0, done.stderr


def test_a_model_is_trained_continued_and_exported(tmp_path: Path) -> None:
    export = """
from centroids.export import build_raw_serving_input_receiver_fn
receiver = build_raw_serving_input_receiver_fn({"x": np.zeros((1, 2), np.float32)})
print(len(os.listdir("exported")) if model.export_savedmodel("exported", receiver) else 0)
"""
    done = as_windows(f"{TRAIN}\n{export}", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[[0.0, 0.0], [8.0, 8.0]]", "1"]
    assert done.stderr.count("cannot be locked (the system has no locks)") == 2
    assert done.stderr.count("cannot sync folders (no folder can be opened)") >= 1
    assert not [*tmp_path.rglob("*.temporary")]


def test_a_prediction_is_written_by_the_command(tmp_path: Path) -> None:
    predict = """
from centroids.cli import main
sys.argv = ["centroids", "predict", "model", "points.npy", "--output", "labels.npy"]
main()
"""
    done = as_windows(f"{TRAIN}\n{predict}", tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels.npy", "model", "points.npy"]
