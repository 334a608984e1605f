"""The machine: what to say of it, and how to keep every peer on the same threads of it."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

THREAD_VARIABLES = (
    "CENTROIDS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
)

SWITCHES = {
    "avx2": {
        "FAISS_OPT_LEVEL": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
    }
}
"""How libraries are held to an instruction set, as `CENTROIDS_ISA` holds ours."""


LEVELS = {
    "scalar": "no vectors",
    "avx2": "AVX2",
    "avxvnni": "AVX-VNNI",
    "avx512": "AVX-512",
    "avx512vnni": "AVX-512 VNNI",
    "neon": "NEON",
    "neondot": "NEON, dot product",
}
"""The instruction sets, for people."""

_GENERATIONS = (  # maker, family, models, name; the first that fits
    ("AuthenticAMD", 23, range(0x30), "Zen"),
    ("AuthenticAMD", 23, range(0x30, 0x100), "Zen 2"),
    ("AuthenticAMD", 25, range(0x10, 0x20), "Zen 4"),
    ("AuthenticAMD", 25, range(0x60, 0x80), "Zen 4"),
    ("AuthenticAMD", 25, range(0xA0, 0xB0), "Zen 4"),
    ("AuthenticAMD", 25, range(0x100), "Zen 3"),
    ("AuthenticAMD", 26, range(0x50), "Zen 5"),
    ("GenuineIntel", 6, (0x55,), "Skylake or Cascade Lake"),
    ("GenuineIntel", 6, (0x6A, 0x6C), "Ice Lake"),
    ("GenuineIntel", 6, (0x8F,), "Sapphire Rapids"),
    ("GenuineIntel", 6, (0xCF,), "Emerald Rapids"),
    ("GenuineIntel", 6, (0xAD,), "Granite Rapids"),
)
_INFO = Path("/proc/cpuinfo")


def results_name(instruction_set: str) -> str:
    """What results of this machine are kept under: an instruction set and a generation."""
    return f"{instruction_set}-{_generation().lower().replace(' ', '-')}"


def title(name: str) -> str:
    """What `results_name` says, for people."""
    level, _, generation = name.partition("-")
    known = {found.lower().replace(" ", "-"): found for *_, found in _GENERATIONS}
    words = [LEVELS.get(level, level), known.get(generation, generation)]
    return ", ".join(filter(None, words))


def pin(threads: int) -> None:
    """Keeps this process and its children on so many CPUs, of different cores if possible."""
    if not hasattr(os, "sched_setaffinity"):
        return
    one_a_core = {_core(cpu): cpu for cpu in sorted(os.sched_getaffinity(0), reverse=True)}
    cpus = sorted(one_a_core.values())
    cpus += sorted(os.sched_getaffinity(0) - set(cpus))
    os.sched_setaffinity(0, cpus[:threads])


def environment(threads: int) -> dict[str, str]:
    """Environment variables that give every library so many threads.

    Where `CENTROIDS_ISA` forbids us what the processor has, others have to do without it, too.
    """
    switches = SWITCHES.get(os.environ.get("CENTROIDS_ISA", ""), {})
    return {**dict.fromkeys(THREAD_VARIABLES, str(threads)), **switches}


def memory_bytes() -> int | None:
    """The memory of the machine."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def describe(threads: int) -> dict[str, Any]:
    """What the results depend on; nothing that names the machine."""
    from centroids import kernels

    memory = memory_bytes()
    return {
        "cpu": _cpu_model(),
        "instruction_set": kernels.instruction_set(),
        "held": bool(os.environ.get("CENTROIDS_ISA")),
        "threads": threads,
        "memory_gib": memory and round(memory / 2**30),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def _core(cpu: int) -> str:
    topology = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology")
    try:
        names = ("physical_package_id", "core_id")
        return "/".join((topology / name).read_text().strip() for name in names)
    except OSError:
        return str(cpu)


def _generation() -> str:
    found = _cpu_info()
    try:
        family, model = int(found["cpu family"]), int(found["model"])
    except (KeyError, ValueError):
        return platform.machine()
    for maker, of_family, models, name in _GENERATIONS:
        if (maker, of_family) == (found.get("vendor_id"), family) and model in models:
            return name
    return f"family {family} model {model}"


def _cpu_model() -> str:
    """The name, with the numbers that tell generations apart where the name does not."""
    found = _cpu_info()
    if "model name" not in found:
        return platform.processor() or platform.machine()
    numbers = [f"{key} {found[key]}" for key in ("cpu family", "model") if key in found]
    return found["model name"] + (f" ({', '.join(numbers)})" if numbers else "")


def _cpu_info() -> dict[str, str]:
    """What Linux says of the first processor; empty elsewhere."""
    if not _INFO.exists():
        return {}
    pairs = (line.split(":", 1) for line in _INFO.read_text().splitlines() if ":" in line)
    found: dict[str, str] = {}
    for key, value in pairs:
        found.setdefault(key.strip(), value.strip())
    return found
