"""Writes what a wheel holds besides our own code, as a bill of materials: dist/centroids.cdx.json.

In the format CycloneDX 1.5. `wheels.py` puts the same into each wheel, as PEP 770 says. Versions
are those of requirements.txt; what a wheel asks pip for is in its metadata.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

ROOT = Path(__file__).parents[1]
NAME = "centroids.cdx.json"
# What is linked into the extension: name, the package that brings it, and its licence.
BUNDLED = (
    ("nanobind", "nanobind", "BSD-3-Clause", "licenses/nanobind.txt"),
    ("robin-map", "nanobind", "MIT", "licenses/robin_map.txt"),
    ("libc++", "ziglang", "Apache-2.0 WITH LLVM-exception", "licenses/llvm.txt"),
    ("libc++abi", "ziglang", "Apache-2.0 WITH LLVM-exception", "licenses/llvm.txt"),
    ("libunwind", "ziglang", "Apache-2.0 WITH LLVM-exception", "licenses/llvm.txt"),
    ("compiler-rt", "ziglang", "Apache-2.0 WITH LLVM-exception", "licenses/llvm.txt"),
)


def component(name: str, package: str, version: str, licence: str) -> dict[str, Any]:
    """An entry of the bill. A part of another package has no version of its own that we know."""
    entry: dict[str, Any] = {"type": "library", "name": name, "licenses": [{"expression": licence}]}
    if name == package:
        return {**entry, "version": version, "purl": f"pkg:pypi/{name}@{version}"}
    said = f"the copy that the package {package} {version} of PyPI brings"
    return {**entry, "description": said, "purl": f"pkg:generic/{quote(name)}"}


def bill_of_materials() -> dict[str, Any]:
    """The bill, as a JSON object."""
    pinned = dict(
        re.findall(
            r"^([\w.-]+)==([\w.]+)",
            (ROOT / "release/requirements.txt").read_text(encoding="utf-8"),
            re.MULTILINE,
        )
    )
    init = (ROOT / "src/centroids/__init__.py").read_text(encoding="utf-8")
    version = re.search(r'^__version__ = "(.*)"$', init, re.MULTILINE)
    assert version is not None
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "library",
                "name": "centroids",
                "version": version[1],
                "purl": f"pkg:pypi/centroids@{version[1]}",
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            }
        },
        "components": [
            component(name, package, pinned[package], licence)
            for name, package, licence, _ in BUNDLED
        ],
    }


def write(folder: Path) -> Path:
    """Writes the bill into a folder, and returns the path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    path.write_text(json.dumps(bill_of_materials(), indent=2) + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    print(f"wrote {write(ROOT / 'dist').name}")
