"""The checks of this folder, driven by coverage; see README.md."""

from __future__ import annotations

import logging
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["centroids", "numpy.lib"]):
    from tests.fuzz import test_checkpoints, test_csv_files, test_npy_headers


def main() -> None:
    target = sys.argv.pop(1)
    logging.disable(logging.CRITICAL)
    folder = Path(tempfile.mkdtemp())

    def check(data: bytes) -> None:
        if target == "npy":
            test_npy_headers.check(data, folder / "fuzzed.npy")
        elif target == "csv":
            test_csv_files.check(data, folder / "fuzzed.csv")
        elif target == "checkpoint":
            test_checkpoints.check(data)
        elif target == "list":
            test_checkpoints.check_list(data, folder)
        else:
            sys.exit(f"the target must be npy, csv, checkpoint or list, got {target!r}")

    check(b"")  # a wrong target ends here
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
