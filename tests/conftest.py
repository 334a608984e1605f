"""What every test starts from: the same inputs, time and signals, no leftover folders."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

_SLOW_SECONDS = 2700

# A commit is tested with the same inputs each time: what passed once passes again. New ones are
# looked for by `make fuzz`, which chooses the other profile. No profile looks at the time.
_ALWAYS: dict[str, Any] = {
    "deadline": None,
    "print_blob": True,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
}
settings.register_profile("fixed", derandomize=True, database=None, **_ALWAYS)
# Of "default", as hypothesis itself begins with "ci" where it sees one.
settings.register_profile("explore", settings.get_profile("default"), derandomize=False, **_ALWAYS)
settings.load_profile("fixed")

# What a shell starts in the background ignores SIGINT, and so would every program of a test.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests may take longer: the limit is there to end what hangs, on any machine."""
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(_SLOW_SECONDS))


@pytest.fixture(autouse=True, scope="session")
def temporary_model_dirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Models without a model_dir, also those of other processes, make theirs where we clean up."""
    tmp_path_factory.getbasetemp()  # where it would be otherwise
    before = os.environ.get("TMPDIR")
    # Ray's sockets would have too long names below.
    os.environ.setdefault("RAY_TMPDIR", tempfile.gettempdir())
    with tempfile.TemporaryDirectory(prefix="centroids-", ignore_cleanup_errors=True) as folder:
        os.environ["TMPDIR"] = tempfile.tempdir = folder
        yield
        tempfile.tempdir = None
        del os.environ["TMPDIR"]
        if before is not None:
            os.environ["TMPDIR"] = before
