"""Builds an sdist and, from it, wheels for Linux.

The compiler is zig's, which links against the glibc that is asked for and holds its own libc++: no
container is needed, and one machine builds for all architectures. Each wheel must be one for
manylinux_2_17, below 5 MB, and free of wide instructions outside the levels that are chosen at run
time (`baseline.py`). What was built of the same sources is taken as it is, so that a run that was
interrupted goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import long_description
import sbom
from baseline import check_baseline

ROOT = Path(__file__).parents[1]
WORK = ROOT / "build" / "release"
HEADERS = WORK / "headers"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
ARCHITECTURES = ("x86_64", "aarch64")
GLIBC = "2.17"
MOST_BYTES = 5_000_000
# 3.11 has a wheel of its own; what the first of the others builds serves all of them (abi3).
PYTHONS = (("3.11",), ("3.12", "3.13", "3.14", "3.15"))
# Each has a wheel of its own, and is built for where it is there.
FREE_THREADED = ("3.13t", "3.14t", "3.15t")
# Asked for the dependencies of an object, zig takes nothing from its cache. A build from nothing
# does not need them.
_NO_DEPENDENCIES = """skip=
for argument; do
  shift
  case $argument in
  -MD) ;;
  -MT | -MF) skip=yes ;;
  *) [ -n "$skip" ] || set -- "$@" "$argument"; skip= ;;
  esac
done
"""


def run(*command: str | Path, **environment: str) -> None:
    """Runs a program, and ends this one if it fails."""
    done = subprocess.run([*map(str, command)], env={**os.environ, **environment}, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed")


def interpreters(version: str) -> list[str]:
    """All interpreters of a version: those on the PATH, then those that pyenv and uv keep."""
    kept = (Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions").glob("*/bin")
    uv = Path.home() / ".local/share/uv/python"
    managed = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or uv).glob("*/bin")
    folders = [*os.get_exec_path(), *map(str, sorted(kept)), *map(str, sorted(managed))]
    paths = (shutil.which(f"python{version}", path=folder) for folder in folders)
    return [path for path in dict.fromkeys(paths) if path is not None]


def find_python(version: str) -> str | None:
    """The first interpreter of a version that runs, and can build."""
    # pyenv's own programs are on the PATH for versions, too, that it is not set to: they fail.
    # And a free-threaded Python 3.13 is called python3.13, too, besides python3.13t.
    check = """
import ensurepip, sysconfig
print(sysconfig.get_path("include"), sysconfig.get_config_var("Py_GIL_DISABLED") or 0)
"""
    for path in interpreters(version):
        done = subprocess.run([path, "-c", check], capture_output=True, text=True, check=False)
        include, _, threads = done.stdout.strip().rpartition(" ")
        wanted = str(int(version.endswith("t")))
        if not done.returncode and threads == wanted and Path(include, "Python.h").exists():
            return path
    return None


def find_pythons() -> list[tuple[str, str]]:
    """The interpreters that wheels are built with, and their versions."""
    found = []
    for versions in (*PYTHONS, *zip(FREE_THREADED, strict=True)):
        paths = ((find_python(version), version) for version in versions)
        first = next(((path, version) for path, version in paths if path is not None), None)
        if first is not None:
            found.append(first)
        elif versions in PYTHONS:
            names = ", ".join(versions)
            sys.exit(f"wheels need one of these versions of Python, with its headers: {names}")
        else:
            print(f"no wheel for Python {versions[0]}, which is not here with its headers")
    return found


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


def copy_sources(place: Path) -> Path:
    """Copies what git does not ignore, with the README as an index of packages shows it."""
    shutil.rmtree(place, ignore_errors=True)
    command = ("git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for name in done.stdout.rstrip("\0").split("\0"):
        if (ROOT / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, place / name)
    long_description.write(place)
    return place


def build_sdist(tools: Path, dist: Path) -> Path:
    """Builds the sdist twice: equal commits must give equal bytes."""
    command = ("git", "-C", str(ROOT), "log", "-1", "--format=%ct")
    time = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    again, sources = WORK / "again", copy_sources(WORK / "tree")
    shutil.rmtree(again, ignore_errors=True)
    for place in (dist, again):
        build = (tools / "python", "-m", "build", "--no-isolation", "--sdist", "--outdir", place)
        run(*build, sources, SOURCE_DATE_EPOCH=time)
    (sdist,) = dist.glob("*.tar.gz")
    if sdist.read_bytes() != (again / sdist.name).read_bytes():
        sys.exit(f"{sdist.name} has other bytes when it is built again")
    return sdist


def unpack(sdist: Path, folder: Path) -> None:
    """Makes a folder hold what an sdist holds; files that are the same stay as they are."""
    # zig compiles again what has another date, even if its contents are the same.
    kept = set()
    with tarfile.open(sdist) as archive:
        for member in archive:
            read = archive.extractfile(member)  # None for a folder
            path = folder / Path(*Path(member.name).parts[1:])
            if read is not None:
                kept.add(path)
                data = read.read()
                if not path.exists() or path.read_bytes() != data:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(data)
    for path in folder.rglob("*"):
        if path.is_file() and path not in kept:
            path.unlink()


def write_tools(zig: Path, architecture: str) -> dict[str, str]:
    """Programs that call zig as CMake calls a compiler, and how CMake is told of them."""
    folder = WORK / f"zig-{architecture}"
    folder.mkdir(parents=True, exist_ok=True)
    # Python's headers define again what those of the system define.
    flags = f"-target {architecture}-linux-gnu.{GLIBC} -Wno-macro-redefined -isystem {HEADERS}"
    for name in ("c++", "ar", "ranlib"):
        call = f'exec {zig}/python -m ziglang {name} {flags if name == "c++" else ""} "$@"\n'
        script = folder / name
        script.write_text(f"#!/bin/sh\n{_NO_DEPENDENCIES if name == 'c++' else ''}{call}")
        script.chmod(0o755)
    return {
        "CMAKE_SYSTEM_NAME": "Linux",
        "CMAKE_SYSTEM_PROCESSOR": architecture,
        "CMAKE_CXX_COMPILER": str(folder / "c++"),
        "CMAKE_AR": str(folder / "ar"),
        "CMAKE_RANLIB": str(folder / "ranlib"),
        "CENTROIDS_WERROR": "ON",
        "CENTROIDS_SBOM": str(sbom.write(WORK)),
    }


def copy_multiarch_headers(tools: Path) -> None:
    """Puts where zig looks what a Python of Debian's has outside of its own folder of headers."""
    code = """
import sys, sysconfig
print(sysconfig.get_path("include"), getattr(sys.implementation, "_multiarch", ""))
"""
    command = (tools / "python", "-c", code)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    include, _, multiarch = done.stdout.rstrip("\n").partition(" ")
    # Such as /usr/include/x86_64-linux-gnu/python3.11/pyconfig.h, which is as good for Arm.
    config = Path(include).parent / multiarch / Path(include).name / "pyconfig.h"
    if multiarch and config.exists():
        for architecture in ARCHITECTURES:
            place = HEADERS / f"{architecture}-linux-gnu" / config.parent.name
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(config, place)


