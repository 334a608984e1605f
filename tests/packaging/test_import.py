"""What `import centroids` brings, and what it must not."""

from __future__ import annotations

import ast
import importlib
import os
import pickle
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import centroids

OPTIONAL = ["pyarrow", "torch", "tensorflow", "onnx", "pandas", "polars", "sklearn", "dask", "ray"]
OPTIONAL += ["matplotlib", "PIL", "umap"]
HEAVY = ["google.protobuf", "scipy", "tensorboard", "rich", "typer", "safetensors"]
INIT = Path(centroids.__file__)


def modules_after(code: str) -> set[str]:
    """The modules that are loaded once a new process has run some code."""
    code = f"import contextlib, sys\n{code}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_import_loads_nothing_that_takes_time() -> None:
    loaded = modules_after("import centroids")
    assert not loaded & {*OPTIONAL, *HEAVY, "numpy"}
    ours = {name for name in loaded if name.startswith("centroids")}
    assert ours == {"centroids"}


def test_what_is_imported_loads_neither_optional_nor_heavy_packages() -> None:
    loaded = modules_after("from centroids import *")
    assert "centroids.kmeans" in loaded
    assert not loaded & {*OPTIONAL, *HEAVY}


def test_help_waits_for_no_command() -> None:
    help_page = "sys.argv = ['centroids', 'train', '--help']\nfrom centroids.cli import main"
    loaded = modules_after(f"{help_page}\nwith contextlib.suppress(SystemExit): main()")
    assert not loaded & {*OPTIONAL, "numpy", "scipy", "google.protobuf", "safetensors"}
    ours = {name for name in loaded if name.startswith("centroids.")}
    parts = {"answer", "app", "command", "config", "errors", "log", "stopping", "usage"}
    parts |= {"options", "options_of_labels", "options_of_points", "text_options", "commands"}
    commands = ("choosing", "inference", "models", "pictures", "training")
    parts |= {f"commands.{name}" for name in commands}
    cli = {"centroids.cli", *(f"centroids.cli.{part}" for part in parts)}
    alone = {"errors", "packages", "platform", "platform._posix", "progress", "viewers"}
    assert ours == {*cli, *(f"centroids.{name}" for name in alone)}


def imports_for_type_checkers() -> dict[str, str]:
    """Each name that type checkers see in the package, with the module that it is imported from."""
    tree = ast.parse(INIT.read_text(encoding="utf-8"))
    (block,) = [each for each in tree.body if isinstance(each, ast.If) and not each.orelse][:1]
    found = [each for each in block.body if isinstance(each, ast.ImportFrom)]
    return {alias.name: each.module or "" for each in found for alias in each.names}


def test_names_are_what_type_checkers_take_them_for() -> None:
    seen = imports_for_type_checkers()
    assert {*seen, "__version__"} == set(centroids.__all__)
    assert len(set(centroids.__all__)) == len(centroids.__all__)
    for name, module in seen.items():
        theirs = getattr(importlib.import_module(module), name)
        assert getattr(centroids, name) is theirs, name
        assert name in dir(centroids)


def test_packages_are_there_once_the_first_is_imported() -> None:
    packages = {path.parent.name for path in INIT.parent.glob("*/__init__.py")}
    apart = {"cli", "sklearn", "platform"}  # with what these alone need; nobody else's business
    code = "\n".join(f"assert centroids.{name}.__name__" for name in sorted(packages - apart))
    assert packages - apart <= {*dir(centroids)}
    assert "centroids.quality" in modules_after(f"import centroids\n{code}")


def test_a_wrong_name_is_an_error_as_of_any_module() -> None:
    with pytest.raises(AttributeError, match="module 'centroids' has no attribute 'KMeans'"):
        centroids.KMeans  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'KMeans' from 'centroids'"):
        from centroids import KMeans  # noqa: F401


def test_what_is_pickled_loads_in_a_new_process() -> None:
    pickled = pickle.dumps([centroids.RunConfig(), centroids.KMeansClustering])
    loaded = modules_after(f"import pickle\npickle.loads({pickled!r})")
    assert "centroids.kmeans" in loaded


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="each module is imported in a fork")
def test_each_module_can_be_the_first() -> None:
    package = INIT.parent
    paths = [path.relative_to(package.parent) for path in package.rglob("*.py")]
    names = [".".join(path.with_suffix("").parts) for path in paths if path.stem != "__main__"]
    code = f"""
import importlib, os, numpy
for name in {sorted(names)}:
    pid = os.fork()
    if pid == 0:
        importlib.import_module(name.removesuffix(".__init__"))
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0, name
"""
    assert len(names) > 100
    assert "centroids" not in modules_after(code)


# Each layer with those that it may know besides itself; see HACKING.md.
BASE = {"checks", "crc32c", "errors", "files", "keyed_permutation", "platform", "progress"}
BASE |= {"protobuf", "rows"}
BASE |= {"packages", "tensorflow_protos", "tensorflow_types", "text_table"}
# What everyone's arithmetic needs, and what makes a matrix of columns.
EVERYWHERE = {"centroids.kernels.float_mode", "centroids.kernels.side_by_side"}
LAYERS = {
    "kernels": BASE,
    "distribute": BASE | {"kernels"},
    "clustering": BASE | {"kernels", "distribute"},
    "inputs": BASE | {"distribute"},
    "checkpoints": BASE,
    "export": BASE | {"kernels", "checkpoints"},
    "quality": BASE | {"kernels", "clustering", "inputs"},
    "report": BASE | {"kernels", "clustering", "quality", "inputs", "kmeans", "__version__"},
    "pictures": BASE | {"kernels", "clustering"},
    "plotting": BASE | {"kmeans", "report"},
    "estimator": BASE | {"inputs", "checkpoints", "export"},
    "sklearn": BASE | {"kernels", "clustering", "distribute", "inputs"},
}


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_go_downward_only(layer: str) -> None:
    known = set()
    for file in (Path(centroids.__file__).parent / layer).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("centroids"):
                if node.module in EVERYWHERE:
                    continue
                below = (node.module or "").split(".")[1:2]
                known |= set(below or [alias.name for alias in node.names])
    assert known - {layer} <= LAYERS[layer]


def test_a_module_marked_with_an_underscore_is_imported_in_its_room_only() -> None:
    package = Path(centroids.__file__).parent
    reaches = []  # `crc32c` alone takes its loop from the extension itself
    for file in package.rglob("*.py"):
        room = file.relative_to(package).parts[0]
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("centroids."):
                _, *path = [*(node.module or "").split("."), *(a.name for a in node.names)]
                if path[0] != room and any(part.startswith("_") for part in path):
                    reaches.append(f"{file.relative_to(package)}: {'.'.join(path)}")
    assert reaches == ["crc32c.py: kernels._native"]


def test_the_version_is_that_of_the_package() -> None:
    assert centroids.__version__ == metadata.version("centroids")


def test_the_command_is_installed() -> None:
    scripts = metadata.entry_points(group="console_scripts", name="centroids")
    assert [script.value for script in scripts] == ["centroids.cli:main"]
