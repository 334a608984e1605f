"""The same named columns in another order: never other results without a word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas
import polars
import pyarrow
import pytest

import centroids
from centroids.inputs import file_input_fn, pandas_input_fn

# Column b is far larger than the others: where it stands decides what is near.
FRAME = pandas.DataFrame({"b": [0.0, 100.0, 200.0], "a": [1.0, 2.0, 3.0], "c": [7.0, 8.0, 9.0]})


def in_order_of_names(frame: pandas.DataFrame) -> Any:
    return lambda: {name: frame[name].to_numpy() for name in frame.columns}


@pytest.mark.parametrize("table", [pandas.DataFrame, polars.from_pandas, pyarrow.Table.from_pandas])
def test_columns_in_another_order_are_refused(table: Any, tmp_path: Path) -> None:
    kmeans = centroids.KMeansClustering(
        3, model_dir=str(tmp_path), initial_clusters=FRAME.to_numpy(), use_mini_batch=False
    )
    kmeans.train(lambda: table(FRAME), steps=1)
    assert kmeans.score(lambda: iter([table(FRAME)])) == 0
    sorted_frame = FRAME[["a", "b", "c"]]
    for input_fn in (
        lambda: iter([table(sorted_frame)]),
        lambda: iter([(table(sorted_frame), None)]),
        lambda: iter([in_order_of_names(FRAME)()]),
        pandas_input_fn(FRAME, shuffle=False),
    ):
        message = r"in another order: column 0 is 'a', but was 'b'. .*columns 'b', 'a', 'c'"
        with pytest.raises(ValueError, match=message):
            kmeans.score(input_fn)
        with pytest.raises(ValueError, match=message):
            list(kmeans.predict(input_fn))
        with pytest.raises(ValueError, match=message):
            kmeans.train(input_fn)
    # Training that went on with names of the same order, or without, keeps them.
    kmeans.train(lambda: FRAME.to_numpy(), steps=1)
    with pytest.raises(ValueError, match="in another order"):
        kmeans.score(lambda: iter([table(sorted_frame)]))


def test_every_dict_has_one_order(tmp_path: Path) -> None:
    kmeans = centroids.KMeansClustering(
        3, initial_clusters=FRAME[["a", "b", "c"]].to_numpy(), use_mini_batch=False
    )
    kmeans.train(in_order_of_names(FRAME), steps=1)
    for frame in (FRAME, FRAME[["c", "a", "b"]]):
        assert kmeans.score(lambda frame=frame: iter([in_order_of_names(frame)()])) == 0
        assert kmeans.score(pandas_input_fn(frame, shuffle=False)) == 0
    assert kmeans.score(lambda: iter([FRAME[["a", "b", "c"]]])) == 0


def test_other_names_and_none_are_taken_as_they_come() -> None:
    kmeans = centroids.KMeansClustering(3, initial_clusters=FRAME.to_numpy(), use_mini_batch=False)
    kmeans.train(lambda: FRAME, steps=1)
    renamed = FRAME.rename(columns={"a": "z"})
    for features in (renamed, FRAME.to_numpy(), np.ascontiguousarray(FRAME)):
        assert kmeans.score(lambda features=features: iter([features])) == 0


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_files_with_names_are_compared_too(ending: str, tmp_path: Path) -> None:
    write = pandas.DataFrame.to_csv if ending == ".csv" else pandas.DataFrame.to_parquet
    write(FRAME, tmp_path / f"monday{ending}", index=False)
    write(FRAME[["c", "a", "b"]], tmp_path / f"tuesday{ending}", index=False)
    kmeans = centroids.KMeansClustering(3, initial_clusters=FRAME.to_numpy(), use_mini_batch=False)
    kmeans.train(file_input_fn(tmp_path / f"monday{ending}"), steps=1)
    with pytest.raises(ValueError, match="in another order: column 0 is 'c', but was 'b'"):
        kmeans.score(file_input_fn(tmp_path / f"tuesday{ending}"))
    chosen = file_input_fn(tmp_path / f"tuesday{ending}", columns=["b", "a", "c"])
    assert kmeans.score(chosen) == 0
