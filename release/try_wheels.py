"""Tries each wheel in dist/ as a new user would.

A wheel goes into an empty environment, without a compiler on the PATH. There the first example of
the README runs, with its commands, and then the tests that are installed with the package. Wheels
for other processors run in an emulator (qemu-user), with a Python of Debian's for them, which is
unpacked below build/ and leaves this system alone.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from wheels import PYTHONS, ROOT, WORK, find_python, run

TESTS = ("pytest", "pytest-timeout")
# The release of Debian that has each Python, for other architectures.
DEBIAN = {"3.11": "bookworm", "3.13": "trixie"}
DEBIAN_NAMES = {"aarch64": "arm64", "x86_64": "amd64"}


def wheels(architecture: str) -> list[tuple[Path, tuple[str, ...]]]:
    """The wheels for an architecture, and the versions of Python that each is for."""
    found = sorted((ROOT / "dist").glob(f"*_{architecture}.whl"))
    if not found:
        sys.exit(f"dist/ has no wheel for {architecture}: run make wheels")
    return [(path, PYTHONS["abi3" in path.name]) for path in found]


def new_environment(wheel: Path, versions: tuple[str, ...], place: Path) -> list[str]:
    """Installs a wheel into an empty environment; returns how its Python is called."""
    run(find_python(versions), "-m", "venv", "--clear", place)
    install(place / "bin/python", with_extras(wheel))
    return [str(place / "bin/python")]


def with_extras(wheel: Path) -> str:
    """The wheel with the extras that the README installs."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    asked = re.search(r"^pip install 'centroids(\[.*?\])?'", text, re.MULTILINE)
    return f"{wheel}{(asked and asked[1]) or ''}"


def install(python: Path, *what: str | Path, target: tuple[str | Path, ...] = ()) -> None:
    """Installs wheels, and builds none: there is no compiler on this PATH."""
    command = (python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    run(*command, "--only-binary", ":all:", *target, *what, PATH="/nowhere")


def debian_python(architecture: str, version: str) -> Path:
    """Unpacks Debian's Python for another architecture, and returns the folder."""
    root = WORK / f"debian-{architecture}-{version}"
    if (root / f"usr/bin/python{version}").exists():
        return root
    for folder in ("apt/lists/partial", "apt/archives/partial", "apt/none"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "apt/status").touch()
    keys = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
    source = f"deb {keys} http://deb.debian.org/debian {DEBIAN[version]} main\n"
    (root / "apt/sources.list").write_text(source)
    settings = {
        "APT::Architecture": DEBIAN_NAMES[architecture],
        "APT::Architectures": DEBIAN_NAMES[architecture],
        "Dir::State::Lists": f"{root}/apt/lists",
        "Dir::State::status": f"{root}/apt/status",
        "Dir::Cache": f"{root}/apt",
        "Dir::Cache::Archives": f"{root}/apt/archives",
        "Dir::Etc::SourceList": f"{root}/apt/sources.list",
        "Dir::Etc::SourceParts": f"{root}/apt/none",
    }
    apt = ["apt-get", "-qq", *(f"-o{key}={value}" for key, value in settings.items())]
    run(*apt, "update")
    # numpy needs libstdc++, which is part of no wheel.
    get = ("install", "--yes", "--download-only", "--no-install-recommends")
    run(*apt, *get, f"python{version}", "libstdc++6")
    for package in (root / "apt/archives").glob("*.deb"):
        run("dpkg-deb", "--extract", package, root)
    if not (root / "lib").exists():  # newer systems have it in usr
        (root / "lib").symlink_to("usr/lib")
    return root


def emulated(wheel: Path, version: str, architecture: str, place: Path) -> list[str]:
    """Unpacks a wheel and what it needs for another architecture; returns how Python is called."""
    root = debian_python(architecture, version)
    site = place / "site"
    platforms = ("manylinux2014", "manylinux_2_17", "manylinux_2_27", "manylinux_2_28")
    target: list[str | Path] = ["--target", site, "--python-version", version]
    for name in platforms:
        target += ["--platform", f"{name}_{architecture}"]
    host = place / "host"
    run(find_python(("3.11", *PYTHONS[1])), "-m", "venv", host)
    install(host / "bin/python", with_extras(wheel), *TESTS, target=tuple(target))
    python = [f"qemu-{architecture}", "-L", root, root / f"usr/bin/python{version}"]
    os.environ["PYTHONPATH"] = str(site)
    return [*map(str, python)]


def try_readme(python: list[str], folder: Path) -> float:
    """Runs the first example of the README and its commands; returns the seconds of the example."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text[text.index("## 60 seconds") :].split("\n## ")[0]
    example = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    promised = re.search(r"^This prints (.*?)\. ", section, re.DOTALL | re.MULTILINE)
    commands = re.findall(r"^(centroids .*)$", section, re.MULTILINE)
    assert example is not None and promised is not None and len(commands) >= 4
    begin = time.monotonic()
    done = subprocess.run(
        [*python, "-c", example[1]], cwd=folder, capture_output=True, text=True, check=False
    )
    seconds = time.monotonic() - begin
    if done.stdout.splitlines() != re.findall("`(.*?)`", promised[1]):
        sys.exit(f"the README's example printed {done.stdout!r}\n{done.stderr}")
    for command in commands:
        arguments = shlex.split(command, comments=True)[1:]
        subprocess.run([*python, "-m", "centroids", *arguments], cwd=folder, check=True)
    return seconds


def try_wheel(wheel: Path, versions: tuple[str, ...], architecture: str) -> None:
    """Installs a wheel, runs the README's beginning and the installed tests."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        begin = time.monotonic()
        own = architecture == platform.machine()
        if own:
            python = new_environment(wheel, versions, place / "env")
        else:
            version = next(version for version in DEBIAN if version in versions)
            python = emulated(wheel, version, architecture, place)
        installed = time.monotonic() - begin
        (place / "work").mkdir()
        seconds = try_readme(python, place / "work")
        if own:
            install(Path(python[0]), *TESTS)
        tests = ("-m", "pytest", "-q", "--doctest-modules", "-p", "no:cacheprovider")
        subprocess.run([*python, *tests, "--pyargs", "centroids"], cwd=place / "work", check=True)
        print(f"{wheel.name}: installed in {installed:.1f} s, example in {seconds:.1f} s")


def main() -> None:
    """Tries the wheels for the architectures that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("architectures", nargs="*", default=[platform.machine()])
    for architecture in parser.parse_args().architectures:
        if architecture != platform.machine() and not shutil.which(f"qemu-{architecture}"):
            sys.exit(f"qemu-{architecture} is needed (Debian: qemu-user)")
        for wheel, versions in wheels(architecture):
            try_wheel(wheel, versions, architecture)


if __name__ == "__main__":
    main()
