"""What an input function may return, and how its batches are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import centroids
from centroids.inputs import (
    OutOfRangeError,
    SparseTensorValue,
    limit_epochs,
    numpy_input_fn,
    open_stream,
)
from tests.inputs.streams import POINTS, features_of

pytestmark = pytest.mark.usefixtures("no_thread_outlives_the_test")


def test_one_batch_is_asked_for_again_at_each_step() -> None:
    calls = []

    def input_fn() -> Any:
        calls.append(1)
        return POINTS

    with open_stream(input_fn) as stream:
        batches = [next(stream) for _ in range(3)]
    assert len(calls) == 3
    assert all(batch.features is POINTS for batch in batches)  # neither copied nor converted
    assert batches[0].labels is None and batches[0].position is None


@pytest.mark.parametrize("end", [StopIteration, OutOfRangeError])
def test_calls_end_with_the_end_of_input(end: type[Exception]) -> None:
    remaining = [POINTS[:2], POINTS[2:]]

    def input_fn() -> Any:
        if not remaining:
            raise end
        return remaining.pop(0)

    assert features_of(input_fn) == [POINTS[:2].tolist(), POINTS[2:].tolist()]
    assert features_of(input_fn) == []


def test_end_of_input_of_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    class Theirs(Exception):
        pass

    module = type("Module", (), {"OutOfRangeError": Theirs})
    monkeypatch.setitem(
        __import__("sys").modules, "tensorflow.python.framework.errors_impl", module
    )

    def input_fn() -> Any:
        raise Theirs

    assert features_of(input_fn) == []


@pytest.mark.parametrize(
    "batches",
    [
        lambda: (POINTS[start : start + 2] for start in (0, 2, 4)),
        lambda: [POINTS[:2], POINTS[2:4], POINTS[4:]],
        lambda: iter([POINTS[:2], POINTS[2:4], POINTS[4:]]),
        lambda: [(POINTS[:2], [1, 2]), (POINTS[2:4], None), (POINTS[4:],)],
        lambda: ([[POINTS[:2], [1, 2]], [POINTS[2:4]], [POINTS[4:], [0, 1]]]),
        lambda: numpy_input_fn(POINTS, batch_size=2, shuffle=False)(),
        lambda: (numpy_input_fn(POINTS, batch_size=2, shuffle=False)(), None),
        lambda: (iter([POINTS[:2], POINTS[2:4], POINTS[4:]]), None),
        lambda: (iter([POINTS[:2], POINTS[2:4], POINTS[4:]]), iter([[0, 1], [2, 3], [4, 5]])),
    ],
)
def test_streams_are_iterated_once(batches: Callable[[], Any]) -> None:
    calls = []

    def input_fn() -> Any:
        calls.append(1)
        return batches()

    assert features_of(input_fn) == [POINTS[:2].tolist(), POINTS[2:4].tolist(), POINTS[4:].tolist()]
    assert len(calls) == 1


def test_iterable_like_a_data_loader() -> None:
    class Loader:
        def __iter__(self) -> Iterator[Any]:
            yield [POINTS[:4], np.array([0, 1, 0, 1])]
            yield [POINTS[4:], np.array([1, 1])]

        def __len__(self) -> int:
            return 2

    with open_stream(Loader) as stream:
        batches = list(stream)
    assert [batch.labels.tolist() for batch in batches] == [[0, 1, 0, 1], [1, 1]]
    assert [len(batch.features) for batch in batches] == [4, 2]


def test_documented_example_of_the_reference() -> None:
    assert features_of(lambda: (limit_epochs(POINTS, num_epochs=2), None)) == 2 * [POINTS.tolist()]


@pytest.mark.parametrize(
    "batch",
    [
        [1.0, 2.0, 3.0],
        [[1, 2], [3, 4]],
        [(1, 2), (3, 4)],
        [np.array([1, 2]), np.array([3, 4])],
        range(4),
        {"a": [1, 2], "b": [3, 4]},
        scipy.sparse.coo_array(POINTS),
        SparseTensorValue([[0, 1]], [2.0], (3, 2)),
        (POINTS, None),
        (POINTS, {"label": [1] * 6}),
    ],
)
def test_single_batches_repeat(batch: Any) -> None:
    with open_stream(lambda: batch) as stream:
        first, second = next(stream), next(stream)
    assert type(first.features) is type(second.features)
    assert first.position is None


def test_input_fn_gets_what_it_names() -> None:
    def wants_two(config: Any, mode: Any) -> Any:
        return iter([[float(len(mode)), float(config)]])

    def wants_params(params: Any) -> Any:
        return iter([[params["a"]]])

    arguments = {"mode": "train", "params": {"a": 7.0}, "config": 3}
    assert features_of(wants_two, **arguments) == [[5.0, 3.0]]
    assert features_of(wants_params, **arguments) == [[7.0]]
    assert features_of(lambda: iter([[1.0]]), **arguments) == [[1.0]]


def test_empty_batches_are_skipped() -> None:
    batches = [POINTS[:0], POINTS[:1], {"a": POINTS[:0]}, scipy.sparse.csr_array((0, 2)), []]
    assert features_of(lambda: iter(batches)) == [POINTS[:1].tolist()]


def test_endless_empty_batches_are_an_error() -> None:
    batches = iter([POINTS])
    with pytest.raises(ValueError, match=r"10001 batches of 0 rows in a row; raise StopIteration"):
        features_of(lambda: next(batches, POINTS[:0]))
    for empty in (lambda: POINTS[:0], lambda given=POINTS[:0]: given):
        with pytest.raises(ValueError, match=r"the input has 0 points: what input_fn returns has"):
            features_of(empty)
    assert features_of(numpy_input_fn(POINTS[:0], num_epochs=None, shuffle=False)) == []


@pytest.mark.parametrize(
    "vectors",
    [
        lambda: (row for row in POINTS),
        lambda: iter(POINTS.tolist()),
        lambda: ((row for row in POINTS), None),
        lambda: map(tuple, POINTS.tolist()),
        lambda: ((row, None) for row in POINTS),
        lambda: iter([np.arange(4), np.arange(4), np.arange(3)]),
        lambda: iter([scipy.sparse.coo_array(row) for row in POINTS]),
    ],
)
def test_points_and_batches_of_one_column_are_not_mixed_up(vectors: Callable[[], Any]) -> None:
    calls = []

    def input_fn() -> Any:
        calls.append(1)
        return vectors()

    with pytest.raises(ValueError, match=r"of arrays \[\d\]: is .* Yield matrices: array\[None"):
        features_of(input_fn)
    kmeans = centroids.KMeansClustering(2)
    with pytest.raises(ValueError, match=r"Yield matrices"):
        kmeans.train(input_fn)  # before the first step: the model is as it was
    assert len(calls) == 2


def test_batches_of_one_column() -> None:
    """[n] counts as [n, 1] where it can be nothing else."""
    column = np.arange(6.0)
    want = [[0.0, 1.0, 2.0, 3.0], [4.0, 5.0]]
    assert features_of(lambda: iter([column[:4], column[4:]])) == want
    assert features_of(lambda: iter([column])) == [column.tolist()]
    assert features_of(lambda: iter([[1.0], [2.0], [3.0]])) == [[1.0], [2.0], [3.0]]
    assert features_of(lambda: iter([column[:0], column[:2]])) == [[0.0, 1.0]]
    assert features_of(numpy_input_fn(column, batch_size=3, shuffle=False)) == [
        [0.0, 1.0, 2.0],
        [3.0, 4.0, 5.0],
    ]
    pairs = [({"x": column[:3]}, None), ({"x": column[3:]}, None)]
    assert features_of_dict(lambda: iter(pairs)) == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    labelled = [(column[:3], [0, 1, 0]), (column[3:], [1, 1, 0])]
    assert features_of(lambda: iter(labelled)) == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]

    class Loader:  # as torch's: what has a batch size makes batches
        batch_size = 3

        def __iter__(self) -> Iterator[Any]:
            yield from (column[:3], column[3:])

    assert features_of(Loader) == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    with open_stream(lambda: column) as stream:  # one batch, asked for again
        assert [next(stream).features.tolist() for _ in range(2)] == [column.tolist()] * 2


def test_a_buffer_that_is_filled_again(eager: None) -> None:
    """The first batch waits for the second, which may be written over it."""
    del eager
    buffer = np.zeros(4)

    def fill() -> Iterator[Any]:
        for number, length in enumerate((4, 3)):
            buffer[:] = number
            yield buffer[:length]

    assert features_of(fill) == [[0.0] * 4, [1.0] * 3]


def features_of_dict(input_fn: Callable[..., Any]) -> list[Any]:
    with open_stream(input_fn) as stream:
        return [batch.features["x"].tolist() for batch in stream]


@pytest.mark.parametrize(
    ("input_fn", "message"),
    [
        (POINTS, r"input_fn must be a function .* got ndarray; write input_fn=lambda"),
        (None, r"input_fn must be a function .* got NoneType"),
        (limit_epochs(POINTS), r"got ArraySource; write input_fn=lambda"),
        (lambda: None, r"input_fn returned None; it must return a batch"),
        (lambda: "points.csv", r"returned the string 'points.csv'.*file_input_fn\(path\)"),
        (lambda: lambda: POINTS, r"input_fn returned the function .* pass that function itself"),
        (lambda: object(), r"batch 0: features must be an array.*got <object"),
        (
            lambda: (iter([POINTS]), POINTS),
            r"labels of type ndarray; labels must be None or also a str",
        ),
        (lambda: iter([POINTS, None]), r"batch 1: features must be an array.*got None"),
        (lambda: iter([(POINTS, 1, 2)]), r"batch 0: a batch must be .* got a tuple of 3 items"),
    ],
)
def test_what_is_not_an_input(input_fn: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        features_of(input_fn)


def test_later_none_is_an_error() -> None:
    returned = [POINTS, None]
    with pytest.raises(TypeError, match="input_fn returned None"):
        features_of(lambda: returned.pop(0))
