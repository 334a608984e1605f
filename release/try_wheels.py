"""Tries each wheel in dist/ as a new user would.

A wheel goes into an empty environment, without a compiler on the PATH. There the first example of
the README runs, with its commands, and then the tests that are installed with the package. One that
serves several versions of Python is tried with each. Wheels for other processors run in an emulator
(qemu-user), with a Python of Debian's for them, which is unpacked below build/ and leaves this
system alone. A Python that is not here is had in the same way, if the emulator is there. What has
passed is not tried again until the wheel, the README or this file changes.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from wheels import PYTHONS, ROOT, WORK, find_python, run

TESTS = ("pytest", "pytest-timeout")
EXTRAS = "plot,sklearn"  # what examples in docstrings need
# The release of Debian that has each Python, for other architectures and where it is not here.
DEBIAN = {"3.11": "bookworm", "3.13": "trixie", "3.14": "forky", "3.15": "forky"}
DEBIAN_NAMES = {"aarch64": "arm64", "x86_64": "amd64"}


@dataclass(frozen=True)
class Tried:
    """Where a wheel is installed.

    Attributes:
        python: How Python is called.
        command: How the program is called.
        variables: Those of its environment, besides HOME.
        seconds: What it took to make the environment, and to install the wheel into it.
    """

    python: list[str]
    command: list[str]
    variables: dict[str, str]
    seconds: tuple[float, float]

    @property
    def environment(self) -> dict[str, str]:
        """The variables of its processes: no compiler is on the PATH."""
        return {"PATH": "/nowhere", "HOME": os.environ.get("HOME", "/"), **self.variables}


def wheels(architecture: str) -> list[Path]:
    """The wheels for an architecture."""
    found = sorted((ROOT / "dist").glob(f"*_{architecture}.whl"))
    if not found:
        sys.exit(f"dist/ has no wheel for {architecture}: run make wheels")
    return found


def versions_for(wheel: Path) -> tuple[str, ...]:
    """The versions of Python that a wheel is for."""
    _, _, _, abi, _ = wheel.stem.split("-")
    if abi == "abi3":
        return PYTHONS[1]
    return (f"3.{abi.removeprefix('cp3')}",)


def new_environment(wheel: Path, python: str, place: Path) -> Tried:
    """Installs a wheel into an empty environment."""
    begin = time.monotonic()
    run(python, "-m", "venv", "--clear", place)
    made = time.monotonic()
    install(place / "bin/python", with_extras(wheel))
    path = {"PATH": str(place / "bin")}
    seconds = (made - begin, time.monotonic() - made)
    return Tried([str(place / "bin/python")], [str(place / "bin/centroids")], path, seconds)


def with_extras(wheel: Path) -> str:
    """The wheel with the extras that the README installs."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    asked = re.search(r"^pip install '?centroids(\[.*?\])?", text, re.MULTILINE)
    return f"{wheel}{(asked and asked[1]) or ''}"


def for_tests(wheel: Path) -> tuple[str, ...]:
    """What is installed to run the tests that are in the wheel."""
    return (with_extras(wheel), f"{wheel}[{EXTRAS}]", *TESTS)


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


def emulated(wheel: Path, version: str, architecture: str, place: Path) -> Tried:
    """Unpacks a wheel and what it needs for another architecture."""
    root = debian_python(architecture, version)
    site, host = place / "site", place / "host"
    target: list[str | Path] = ["--target", site, "--python-version", version]
    for name in ("manylinux2014", "manylinux_2_17", "manylinux_2_27", "manylinux_2_28"):
        target += ["--platform", f"{name}_{architecture}"]
    begin = time.monotonic()
    run(sys.executable, "-m", "venv", host)
    made = time.monotonic()
    install(host / "bin/python", *for_tests(wheel), target=tuple(target))
    emulator = shutil.which(f"qemu-{architecture}")
    python = [*map(str, (emulator, "-L", root, root / f"usr/bin/python{version}"))]
    seconds = (made - begin, time.monotonic() - made)
    return Tried(python, [*python, "-m", "centroids"], {"PYTHONPATH": str(site)}, seconds)


