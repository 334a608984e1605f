"""What `import centroids` brings, and what it must not."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import centroids

OPTIONAL = ["pyarrow", "torch", "tensorflow", "onnx", "pandas", "polars", "sklearn", "dask", "ray"]
HEAVY = ["google.protobuf", "scipy.sparse", "tensorboard", "rich", "typer", "safetensors"]


def test_import_loads_neither_optional_nor_heavy_packages() -> None:
    code = f"import sys, centroids; print([n for n in {OPTIONAL + HEAVY} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# Each layer with those that it may know besides itself; see HACKING.md.
BASE = {"checks", "crc32c", "errors", "files", "protobuf", "rows"}
BASE |= {"tensorflow_protos", "tensorflow_types"}
EVERYWHERE = {"centroids.kernels.float_mode"}  # what everyone's arithmetic needs
LAYERS = {
    "kernels": BASE,
    "distribute": BASE | {"kernels"},
    "clustering": BASE | {"kernels", "distribute"},
    "inputs": BASE | {"distribute"},
    "checkpoints": BASE,
    "export": BASE | {"kernels", "checkpoints"},
    "quality": BASE | {"kernels", "clustering", "inputs"},
    "report": BASE | {"kernels", "quality", "inputs", "kmeans", "__version__"},
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


def test_everything_public_is_there() -> None:
    for name in centroids.__all__:
        assert hasattr(centroids, name), name


def test_the_version_is_that_of_the_package() -> None:
    assert centroids.__version__ == metadata.version("centroids")


def test_the_command_is_installed() -> None:
    scripts = metadata.entry_points(group="console_scripts", name="centroids")
    assert [script.value for script in scripts] == ["centroids.cli:main"]
