"""Checks, tags and builds a version, and says what is left to do.

The version stands in `src/centroids/__init__.py` alone, and CHANGELOG.md has a heading for it; both
are committed before. Nothing is published here: the tag is pushed by hand, and then
.github/workflows/release.yml builds anew and publishes.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from audit import UNKNOWN

ROOT = Path(__file__).parents[1]
_VERSION = re.compile(r"\d+\.\d+\.\d+((a|b|rc)\d+)?")


def git(*arguments: str) -> str:
    """What git answers."""
    command = ("git", "-C", str(ROOT), *arguments)
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def faults(root: Path, version: str, address: str = "") -> list[str]:
    """What stands against a release, in words.

    Args:
        root: The folder of the project.
        version: The version to release.
        address: Where the sources can be read; empty if nobody but us can.
    """
    if not _VERSION.fullmatch(version):
        return [f"VERSION must be like 1.2.3 or 1.2.3rc1, got {version!r}"]
    found = []
    init = (root / "src/centroids/__init__.py").read_text(encoding="utf-8")
    if f'\n__version__ = "{version}"\n' not in init:
        found.append(f'src/centroids/__init__.py must say __version__ = "{version}"')
    log = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    heading = re.search(r"^## (.*)$", log, re.MULTILINE)
    if heading is None or not re.fullmatch(rf"{re.escape(version)}, \d{{4}}-\d\d-\d\d", heading[1]):
        found.append(f"the first heading of CHANGELOG.md must be '## {version}, YEAR-MONTH-DAY'")
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    if address and address not in project.get("urls", {}).values():
        found.append(f'pyproject.toml must have under [project.urls]: Source = "{address}"')
    # The documentation of a version is that of its tag, and a wheel holds the README.
    until = re.compile(rf"{re.escape(version)} is (not )?(published|on PyPI)")
    for path in (root / "README.md", *sorted((root / "docs").rglob("*.md"))):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if until.search(line):
                place = f"{path.relative_to(root)}, line {number}"
                found.append(f"{place} says what holds only until {version} is published")
    return found


def refuse(version: str) -> None:
    """Ends the program if a version cannot be released as things stand."""
    found = faults(ROOT, version, os.environ.get("CENTROIDS_REPOSITORY", ""))
    if not found and git("status", "--porcelain"):
        found.append("there are changes that are not committed")
    if not found and git("tag", "--list", f"v{version}"):
        found.append(f"the tag v{version} exists already")
    if found:
        sys.exit("\n".join(found))


def main() -> None:
    """Releases the version that the command line names; with --check, only says what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", metavar="VERSION")
    parser.add_argument("--check", action="store_true", help="only say what stands against it")
    asked = parser.parse_args()
    version = asked.version
    refuse(version)
    if asked.check:
        return
    audited = subprocess.run([sys.executable, ROOT / "release/audit.py"], check=False).returncode
    if audited not in (0, UNKNOWN):
        sys.exit("what has known weaknesses is not released")
    for script in ("wheels.py", "try_wheels.py", "sbom.py"):
        if subprocess.run([sys.executable, ROOT / "release" / script], check=False).returncode:
            sys.exit(f"release/{script} failed, so v{version} is not tagged")
    git("tag", "--annotate", f"v{version}", "--message", f"centroids {version}")
    (sdist,) = (ROOT / "dist").glob("*.tar.gz")
    digest = hashlib.sha256(sdist.read_bytes()).hexdigest()
    not_audited = "  make audit, where the index says which weaknesses are known: here it did not\n"
    print(
        f"\nv{version} is tagged, and dist/ holds what was built and tried. Now:\n"
        f"{not_audited if audited else ''}"
        f"  git push origin main v{version}     # the workflow builds, tries and publishes\n"
        f"  make docs-version VERSION={version} && git push origin gh-pages\n"
        f"  release/conda/recipe.yaml: version {version}, sha256 {digest}\n"
        f"  the next heading of CHANGELOG.md, and the next version in src/centroids/__init__.py"
    )


if __name__ == "__main__":
    main()