def build_wheel(tools: Path, zig: Path, version: str, architecture: str, source: Path) -> Path:
    """Builds a wheel, for this processor or another, unless there is one of the same sources."""
    name = f"{version}-{architecture}"
    place, build_dir = WORK / f"wheel-{name}", WORK / f"build-{name}"
    mark, sources = place / "sources", digest(source)
    if mark.exists() and mark.read_text() == sources:
        return place
    # Objects of another commit may look newer than its files. What is the same zig takes from its
    # own cache.
    for folder in (place, build_dir):
        shutil.rmtree(folder, ignore_errors=True)
    settings = [f"cmake.define.{k}={v}" for k, v in write_tools(zig, architecture).items()]
    settings.append(f"build-dir={build_dir}")
    options = [option for setting in settings for option in ("--config-setting", setting)]
    build = (
        tools / "python",
        "-m",
        "build",
        "--no-isolation",
        "--wheel",
        "--outdir",
        place / "raw",
    )
    run(
        *build,
        *options,
        source,
        PATH=f"{tools}{os.pathsep}{os.environ['PATH']}",
        _PYTHON_HOST_PLATFORM=f"linux-{architecture}",
        SETUPTOOLS_EXT_SUFFIX=f".cpython-{version.replace('.', '')}-{architecture}-linux-gnu.so",
    )
    check_baseline(build_dir, architecture)
    (wheel,) = (place / "raw").glob("*.whl")
    repair(tools, wheel, architecture, place)
    mark.write_text(sources)
    return place


def digest(source: Path) -> str:
    """A digest of what a wheel is made of: the sources, and what builds."""
    whole = hashlib.sha256(REQUIREMENTS.read_bytes())
    for script in ("wheels.py", "sbom.py", "baseline.py"):
        whole.update(Path(__file__).with_name(script).read_bytes())
    for path in sorted(source.rglob("*")):
        if path.is_file():
            whole.update(f"{path.relative_to(source)}\0{path.stat().st_size}\0".encode())
            whole.update(path.read_bytes())
    return whole.hexdigest()


def repair(tools: Path, wheel: Path, architecture: str, place: Path) -> None:
    """Names a wheel after the glibc that it needs, which must be as old as we promise."""
    # auditwheel finds out the platform, as it takes the names of its own processor only.
    promised = f"manylinux_{GLIBC.replace('.', '_')}_{architecture}"
    command = (tools / "auditwheel", "repair", "--plat", "auto", "--wheel-dir", place)
    run(*command, wheel, PATH=f"{tools}{os.pathsep}{os.environ['PATH']}")
    made = [*place.glob(f"*{promised}.whl")]
    if not made:
        sys.exit(f"{wheel.name} needs a newer glibc than {GLIBC}")
    for path in made:
        with zipfile.ZipFile(path) as archive:
            if not any(name.endswith(f"/sboms/{sbom.NAME}") for name in archive.namelist()):
                sys.exit(f"{path.name} holds no bill of materials")
        if path.stat().st_size > MOST_BYTES:
            sys.exit(f"{path.name} has {path.stat().st_size} bytes, more than {MOST_BYTES}")


def main() -> None:
    """Builds what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("architectures", nargs="*", default=ARCHITECTURES, metavar="ARCHITECTURE")
    asked = parser.parse_args().architectures
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    dist.mkdir(parents=True)
    environments = [(make_environment(*python), python[1]) for python in find_pythons()]
    for tools, _ in environments:
        copy_multiarch_headers(tools)
    sdist = build_sdist(environments[0][0], dist)
    source = WORK / "source"
    unpack(sdist, source)
    for architecture in asked:
        for tools, version in environments:
            # One zig for all: it keeps what it has compiled for another Python.
            place = build_wheel(tools, environments[0][0], version, architecture, source)
            for wheel in place.glob("*.whl"):
                shutil.copy(wheel, dist)
                print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
