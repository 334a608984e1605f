"""Every kind of table, written by other libraries, gives its rows, and resumes at any batch."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import centroids
import centroids.inputs.file as file_module
from centroids.inputs import open_stream, table_input_fn
from centroids.inputs.tables import _excel, opening
from centroids.inputs.tables.opening import find_files, open_table
from tests.inputs import table_files as files
from tests.inputs.table_files import NAMES, NUM_ROWS, POINTS

Write = Callable[[Path], None]

# The name of the file or folder, who writes it, the package that reads it.
FILES: dict[str, tuple[Write, str]] = {
    "gzip.csv.gz": (files.packed(gzip.compress), "numpy"),
    "bzip2.csv.bz2": (files.packed(bz2.compress), "numpy"),
    "xz.csv.xz": (files.packed(lzma.compress), "numpy"),
    "zstd.csv.zst": (files.packed(files.zstd), "pyarrow"),
    "utf16.csv": (files.encoded("utf-16"), "numpy"),
    "utf32.csv": (files.encoded("utf-32"), "numpy"),
    "mark.csv": (files.encoded("utf-8-sig"), "numpy"),
    "tabs.tsv": (files.encoded("utf-8", sep="\t"), "numpy"),
    "quoted.csv": (files.encoded("utf-8", quoting=1), "numpy"),
    "lines.jsonl": (files.json_lines, "duckdb"),
    "parquet": (files.parquet_folder, "pyarrow"),
    "csv": (files.csv_folder, "pyarrow"),
    "npy": (files.npy_folder, "pyarrow"),
    "feather.feather": (files.feather, "pyarrow"),
    "stream.arrows": (files.arrow_stream, "pyarrow"),
    "excel.xlsx": (files.excel, "fastexcel"),
    "excel.xls": (files.committed, "fastexcel"),
    "opendocument.ods": (files.committed, "fastexcel"),
    "sqlite.db": (files.sqlite, "adbc_driver_sqlite"),
    "duckdb.duckdb": (files.duckdb_file, "duckdb"),
    "columns.npz": (files.npz_compressed, "pyarrow"),
    "hdf5.h5": (files.hdf5, "h5py"),
    "array.zarr": (files.zarr_array, "zarr"),
    "group.zarr": (files.zarr_group, "zarr"),
}
WITHOUT_NAMES = {"npy", "array.zarr"}


@pytest.fixture(params=FILES)
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    write, package = FILES[request.param]
    pytest.importorskip(package)
    if request.param == "excel.xlsx":
        pytest.importorskip("openpyxl")
    write(tmp_path / request.param)
    return tmp_path / request.param


def read(input_fn: Callable[[], Any], position: Any = None) -> list[tuple[Any, Any]]:
    with open_stream(input_fn, position=position) as stream:
        return [(np.asarray(batch.features), batch.position) for batch in stream]


def check(input_fn: Callable[[], Any], ordered: bool = True) -> None:
    """All rows, once each; and from each position the rest."""
    whole = read(input_fn)
    rows = np.concatenate([features for features, _ in whole])
    assert rows.dtype == np.float64
    if ordered:
        np.testing.assert_array_equal(rows, POINTS)
    else:
        assert not np.array_equal(rows, POINTS)
        np.testing.assert_array_equal(rows[np.lexsort(rows.T)], POINTS[np.lexsort(POINTS.T)])
    for number, (_, position) in enumerate(whole):
        rest = read(input_fn, json.loads(json.dumps(position)))
        assert len(rest) == len(whole) - number - 1
        for (here, _), (there, _) in zip(rest, whole[number + 1 :], strict=True):
            np.testing.assert_array_equal(here, there)


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_file_of_any_kind_gives_its_rows_and_resumes(file: Path, shuffle: bool) -> None:
    input_fn = table_input_fn(file, 5, shuffle=shuffle, seed=1)
    check(input_fn, ordered=not shuffle)
    check(pickle.loads(pickle.dumps(input_fn)), ordered=not shuffle)
    names = ["group/points"] if file.suffix == ".h5" else NAMES
    assert input_fn().column_names == (None if file.name in WITHOUT_NAMES else names)


def test_training_from_any_file_is_training_from_its_array_also_if_interrupted(
    file: Path, tmp_path: Path
) -> None:
    def train(source: Any, folder: str, *steps: int) -> Any:
        for count in steps:
            model = centroids.KMeansClustering(3, str(tmp_path / folder), random_seed=4)
            model.train(table_input_fn(source, 5, num_epochs=2), steps=count)
        return model.cluster_centers()

    np.save(tmp_path / "rows.npy", POINTS)
    expected = train(tmp_path / "rows.npy", "a", 8)
    np.testing.assert_array_equal(train(file, "b", 3, 5), expected)


def of_torch() -> dict[str, Callable[[], Any]]:
    def data() -> Any:
        return pytest.importorskip("torch.utils.data")

    def tensor() -> Any:
        return pytest.importorskip("torch").tensor(POINTS)

    def dataset() -> Any:
        return data().TensorDataset(tensor(), tensor()[:, 0])

    def items() -> Any:
        class Items(data().Dataset):
            def __len__(self) -> int:
                return NUM_ROWS

            def __getitem__(self, row: int) -> Any:
                return tensor()[row]

        return Items()

    def iterable() -> Any:
        class Stream(data().IterableDataset):
            def __iter__(self) -> Any:
                return iter(tensor())

        return Stream()

    return {
        "tensor": tensor,
        "loader": lambda: data().DataLoader(dataset(), batch_size=4),
        "torch dataset": dataset,
        "torch dataset of items": items,
        "torch dataset, iterable": iterable,
        "loader of an iterable dataset": lambda: data().DataLoader(iterable(), batch_size=4),
    }


def objects() -> dict[str, Callable[[], Any]]:
    def polars() -> Any:
        return pytest.importorskip("polars").from_pandas(files.frame())

    def dataset() -> Any:
        return pytest.importorskip("datasets").Dataset.from_pandas(files.frame())

    return {
        "pandas": files.frame,
        "polars": polars,
        "polars, lazy": lambda: polars().lazy(),
        "arrow": files.arrow,
        "array": lambda: POINTS,
        **of_torch(),
        "datasets": dataset,
        "datasets, in another order": lambda: (
            pytest.importorskip("datasets")
            .Dataset.from_pandas(files.frame()[::-1], preserve_index=False)
            .select(range(NUM_ROWS - 1, -1, -1))
        ),
        "datasets, iterable": lambda: dataset().to_iterable_dataset(),
    }


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("kind", objects())
def test_an_object_of_another_library_gives_its_rows_and_resumes(kind: str, shuffle: bool) -> None:
    check(table_input_fn(objects()[kind](), 5, shuffle=shuffle), ordered=not shuffle)


def test_a_loader_that_shuffles_is_refused() -> None:
    data = pytest.importorskip("torch.utils.data")
    loader = data.DataLoader([1.0, 2.0], shuffle=True)
    with pytest.raises(ValueError, match=r"make it with shuffle=False and say shuffle=True here"):
        table_input_fn(loader)
    with pytest.raises(TypeError, match=r"source must be a path, .* got builtins.dict"):
        table_input_fn({})


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM '{}'",
        "with t as (from '{}') select a, b, c from t;",
        "FROM '{}' -- all of it",
        "SELECT a::DECIMAL(9, 3) AS a, b::DECIMAL(9, 3) AS b, c FROM '{}'",
    ],
)
def test_a_query_is_a_source(query: str, tmp_path: Path) -> None:
    pytest.importorskip("duckdb")
    files.frame().to_parquet(tmp_path / "t.parquet")
    check(table_input_fn(query.format(tmp_path / "t.parquet"), 5))


def test_a_query_gives_equal_rows_in_each_epoch(tmp_path: Path) -> None:
    pytest.importorskip("duckdb")
    files.frame().to_csv(tmp_path / "t.csv")
    query = f"SELECT round(a) AS a, sum(b) AS b FROM '{tmp_path / 't.csv'}' GROUP BY 1"
    first, second = np.split(np.concatenate([x for x, _ in read(table_input_fn(query, 2, 2))]), 2)
    np.testing.assert_array_equal(first, second)
    keys = np.round(POINTS[:, 0])
    sums = {key: POINTS[keys == key, 1].sum() for key in keys}
    assert {key: pytest.approx(value) for key, value in first} == sums


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "utf-16-le"])
def test_text_in_another_encoding(encoding: str, tmp_path: Path) -> None:
    frame = files.frame().rename(columns={"a": "größe"})
    frame.to_csv(tmp_path / "t.csv", index=False, encoding=encoding, sep=";", decimal=",")
    input_fn = table_input_fn(tmp_path / "t.csv", 5, decimal=",", encoding=encoding)
    check(input_fn)
    assert input_fn().column_names == ["größe", "b", "c"]
    with pytest.raises(ValueError, match=r"encoding must be an encoding of text .* got 'rot13'"):
        table_input_fn(tmp_path / "t.csv", encoding="rot13")


def test_a_bad_row_of_a_packed_file_has_its_line(tmp_path: Path) -> None:
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"a,b\n1,2\n3,4\n5,six\n"))
    with pytest.raises(ValueError, match=r"t.csv.gz, line 4, column 'b': 'six' is not a number"):
        read(table_input_fn(tmp_path / "t.csv.gz"))
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"1,2\n" * 99999)[:-50])
    with pytest.raises(ValueError, match=r"t.csv.gz is compressed and damaged"):
        read(table_input_fn(tmp_path / "t.csv.gz"))


def test_partitions_are_columns(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    files.hive(tmp_path / "t")
    input_fn = table_input_fn(tmp_path / "t", 5)
    rows = np.concatenate([features for features, _ in read(input_fn)])
    assert input_fn().column_names == [*NAMES, "year"]
    np.testing.assert_array_equal(rows, np.c_[POINTS, np.sort(np.arange(NUM_ROWS) % 3 + 2020)])
    check(table_input_fn(tmp_path / "t", 5, columns=NAMES))
    check(table_input_fn(tmp_path / "t", 5, columns=NAMES, shuffle=True), ordered=False)
    pattern = str(tmp_path / "t" / "year=2020" / "*.parquet")
    part = np.concatenate([x for x, _ in read(table_input_fn(pattern, 5))])
    np.testing.assert_array_equal(part, rows[rows[:, 3] == 2020])


def test_lists_are_vectors(tmp_path: Path) -> None:
    import pyarrow.parquet

    pyarrow.parquet.write_table(files.vectors(), tmp_path / "t.parquet", row_group_size=4)
    check(table_input_fn(tmp_path / "t.parquet", 5))
    check(table_input_fn(files.vectors(), 5))
    pytest.importorskip("duckdb")
    source = tmp_path / "t.parquet"
    check(table_input_fn(f"SELECT a, list_value(v[1], v[2]) AS v FROM '{source}'", 5))


def test_sparse_points_of_svmlight(tmp_path: Path) -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    dense = np.where(np.abs(POINTS) < 0.5, 0, POINTS)
    for zero_based, name in ((True, "t.svm"), (False, "u.svm")):
        datasets.dump_svmlight_file(
            dense, np.arange(NUM_ROWS), str(tmp_path / name), zero_based=zero_based, comment="by us"
        )
        for shuffle in (False, True):
            input_fn = table_input_fn(tmp_path / name, 5, shuffle=shuffle)
            with open_stream(input_fn) as stream:
                whole = [(batch.features, batch.position) for batch in stream]
            rows = np.concatenate([features.toarray() for features, _ in whole])
            if not shuffle:
                np.testing.assert_array_equal(rows, dense)
            for number, (_, position) in enumerate(whole):
                with open_stream(input_fn, position=position) as stream:
                    rest = [batch.features.toarray() for batch in stream]
                assert len(rest) == len(whole) - number - 1
                for here, (there, _) in zip(rest, whole[number + 1 :], strict=True):
                    np.testing.assert_array_equal(here, there.toarray())
    (tmp_path / "bad.svm").write_text("1 1:2\n\n2 1:x\n")
    with pytest.raises(ValueError, match=r"bad.svm, line 3 is not a label and pairs"):
        table_input_fn(tmp_path / "bad.svm")


def test_a_dataset_of_torch_as_an_input_is_told_what_to_do() -> None:
    data: Any = objects()["torch dataset"]()
    model = centroids.KMeansClustering(2)
    with pytest.raises(TypeError, match=r"returned a TensorDataset, .*table_input_fn\(dataset\)"):
        model.train(lambda: data, steps=1)


@pytest.mark.parametrize("name", ["parts", "parts/*.parquet", "texts", "texts/*.csv"])
def test_files_are_listed_once_when_they_are_opened(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.parquet_folder(tmp_path / "parts")
    files.csv_folder(tmp_path / "texts")
    listed: list[Path] = []

    def count(location: Path) -> list[Path]:
        listed.append(location)
        return find_files(location)

    for module in (opening, file_module):
        monkeypatch.setattr(module, "find_files", count)
    input_fn = table_input_fn(tmp_path / name, 5)
    assert len(listed) == 1
    next(iter(input_fn()))
    assert len(listed) == 2  # each source looks anew
    listed.clear()
    open_table(tmp_path / name)
    assert len(listed) == 1


def test_a_large_workbook_is_told_to_be_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("fastexcel")
    files.committed(tmp_path / "t.ods")
    table_input_fn(tmp_path / "t.ods")
    assert not caplog.text
    monkeypatch.setattr(_excel, "_LARGE_BYTES", 100)
    table_input_fn(tmp_path / "t.ods")
    assert "t.ods: a sheet is read as a whole" in caplog.text


def test_files_without_an_ending_are_a_kind_too(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    (tmp_path / "README").write_text("about a.csv\n")
    with pytest.raises(ValueError, match=r"several kinds, no ending, \.csv: .*, as in .*/\*\.csv$"):
        open_table(tmp_path)


@pytest.mark.parametrize("name", ["a.db", "a.xlsx"])
def test_what_is_no_such_file_is_told_without_how_that_was_found(tmp_path: Path, name: str) -> None:
    pytest.importorskip("adbc_driver_sqlite" if name == "a.db" else "fastexcel")
    (tmp_path / name).write_bytes(b"something else" * 100)
    with pytest.raises(ValueError) as error:
        open_table(tmp_path / name)
    assert str(tmp_path / name) in str(error.value)
    assert "SELECT" not in str(error.value) and "Context" not in str(error.value)
    assert "\n" not in str(error.value)
