"""Addresses of remote files, read from servers on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import gzip
import http.server
import pickle
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from centroids.inputs import table_input_fn
from centroids.inputs.tables import _local_copy
from tests.cli.run_here import run_here as run
from tests.inputs import table_files as files
from tests.inputs.table_files import POINTS
from tests.inputs.test_tables import FILES, check

web: Any = pytest.importorskip("aiohttp.web")
pytest.importorskip("upath")
pytest.importorskip("pyarrow")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("remote")
    files.frame().to_csv(folder / "t.csv", index=False)
    files.packed(gzip.compress)(folder / "packed.csv.gz")
    files.frame().to_parquet(folder / "t.parquet")
    files.parquet_folder(folder / "parts")
    files.feather(folder / "t.feather")
    files.npz_compressed(folder / "t.npz")
    np.save(folder / "t.npy", POINTS)
    files.sqlite(folder / "t.db")
    files.json_lines(folder / "t.jsonl")
    with contextlib.suppress(ImportError):
        files.duckdb_file(folder / "t.duckdb")
    with contextlib.suppress(ImportError):
        files.zarr_array(folder / "array.zarr")
        files.zarr_group(folder / "group.zarr")
    return folder


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """A server that gives parts of files, as all large ones do."""
    loop, begun = asyncio.new_event_loop(), threading.Event()
    ports: list[int] = []

    async def begin() -> Any:
        app = web.Application()
        app.router.add_static("/", folder)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        ports.append(runner.addresses[0][1])
        begun.set()
        return runner

    def serve() -> None:
        runner = loop.run_until_complete(begin())
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())

    thread = threading.Thread(target=serve)
    thread.start()
    begun.wait()
    yield f"http://127.0.0.1:{ports[0]}"
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.mark.parametrize(
    "name", ["t.csv", "packed.csv.gz", "t.parquet", "t.feather", "t.npz", "t.npy"]
)
def test_files_of_a_web_server(name: str, address: str) -> None:
    check(table_input_fn(f"{address}/{name}", 5))


def test_a_server_that_sends_files_as_a_whole_only(folder: Path) -> None:
    serve = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            name = f"http://127.0.0.1:{server.server_address[1]}/t.parquet"
            with pytest.raises(ConnectionError, match=r"t.parquet cannot be read: its server does"):
                table_input_fn(name)
        finally:
            server.shutdown()
            thread.join()


def test_a_query_reads_a_web_server(address: str) -> None:
    pytest.importorskip("duckdb")
    check(table_input_fn(f"SELECT a, b, c FROM '{address}/t.parquet'", 5))


def test_what_a_server_does_not_have_is_named(address: str) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing.csv"):
        table_input_fn(f"{address}/nothing.csv")
    with pytest.raises(OSError, match=r"http://127.0.0.1:1/t.csv cannot be read: Client"):
        table_input_fn("http://127.0.0.1:1/t.csv")
    with pytest.raises(ValueError, match=r'the query "FROM .*" fails: \S*Client') as found:
        table_input_fn("FROM 'http://127.0.0.1:1/t.parquet'")
    assert "Traceback" not in str(found.value) and "\n" not in str(found.value)
    with pytest.raises(ValueError, match=r"odd://t.csv is not an address that fsspec knows"):
        table_input_fn("odd://t.csv")


@pytest.mark.parametrize(
    "source", ["http://127.0.0.1:1/t.csv", "FROM 'http://127.0.0.1:1/t.parquet'"]
)
def test_a_command_ends_as_for_a_file_that_is_not_there(source: str, tmp_path: Path) -> None:
    told = run(tmp_path, "train", source, "model", code=2).stderr.splitlines()
    assert "Client" in told[-1] and "127.0.0.1" in told[-1]
    assert not list(tmp_path.iterdir())
    assert [line for line in told if "progress" not in line and "memory" not in line] == told[-1:]


@pytest.fixture
def bucket(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*server.get_host_and_port()))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "none")
    client = pytest.importorskip("boto3").client("s3", region_name="us-east-1")
    client.create_bucket(Bucket="points")
    for file in filter(Path.is_file, folder.rglob("*")):
        client.upload_file(str(file), "points", str(file.relative_to(folder)))
    yield "s3://points"
    server.stop()


@pytest.fixture
def google_bucket(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")  # which asks for TLS
    system: Any = pytest.importorskip("gcsfs").GCSFileSystem
    emulator = pytest.importorskip("gcp_storage_emulator.server")
    server = emulator.create_server("127.0.0.1", 0, in_memory=True, default_bucket="points")
    server.start()
    port = server._api._httpd.socket.getsockname()[1]
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
    system.clear_instance_cache()
    opened = system(token="anon", endpoint_url=f"http://127.0.0.1:{port}")
    for file in filter(Path.is_file, folder.rglob("*")):
        with opened.open(f"points/{file.relative_to(folder)}", "wb") as handle:
            handle.write(file.read_bytes())
    system.clear_instance_cache()
    yield "gs://points"
    server.stop()
    system.clear_instance_cache()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the packages that play the server
@pytest.mark.parametrize("of", ["bucket", "google_bucket"])
def test_files_and_folders_of_a_bucket(of: str, request: pytest.FixtureRequest) -> None:
    bucket = request.getfixturevalue(of)
    for name in ("t.csv", "t.parquet", "parts", "parts/*.parquet"):
        check(table_input_fn(f"{bucket}/{name}", 5))
    with pytest.raises(FileNotFoundError, match="nothing"):
        table_input_fn(f"{bucket}/nothing.parquet")


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("t.jsonl", "duckdb"),
        ("t.db", "adbc_driver_sqlite"),
        ("t.db#points", "adbc_driver_sqlite"),
        ("t.duckdb", "duckdb"),
        ("t.duckdb#points", "duckdb"),
        ("array.zarr", "zarr"),
    ],
)
def test_other_files_of_a_web_server(name: str, package: str, address: str) -> None:
    pytest.importorskip(package)
    check(table_input_fn(f"{address}/{name}", 5))


@pytest.fixture
def in_memory(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a file of any kind in what fsspec keeps in memory."""
    fsspec = pytest.importorskip("fsspec")
    write, package = FILES[request.param]
    pytest.importorskip(package)
    if request.param == "excel.xlsx":
        pytest.importorskip("openpyxl")
    write(tmp_path / request.param)
    system = fsspec.filesystem("memory")
    for file in [tmp_path / request.param, *(tmp_path / request.param).rglob("*")]:
        if file.is_file():
            system.pipe(f"/points/{file.relative_to(tmp_path)}", file.read_bytes())
    yield f"memory://points/{request.param}"
    system.rm("/points", recursive=True)


