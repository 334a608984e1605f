"""What runs on every processor holds no instruction of newer ones: release/baseline.py looks."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = """
{namespace}
template <class T> T *add(T *to, const T *from) {{
    for (int i = 0; i < 64; ++i) to[i] += from[i];
    return to;
}}
template float *add<float>(float *, const float *);
}}
"""

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64" or not shutil.which("g++") or not shutil.which("objdump"),
    reason="needs g++ and binutils for x86-64",
)


@pytest.fixture(scope="module")
def baseline() -> Any:
    specification = importlib.util.spec_from_file_location(
        "baseline", ROOT / "release" / "baseline.py"
    )
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def compiled(path: Path, namespace: str, *flags: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    source = path.with_suffix("")
    source.write_text(SOURCE.format(namespace=namespace))
    subprocess.run(["g++", "-O3", *flags, "-c", source, "-o", path], check=True)
    return path


def test_wide_instructions_outside_of_the_levels_are_found(baseline: Any, tmp_path: Path) -> None:
    plain = compiled(tmp_path / "plain.cpp.o", "namespace centroids {")
    assert baseline.faults([plain], "x86_64") == []
    wide = compiled(tmp_path / "wide.cpp.o", "namespace centroids {", "-mavx2")
    (first, *_) = baseline.faults([wide], "x86_64")
    assert first.startswith("wide.cpp.o is baseline, but has")


def test_functions_that_the_linker_may_give_to_others_are_found(
    baseline: Any, tmp_path: Path
) -> None:
    place = tmp_path / "isa" / "avx2.cpp.o"
    own = compiled(place, "namespace centroids::avx2 {", "-mavx2")
    assert baseline.faults([own], "x86_64") == []
    shared = compiled(place, "namespace centroids {", "-mavx2")
    (found,) = baseline.faults([shared], "x86_64")
    assert found.startswith("avx2.cpp.o shares the function _ZN9centroids3add")


def test_a_level_that_the_compiler_left_out_is_found(baseline: Any) -> None:
    objects = [Path(f"isa/{name}.cpp.o") for name in ("scalar", "neon", "avx2", "avx512")]
    assert baseline.missing_levels(objects, "x86_64") == ["avx512vnni", "avxvnni"]
    assert baseline.missing_levels(objects, "aarch64") == ["neondot"]
    assert baseline.missing_levels([Path("isa/neondot.cpp.o")], "aarch64") == []


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("cmake"), reason="needs cmake")
def test_our_own_objects_run_on_every_processor(baseline: Any, tmp_path: Path) -> None:
    options = ["-DCENTROIDS_NATIVE_TESTS=ON", "-DCMAKE_BUILD_TYPE=Release"]
    subprocess.run(["cmake", "-S", ROOT, "-B", tmp_path, *options], check=True, timeout=60)
    build = ["cmake", "--build", tmp_path, "--parallel", "2", "--target", "centroids_native"]
    subprocess.run(build, check=True, timeout=900)
    objects = list(tmp_path.rglob("*.cpp.o"))
    assert baseline.missing_levels(objects, "x86_64") == []
    assert baseline.faults(objects, "x86_64") == []
