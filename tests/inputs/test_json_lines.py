"""Files of JSON lines: no column of theirs is left out in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from centroids.inputs.tables.opening import open_table

pytest.importorskip("duckdb")


def test_a_column_that_first_appears_late_is_a_column(tmp_path: Path) -> None:
    file = tmp_path / "t.jsonl"
    file.write_text('{"a":1}\n' * 100_001 + '{"a":2,"late":0.5}\n')
    table = open_table(file)
    assert table.schema.names == ["a", "late"]
    (*_, last) = table.batches()
    assert last.to_pylist()[-1] == {"a": 2, "late": 0.5}


def test_a_file_that_was_written_anew_is_looked_at_anew(tmp_path: Path) -> None:
    file = tmp_path / "t.jsonl"
    file.write_text('{"a":1}\n')
    assert open_table(file).schema.names == ["a"]
    file.write_text('{"a":1,"b":2}\n')
    assert open_table(file).schema.names == ["a", "b"]
