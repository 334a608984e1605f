"""No code for newer processors outside the levels.

Objects of a build are looked at, instruction by instruction. Those of `native/isa/` other than
scalar.cpp may hold what their level names; every other object must run on the oldest processor of
the architecture. And as the linker keeps one copy of each inline function, those in the objects of
levels must all be in the namespace of their level.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

# Registers that the baseline does not have, as objdump writes them: of AVX and AVX-512, the masks
# of AVX-512; and of SVE.
_WIDE = {
    "x86_64": re.compile(r"%[yz]mm\d|%k[0-7]\b|\tv[a-z0-9]+ .*%xmm"),
    "aarch64": re.compile(r"\bz\d+\.[bhsd]\b|\bp\d+/[mz]\b|\t[us]dot\t"),
}


# What a build must have a level for: a compiler that does not know the flags leaves one out.
_LEVELS = {"x86_64": {"avx2", "avxvnni", "avx512", "avx512vnni"}, "aarch64": {"neondot"}}


def disassembler(architecture: str) -> str:
    """The program that reads objects of an architecture."""
    for name in (f"{architecture}-linux-gnu-objdump".replace("_", "-"), "llvm-objdump", "objdump"):
        if shutil.which(name):
            return name
    sys.exit(f"objdump for {architecture} is needed, of binutils or LLVM")


def is_level(path: Path) -> bool:
    """Whether an object is compiled for newer processors only."""
    return path.parent.name == "isa" and not path.name.startswith(("scalar.", "neon."))


def missing_levels(objects: Iterable[Path], architecture: str) -> list[str]:
    """The levels of an architecture that a build has left out."""
    built = {path.name.partition(".")[0] for path in objects if is_level(path)}
    return sorted(_LEVELS[architecture] - built)


def wide_instructions(path: Path, architecture: str) -> list[str]:
    """The instructions of an object that the oldest processors do not have."""
    command = [disassembler(architecture), "--disassemble", "--no-show-raw-insn", str(path)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [line.strip() for line in text.splitlines() if _WIDE[architecture].search(line)]


def shared_functions(path: Path, architecture: str) -> list[str]:
    """Functions of a level's object that the linker may give to others."""
    command = [disassembler(architecture), "--syms", str(path)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    # The flags of a symbol stand behind its address; w is that of a weak one.
    weak = [line for line in text.splitlines() if re.match(r"[0-9a-f]{16} .w", line)]
    names = [line.split()[-1] for line in weak if " .text" in line]
    level = path.name.partition(".")[0]
    return [name for name in names if f"9centroids{len(level)}{level}" not in name]


def faults(objects: Iterable[Path], architecture: str) -> list[str]:
    """What an old processor would stumble over, in words."""
    found = []
    for path in sorted(objects):
        if is_level(path):
            names = shared_functions(path, architecture)
            found += [f"{path.name} shares the function {name}" for name in names]
        else:
            lines = wide_instructions(path, architecture)
            found += [f"{path.name} is baseline, but has {line}" for line in lines[:3]]
    return found


def check_baseline(build: Path, architecture: str) -> None:
    """Ends the program if the objects of a build hold what old processors do not have."""
    objects = [*build.rglob("*.cpp.o")]
    missing = missing_levels(objects, architecture)
    if missing:
        sys.exit(f"{build} holds no objects of these levels: {', '.join(missing)}")
    found = faults(objects, architecture)
    if found:
        sys.exit("\n".join(found))
    print(f"{len(objects)} objects: what is not of a level runs on every {architecture}")


if __name__ == "__main__":
    check_baseline(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "x86_64")