def try_readme(tried: Tried, folder: Path) -> float:
    """Runs the first example of the README and its commands; returns the seconds of the example."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text[text.index("## 60 seconds") :].split("\n## ")[0]
    example = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    promised = re.search(r"^This prints (.*?)\. ", section, re.DOTALL | re.MULTILINE)
    commands = re.findall(r"^(centroids .*)$", section, re.MULTILINE)
    assert example is not None and promised is not None and len(commands) >= 4
    begin = time.monotonic()
    program = [*tried.python, "-c", example[1]]
    done = subprocess.run(
        program, cwd=folder, env=tried.environment, capture_output=True, text=True, check=False
    )
    seconds = time.monotonic() - begin
    if done.stdout.splitlines() != re.findall("`(.*?)`", promised[1]):
        sys.exit(f"the README's example printed {done.stdout!r}\n{done.stderr}")
    for command in commands:
        arguments = shlex.split(command, comments=True)[1:]
        program = [*tried.command, *arguments]
        subprocess.run(program, cwd=folder, env=tried.environment, check=True)
    return seconds


def try_wheel(wheel: Path, version: str, python: str | None, architecture: str) -> str:
    """Installs a wheel, runs the README's beginning and the installed tests; returns the times.

    Args:
        wheel: The wheel.
        version: Of Python.
        python: The interpreter; None if it is to be emulated.
        architecture: What the wheel is for.
    """
    with tempfile.TemporaryDirectory() as folder:
        place, work = Path(folder), Path(folder, "work")
        work.mkdir()
        if python is not None:
            tried = new_environment(wheel, python, place / "env")
        else:
            tried = emulated(wheel, version, architecture, place)
        # Free-threaded Python warns of an extension that makes it take its lock again.
        imported = [*tried.python, "-W", "error", "-c", "import centroids.kernels"]
        subprocess.run(imported, cwd=work, env=tried.environment, check=True)
        seconds = try_readme(tried, work)
        if python is not None:
            install(Path(tried.python[0]), *for_tests(wheel))
        tests = ("-m", "pytest", "-q", "--doctest-modules", "-p", "no:cacheprovider")
        command = [*tried.python, *tests, "--pyargs", "centroids"]
        subprocess.run(command, cwd=work, env=tried.environment, check=True)
    made, installed = tried.seconds
    return (
        f"{wheel.name} with Python {version}: environment {made:.1f} s, installed in "
        f"{installed:.1f} s, the README's example in {seconds:.1f} s"
    )


def interpreters_for(wheel: Path, architecture: str) -> list[tuple[str, str | None]]:
    """The versions of Python that a wheel is tried with, each with its interpreter."""
    versions = versions_for(wheel)
    if architecture != platform.machine():
        return [(version, None) for version in DEBIAN if version in versions]
    found = [(version, find_python(version)) for version in versions]
    other = DEBIAN if shutil.which(f"qemu-{architecture}") else {}
    return [each for each in found if each[1] is not None or each[0] in other]


def main() -> None:
    """Tries the wheels for the architectures that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("architectures", nargs="*", default=[platform.machine()])
    of_all = Path(__file__).read_bytes() + (ROOT / "README.md").read_bytes()
    for architecture in parser.parse_args().architectures:
        if architecture != platform.machine() and not shutil.which(f"qemu-{architecture}"):
            sys.exit(f"qemu-{architecture} is needed (Debian: qemu-user)")
        for wheel in wheels(architecture):
            interpreters = interpreters_for(wheel, architecture)
            if not interpreters:
                print(f"{wheel.name} was not tried: no Python is here that it is for")
            for version, python in interpreters:
                key = hashlib.sha256(of_all + wheel.read_bytes() + version.encode()).hexdigest()
                passed = WORK / "tried" / key
                if not passed.exists():
                    said = try_wheel(wheel, version, python, architecture)
                    passed.parent.mkdir(parents=True, exist_ok=True)
                    passed.write_text(said)
                print(passed.read_text(), flush=True)


if __name__ == "__main__":
    main()
