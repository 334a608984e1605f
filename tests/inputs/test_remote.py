"""Addresses of remote files, read from servers on this machine."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from centroids.inputs import table_input_fn
from tests.cli.run_here import run_here as run
from tests.inputs import table_files as files
from tests.inputs.table_files import POINTS
from tests.inputs.test_tables import check

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
    for file in folder.rglob("*.*"):
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
    for file in folder.rglob("*.*"):
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
