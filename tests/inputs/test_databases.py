"""Tables of databases."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from centroids.inputs import table_input_fn
from tests.inputs import table_files as files
from tests.inputs.table_files import POINTS
from tests.inputs.test_tables import check, read


def test_a_table_of_several_is_named(tmp_path: Path) -> None:
    pytest.importorskip("adbc_driver_sqlite")
    files.sqlite(tmp_path / "t.db")
    with sqlite3.connect(tmp_path / "t.db") as connection:
        connection.execute("CREATE TABLE other AS SELECT a FROM points LIMIT 3")
    connection.close()
    with pytest.raises(ValueError, match=r"t.db has 2 tables; name one .*t.db#other, .*t.db#poi"):
        table_input_fn(tmp_path / "t.db")
    check(table_input_fn(f"{tmp_path}/t.db#points", 5))
    check(table_input_fn(f"sqlite:///{tmp_path}/t.db#points", 5))
    rows = np.concatenate([x for x, _ in read(table_input_fn(f"{tmp_path}/t.db#other"))])
    np.testing.assert_array_equal(rows, POINTS[:3, :1])
    with pytest.raises(ValueError, match=r"t.db#absent cannot be read: .*no such table"):
        table_input_fn(f"{tmp_path}/t.db#absent")


def test_a_sheet_of_several_is_named(tmp_path: Path) -> None:
    pandas: Any = pytest.importorskip("pandas")
    pytest.importorskip("openpyxl")
    pytest.importorskip("fastexcel")
    with pandas.ExcelWriter(tmp_path / "t.xlsx") as writer:
        files.frame().to_excel(writer, sheet_name="points", index=False)
        files.frame()[:2].to_excel(writer, sheet_name="more", index=False)
    with pytest.raises(ValueError, match=r"t.xlsx has 2 sheets; name one of them: .*t.xlsx#points"):
        table_input_fn(tmp_path / "t.xlsx")
    check(table_input_fn(f"{tmp_path}/t.xlsx#points", 5))
    with pytest.raises(ValueError, match=r"no sheet 'absent'; it has 'points', 'more'"):
        table_input_fn(f"{tmp_path}/t.xlsx#absent")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the package that brings the server
def test_a_table_of_postgres(tmp_path: Path) -> None:
    pgserver = pytest.importorskip("pgserver")
    dbapi: Any = pytest.importorskip("adbc_driver_postgresql.dbapi")
    server = pgserver.get_server(tmp_path / "server")
    try:
        address = server.get_uri()
        with dbapi.connect(address) as connection, connection.cursor() as cursor:
            cursor.adbc_ingest("points", files.arrow(), mode="create")
            connection.commit()
        check(table_input_fn(address, 5))
        check(table_input_fn(f"{address}#points", 5))
        query = "SELECT a::numeric, b, c FROM points"
        check(table_input_fn(f"{address}#{query}", 5))
        with pytest.raises(ValueError, match=r'#absent cannot be read: .*"absent" does not exist'):
            table_input_fn(f"{address}#absent")
    finally:
        server.cleanup()


def test_duckdb_draws_no_bar_among_what_we_print() -> None:
    pytest.importorskip("duckdb")
    shown = "SELECT current_setting('enable_progress_bar')::INT AS bar"
    (found,) = table_input_fn(shown)()
    assert found.tolist() == [[0]]
