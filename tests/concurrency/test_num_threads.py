"""How many threads there are: quota, affinity and environment, counted in the process itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from centroids import kernels
from centroids.kernels import _native
from tests.concurrency.work import in_new_python

pytestmark = pytest.mark.skipif(
    not os.path.isdir("/proc/self/task"), reason="counts the threads in /proc"
)
NOTHING_CHOSEN = {"CENTROIDS_NUM_THREADS": None, "OMP_NUM_THREADS": None}


def write_groups(root: Path, groups: str, files: dict[str, str]) -> str:
    """A system whose process is in some control groups, with the given files below its mount."""
    files = {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    for name, text in {"proc/self/cgroup": groups, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return str(root)


@pytest.fixture
def wide_affinity(monkeypatch: pytest.MonkeyPatch) -> int:
    """The affinity, of at least two CPUs, with nothing else that limits threads."""
    monkeypatch.delenv("CENTROIDS_NUM_THREADS", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    count = len(os.sched_getaffinity(0))
    if count < 2:
        pytest.skip("this machine has one CPU: a limit below it cannot be seen")
    return count


QUOTA_OF_ONE = {
    "v2, the container's own root": ("0::/", {"cpu.max": "100000 100000"}),
    "v2, a service": ("0::/system.slice/a.service", {"system.slice/a.service/cpu.max": "5 10"}),
    "v2, a folder above": (
        "0::/user/app",
        {"user/app/cpu.max": "max 100000", "user/cpu.max": "100000 100000"},
    ),
    "v1, the container's own root": (
        "4:cpu,cpuacct:/docker/1f",
        {"cpu/cpu.cfs_quota_us": "90000", "cpu/cpu.cfs_period_us": "100000"},
    ),
    "v1, its own group": (
        "2:cpuset:/\n1:cpuacct,cpu:/job\n0::/",
        {
            "cpu/cpu.cfs_quota_us": "-1",
            "cpu/cpu.cfs_period_us": "100000",
            "cpu/job/cpu.cfs_quota_us": "50000",
            "cpu/job/cpu.cfs_period_us": "50000",
        },
    ),
}


@pytest.mark.parametrize("groups, files", QUOTA_OF_ONE.values(), ids=QUOTA_OF_ONE)
def test_a_quota_of_one_cpu_is_one_thread(
    tmp_path: Path, wide_affinity: int, groups: str, files: dict[str, str]
) -> None:
    assert wide_affinity > 1
    assert _native.default_num_threads(write_groups(tmp_path, groups, files)) == 1


NO_QUOTA = {
    "v2": ("0::/", {"cpu.max": "max 100000"}),
    "v1": ("1:cpu:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}),
    "wider than the affinity": ("0::/", {"cpu.max": "999900000 100000"}),
    "another controller": (
        "1:cpuset:/",
        {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"},
    ),
    "unreadable": ("not a group", {"cpu.max": "nonsense"}),
    "no files": ("", {}),
}


@pytest.mark.parametrize("groups, files", NO_QUOTA.values(), ids=NO_QUOTA)
def test_without_a_quota_the_affinity_decides(
    tmp_path: Path, wide_affinity: int, groups: str, files: dict[str, str]
) -> None:
    root = write_groups(tmp_path, groups, files)
    assert _native.default_num_threads(root) == wide_affinity


def test_a_part_of_a_cpu_counts_as_one(tmp_path: Path, wide_affinity: int) -> None:
    root = write_groups(tmp_path, "0::/", {"cpu.max": "110000 100000"})
    assert _native.default_num_threads(root) == 2 <= wide_affinity


def test_openmp_s_variable_is_a_limit_too(
    monkeypatch: pytest.MonkeyPatch, wide_affinity: int
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1,4")
    assert kernels.default_num_threads() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "4000")
    assert kernels.default_num_threads() <= wide_affinity
    monkeypatch.setenv("CENTROIDS_NUM_THREADS", "4000")
    assert kernels.default_num_threads() == 4000


COUNT = """
import os, tempfile, threading, time
from tests.concurrency import work

def threads():
    return len(os.listdir("/proc/self/task"))

def train():
    with tempfile.TemporaryDirectory() as folder:
        work.digest_of_training(folder)

def in_python_threads(count):
    callers = [threading.Thread(target=train) for _ in range(count)]
    for caller in callers:
        caller.start()
    most = 0
    while any(caller.is_alive() for caller in callers):
        most = max(most, threads())
        callers[0].join(0.001)
    while any(f"{caller.native_id}" in os.listdir("/proc/self/task") for caller in callers):
        time.sleep(0.001)  # a thread that is joined is still listed for an instant
    return most

before = threads()
"""


def test_as_many_threads_are_made_as_the_environment_says() -> None:
    code = COUNT + "train(); print(threads() - before)"
    assert in_new_python(code, CENTROIDS_NUM_THREADS="1") == "0"
    assert in_new_python(code, CENTROIDS_NUM_THREADS="4") == "3"


def test_with_one_cpu_there_is_one_thread() -> None:
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n" + COUNT
    code += "train(); print(threads() - before)"
    assert in_new_python(code, **NOTHING_CHOSEN) == "0"


def test_an_affinity_that_shrinks_later_is_kept_too(wide_affinity: int) -> None:
    # The workers of the first call stay, and sleep: their processor time stands still.
    code = COUNT + (
        "train()\n"
        "workers = [t for t in os.listdir('/proc/self/task') if int(t) != os.getpid()]\n"
        "def used():\n"
        "    stats = [open(f'/proc/self/task/{t}/stat').read().split() for t in workers]\n"
        "    return sum(int(stat[13]) + int(stat[14]) for stat in stats)\n"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "def asleep(t): return open(f'/proc/self/task/{t}/stat').read().split()[2] == 'S'\n"
        "while not all(map(asleep, workers)): time.sleep(0.001)\n"
        "at_first = used()\n"
        "for _ in range(60): work.digest_of_assignment()\n"
        "print(len(workers), used() - at_first)\n"
    )
    if _native.default_num_threads() < 2:
        pytest.skip("the quota of this machine is one CPU: there are no workers")
    workers = _native.default_num_threads() - 1
    assert in_new_python(code, **NOTHING_CHOSEN) == f"{workers} 0"


def test_several_callers_share_one_set_of_workers() -> None:
    # One caller has the workers, the others compute by themselves: callers + limit - 1 threads.
    code = COUNT + "print(in_python_threads(4) - before, threads() - before)"
    most, left = in_new_python(code, CENTROIDS_NUM_THREADS="3").split()
    assert int(most) <= 4 + 2
    assert int(left) <= 2


def test_a_system_without_room_for_threads_still_computes() -> None:
    # No thread can be made whose stack takes all of the address space.
    limits = "import resource; resource.setrlimit(resource.RLIMIT_STACK, ({}, {}))\n"
    stack = 1 << 47
    try:
        in_new_python(limits.format(stack, stack))
    except AssertionError:
        pytest.skip("the limit of the stack cannot be raised here")
    run = "import os, sys; os.execv(sys.executable, [sys.executable, '-c', sys.argv[1]])"
    inner = COUNT + "print(work.digest_of_assignment(), threads() - before)"
    code = limits.format(stack, stack) + f"import sys; sys.argv = ['', {inner!r}]\n" + run
    digest, more = in_new_python(code, CENTROIDS_NUM_THREADS="3").split()
    assert more == "0"
    assert digest == in_new_python(COUNT + "print(work.digest_of_assignment())")
