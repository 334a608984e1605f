"""Killed trainings, failing disks, rivals: short here, and at length with -m slow."""

from __future__ import annotations

import os
import platform
import sys

import pytest

from centroids import KMeansClustering
from tests.crash.faults import compiler
from tests.crash.programs import run_module

KILLS = os.environ.get("CENTROIDS_CRASH_KILLS", "200")
# The same trainings and instants each time; by hand, the programs choose a seed of their own.
SEED = os.environ.get("CENTROIDS_CRASH_SEED", "0")

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork"),
    pytest.mark.timeout(1800),
]
needs_compiler = pytest.mark.skipif(compiler() is None, reason="needs Linux and a C compiler")
needs_export = pytest.mark.skipif(
    not hasattr(KMeansClustering, "export_savedmodel"), reason="there is no export_savedmodel"
)


def tell(output: str) -> None:
    """Shows what was done, and the seed that repeats it, also where all is well."""
    sys.stderr.write("\n" + output)


def test_ten_kills() -> None:
    run_module("kills", "--kills", "10", "--seed", "0")


@pytest.mark.slow
def test_many_kills(capsys: pytest.CaptureFixture[str]) -> None:
    output = run_module("kills", "--kills", KILLS, "--seed", SEED)
    with capsys.disabled():
        tell(output)


def test_five_kills_among_rivals() -> None:
    run_module("rivals", "--kills", "5", "--seed", "0")


@pytest.mark.slow
def test_many_kills_among_rivals(capsys: pytest.CaptureFixture[str]) -> None:
    output = run_module("rivals", "--kills", "100", "--seed", SEED)
    with capsys.disabled():
        tell(output)


@needs_compiler
def test_some_faults_in_training() -> None:
    run_module("each_operation", "training", "--sample", "50", "--seed", "0")


@needs_compiler
@pytest.mark.slow
def test_a_fault_at_each_operation_of_a_run() -> None:
    run_module("each_operation", "training", "--seed", SEED)


@needs_compiler
def test_some_faults_in_a_run_with_asynchronous_checkpoints() -> None:
    run_module("each_operation", "asynchronous", "--sample", "25", "--seed", "0")


@needs_compiler
@pytest.mark.slow
def test_a_fault_at_each_operation_of_a_run_with_asynchronous_checkpoints() -> None:
    run_module("each_operation", "asynchronous", "--seed", SEED)


@needs_compiler
@needs_export
def test_some_faults_in_an_export() -> None:
    run_module("each_operation", "export", "--sample", "30", "--seed", "0")


@needs_compiler
@needs_export
@pytest.mark.slow
def test_a_fault_at_each_operation_of_an_export() -> None:
    run_module("each_operation", "export", "--seed", SEED)


def test_some_killed_predictions() -> None:
    run_module("predictions", "--kills", "8", "--seed", "0")


@pytest.mark.slow
def test_many_killed_predictions(capsys: pytest.CaptureFixture[str]) -> None:
    output = run_module("predictions", "--kills", KILLS, "--seed", SEED)
    with capsys.disabled():
        tell(output)


@needs_compiler
def test_some_faults_in_a_prediction() -> None:
    run_module("each_operation", "prediction", "--sample", "20", "--seed", "0")


@needs_compiler
@pytest.mark.slow
def test_a_fault_at_each_operation_of_a_prediction() -> None:
    run_module("each_operation", "prediction", "--seed", SEED)


@needs_compiler
def test_power_failures_after_each_operation() -> None:
    run_module("power_loss", "--choices", "3", "--seed", "0")


@needs_compiler
@pytest.mark.slow
def test_many_power_failures(capsys: pytest.CaptureFixture[str]) -> None:
    output = run_module("power_loss", "--choices", "100", "--seed", SEED)
    with capsys.disabled():
        tell(output)


def test_some_interrupts_and_storms() -> None:
    run_module("interrupts", "--sample", "15", "--storms", "4", "--seed", "0")


@pytest.mark.slow
def test_an_interrupt_at_each_line_and_many_storms(capsys: pytest.CaptureFixture[str]) -> None:
    output = run_module("interrupts", "--lines", "each", "--storms", "100", "--seed", SEED)
    with capsys.disabled():
        tell(output)


needs_glibc = pytest.mark.skipif(
    compiler() is None or platform.libc_ver()[0] != "glibc", reason="needs glibc and a C compiler"
)


@needs_glibc
@pytest.mark.parametrize("what", ["kernels", "training"])
def test_some_failures_of_memory(what: str) -> None:
    run_module("each_allocation", what, "--sample", "5", "--seed", "0")


@needs_glibc
@pytest.mark.slow
@pytest.mark.parametrize("what", ["kernels", "training"])
def test_a_failure_at_each_allocation(what: str) -> None:
    run_module("each_allocation", what, "--seed", SEED)