@pytest.mark.parametrize("in_memory", FILES, indirect=True)
def test_files_of_any_kind_elsewhere(in_memory: str) -> None:
    check(table_input_fn(in_memory, 5))


@pytest.mark.parametrize("name", ["sqlite.db", "duckdb.duckdb"])
def test_a_copy_of_a_database_goes_with_its_input(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsspec = pytest.importorskip("fsspec")
    write, package = FILES[name]
    pytest.importorskip(package)
    write(tmp_path / name)
    system = fsspec.filesystem("memory")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    source = f"memory://copies/{name}"
    system.pipe(f"/copies/{name}", (tmp_path / name).read_bytes())
    input_fn = table_input_fn(source, 5)
    again = pickle.loads(pickle.dumps(input_fn))
    check(again)
    with pytest.raises(ValueError, match=f"{name}#absent .*absent") as error:
        table_input_fn(f"{source}#absent")
    assert "temporary" not in str(error.value)
    for number in range(2):  # two copies of other files take the place of what is kept
        system.pipe(f"/copies/{number}.db", (tmp_path / name).read_bytes())
        with contextlib.suppress(ValueError):  # DuckDB's file is none of SQLite
            table_input_fn(f"memory://copies/{number}.db")
    del input_fn, again, error
    gc.collect()
    assert len(list((tmp_path / "temporary").iterdir())) <= 2
    _local_copy._copy_of.cache_clear()
    gc.collect()
    assert not list((tmp_path / "temporary").iterdir())
    system.rm("/copies", recursive=True)


def test_what_is_not_a_database_elsewhere_is_told_by_its_address(tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    pytest.importorskip("adbc_driver_sqlite")
    pytest.importorskip("duckdb")
    system = fsspec.filesystem("memory")
    for name in ("bad.db", "bad.duckdb"):
        system.pipe(f"/bad/{name}", b"no database at all" * 100)
        told = run(tmp_path, "train", f"memory://bad/{name}", "model", "-k", "2", code=2).stderr
        assert told.count("\n") == 1 and f"memory://bad/{name}" in told, told
        assert tempfile.gettempdir() not in told
    told = run(tmp_path, "train", "memory://bad/no.db", "model", "-k", "2", code=2).stderr
    assert "no.db: No such file" in told and told.count("\n") == 1
    system.rm("/bad", recursive=True)
