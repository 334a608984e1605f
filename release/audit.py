"""Asks the package index which weaknesses are known of what we build with and stand on.

That is requirements.txt, and what is installed in the environment that runs this: the package's
dependencies, those of its extras, and what tests need. An index that cannot tell is no good news:
then this ends with 2, and names what was not looked at.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
KNOWN, UNKNOWN = 1, 2


def ask(requirements: Path, *options: str) -> list[dict[str, Any]]:
    """What pip-audit says of each package of a file."""
    audit = [sys.executable, "-m", "pip_audit", "--progress-spinner", "off", "--format", "json"]
    command = [*audit, "--disable-pip", *options, "--requirement", str(requirements)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.stdout.strip():
        print(f"nothing was audited: {done.stderr.strip()}", file=sys.stderr)
        sys.exit(UNKNOWN)
    packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    return packages


def installed() -> str:
    """What is installed here besides the package itself, as requirements."""
    freeze = [sys.executable, "-m", "pip", "freeze", "--all", "--exclude", "centroids"]
    return subprocess.run(freeze, capture_output=True, text=True, check=True).stdout


def verdict(packages: list[dict[str, Any]]) -> tuple[int, str]:
    """The exit code, and what to say."""
    weak = {
        f"{each['name']} {each['version']}: {', '.join(one['id'] for one in each['vulns'])}"
        for each in packages
        if each.get("vulns")
    }
    if weak:
        return KNOWN, "known weaknesses:\n" + "\n".join(sorted(weak))
    unknown = sorted({each["name"] for each in packages if "skip_reason" in each})
    if unknown:
        names = ", ".join(unknown[:5]) + (", ..." if len(unknown) > 5 else "")
        return UNKNOWN, (
            f"{len(unknown)} of {len(packages)} packages were not audited, as the index does not "
            f"say what is known of them: {names}. Run make audit where it does"
        )
    return 0, f"{len(packages)} packages without a known weakness"


def main() -> None:
    """Audits, and says what was found."""
    packages = ask(REQUIREMENTS, "--require-hashes")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "installed.txt")
        path.write_text(installed())
        packages += ask(path, "--no-deps")
    code, text = verdict(packages)
    print(text, file=sys.stderr if code else sys.stdout)
    sys.exit(code)


if __name__ == "__main__":
    main()
