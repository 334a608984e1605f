"""Writes what a wheel holds besides our own code, as a bill of materials: dist/centroids.cdx.json.

In the format CycloneDX 1.5. Versions are those of requirements.txt; what a wheel asks pip for is in
its metadata.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
# What is linked into the extension: name, the package that brings it, and its licence.
BUNDLED = (
    ("nanobind", "nanobind", "BSD-3-Clause", "licenses/nanobind.txt"),
    ("robin-map", "nanobind", "MIT", "licenses/robin_map.txt"),
    ("libc++", "ziglang", "Apache-2.0 WITH LLVM-exception", "licenses/llvm.txt"),
    ("libc++abi", "ziglang", "Apache-2.0 WITH LLVM-exception", "licenses/llvm.txt"),
    ("libunwind", "ziglang", "Apache-2.0 WITH LLVM-exception", "licenses/llvm.txt"),
    ("compiler-rt", "ziglang", "Apache-2.0 WITH LLVM-exception", "licenses/llvm.txt"),
)


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
            {
                "type": "library",
                "name": name,
                "version": f"of {package} {pinned[package]}",
                "purl": f"pkg:pypi/{package}@{pinned[package]}",
                "licenses": [{"expression": licence}],
            }
            for name, package, licence, _ in BUNDLED
        ],
    }


if __name__ == "__main__":
    path = ROOT / "dist" / "centroids.cdx.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(bill_of_materials(), indent=2) + "\n")
    print(f"wrote {path.name}")
