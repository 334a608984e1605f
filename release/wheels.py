"""Builds an sdist and, from it, wheels for Linux.

The compiler is zig's, which links against the glibc that is asked for and holds its own libc++: no
container is needed, and one machine builds for all architectures. Each wheel must be one for
manylinux_2_17, below 5 MB, and free of wide instructions outside the levels that are chosen at run
time (`baseline.py`).
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from baseline import check_baseline

ROOT = Path(__file__).parents[1]
WORK = ROOT / "build" / "release"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
ARCHITECTURES = ("x86_64", "aarch64")
GLIBC = "2.17"
MOST_BYTES = 5_000_000
# 3.11 has a wheel of its own; what the first of the others builds serves all of them (abi3).
PYTHONS = (("3.11",), ("3.12", "3.13", "3.14"))


def run(*command: str | Path, **environment: str) -> None:
    """Runs a program, and ends this one if it fails."""
    done = subprocess.run([*map(str, command)], env={**os.environ, **environment}, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed")


def interpreters(version: str) -> list[str]:
    """The paths of all interpreters of a version: on the PATH, then those that pyenv and uv keep."""
    kept = (Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions").glob("*/bin")
    uv = Path.home() / ".local/share/uv/python"
    managed = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or uv).glob("*/bin")
    folders = [*os.get_exec_path(), *map(str, sorted(kept)), *map(str, sorted(managed))]
    paths = (shutil.which(f"python{version}", path=folder) for folder in folders)
    return [path for path in dict.fromkeys(paths) if path is not None]


def find_python(versions: tuple[str, ...]) -> str:
    """The first interpreter of one of these versions that runs, and can build."""
    # pyenv's own programs are on the PATH for versions, too, that it is not set to: they fail.
    check = "import ensurepip, sysconfig; print(sysconfig.get_path('include'))"
    for version in versions:
        for path in interpreters(version):
            done = subprocess.run([path, "-c", check], capture_output=True, text=True, check=False)
            if done.returncode == 0 and Path(done.stdout.strip(), "Python.h").exists():
                return path
    sys.exit(f"wheels need one of {', '.join(versions)} of Python, with its headers")


def make_environment(python: str, version: str) -> Path:
    """An environment with what builds, in the versions and with the hashes that are pinned."""
    place = WORK / f"env-{version}"
    done = place / REQUIREMENTS.name
    if not done.exists() or done.read_bytes() != REQUIREMENTS.read_bytes():
        run(python, "-m", "venv", "--clear", place)
        pip = (place / "bin/python", "-m", "pip", "install", "--quiet", "--require-hashes")
        run(*pip, "--disable-pip-version-check", "--requirement", REQUIREMENTS)
        shutil.copy(REQUIREMENTS, done)
    return place / "bin"


def build_sdist(tools: Path, dist: Path) -> Path:
    """Builds the sdist twice: equal commits must give equal bytes."""
    command = ("git", "-C", str(ROOT), "log", "-1", "--format=%ct")
    time = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    again = WORK / "again"
    shutil.rmtree(again, ignore_errors=True)
    for place in (dist, again):
        build = (tools / "python", "-m", "build", "--no-isolation", "--sdist", "--outdir", place)
        run(*build, ROOT, SOURCE_DATE_EPOCH=time)
    (sdist,) = dist.glob("*.tar.gz")
    if sdist.read_bytes() != (again / sdist.name).read_bytes():
        sys.exit(f"{sdist.name} has other bytes when it is built again")
    return sdist


def write_tools(zig: Path, architecture: str) -> dict[str, str]:
    """Programs that call zig as CMake calls a compiler, and how CMake is told of them."""
    folder = WORK / f"zig-{architecture}"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("c++", "ar", "ranlib"):
        target = f"-target {architecture}-linux-gnu.{GLIBC} " if name == "c++" else ""
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec {zig}/python -m ziglang {name} {target}"$@"\n')
        script.chmod(0o755)
    return {
        "CMAKE_SYSTEM_NAME": "Linux",
        "CMAKE_SYSTEM_PROCESSOR": architecture,
        "CMAKE_CXX_COMPILER": str(folder / "c++"),
        "CMAKE_AR": str(folder / "ar"),
        "CMAKE_RANLIB": str(folder / "ranlib"),
        "CENTROIDS_WERROR": "ON",
    }


def build_wheel(tools: Path, zig: Path, version: str, architecture: str, source: Path) -> Path:
    """Builds a wheel, for this processor or another."""
    raw, build_dir = (WORK / f"{name}-{version}-{architecture}" for name in ("raw", "build"))
    # The files of an sdist have the date of the commit: objects of another one may look newer.
    # What is the same zig takes from its own cache, which goes by contents.
    for folder in (raw, build_dir):
        shutil.rmtree(folder, ignore_errors=True)
    settings = [f"cmake.define.{k}={v}" for k, v in write_tools(zig, architecture).items()]
    settings.append(f"build-dir={build_dir}")
    options = [option for setting in settings for option in ("--config-setting", setting)]
    build = (tools / "python", "-m", "build", "--no-isolation", "--wheel", "--outdir", raw)
    run(
        *build,
        *options,
        source,
        PATH=f"{tools}{os.pathsep}{os.environ['PATH']}",
        _PYTHON_HOST_PLATFORM=f"linux-{architecture}",
        SETUPTOOLS_EXT_SUFFIX=f".cpython-{version.replace('.', '')}-{architecture}-linux-gnu.so",
    )
    check_baseline(build_dir, architecture)
    (wheel,) = raw.glob("*.whl")
    return wheel


def repair(tools: Path, wheel: Path, architecture: str, dist: Path) -> None:
    """Names the wheel after the glibc that it needs, which must be as old as we promise."""
    # auditwheel finds out the platform, as it takes the names of its own processor only.
    promised = f"manylinux_{GLIBC.replace('.', '_')}_{architecture}"
    command = (tools / "auditwheel", "repair", "--plat", "auto", "--wheel-dir", dist)
    run(*command, wheel, PATH=f"{tools}{os.pathsep}{os.environ['PATH']}")
    made = [*dist.glob(f"{wheel.name.partition('-linux')[0]}-*{promised}.whl")]
    if not made:
        sys.exit(f"{wheel.name} needs a newer glibc than {GLIBC}")
    for path in made:
        if path.stat().st_size > MOST_BYTES:
            sys.exit(f"{path.name} has {path.stat().st_size} bytes, more than {MOST_BYTES}")
        print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB")


def main() -> None:
    """Builds what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("architectures", nargs="*", default=ARCHITECTURES, metavar="ARCHITECTURE")
    asked = parser.parse_args().architectures
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    dist.mkdir(parents=True)
    pythons = [(find_python(versions), versions[0]) for versions in PYTHONS]
    environments = [(make_environment(*python), python[1]) for python in pythons]
    sdist = build_sdist(environments[0][0], dist)
    source = WORK / "source"
    shutil.rmtree(source, ignore_errors=True)
    with tarfile.open(sdist) as archive:
        archive.extractall(source, filter="data")
    (unpacked,) = source.iterdir()
    for architecture in asked:
        for tools, version in environments:
            # One zig for all: it keeps what it has compiled for another Python.
            wheel = build_wheel(tools, environments[0][0], version, architecture, unpacked)
            repair(tools, wheel, architecture, dist)


if __name__ == "__main__":
    main()
