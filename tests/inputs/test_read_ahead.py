"""Reading ahead in a thread: positions, exceptions, ends and memory are those without it."""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import centroids
from centroids.inputs import (
    Source,
    open_stream,
)
from centroids.inputs._read_ahead import ReadAhead
from tests.inputs.streams import POINTS, features_of, reader_threads

pytestmark = pytest.mark.usefixtures("no_thread_outlives_the_test")


class CountingSource:
    """A source by the protocol alone."""

    def __init__(self) -> None:
        self.count = 0

    def __iter__(self) -> Iterator[Any]:
        while self.count < 8:
            self.count += 1
            yield [float(self.count)]

    def position(self) -> dict[str, Any]:
        return {"count": self.count}

    def restore(self, position: dict[str, Any]) -> None:
        self.count = position["count"]


@pytest.mark.usefixtures("eager")
def test_position_is_that_of_the_delivered_batch() -> None:
    source = CountingSource()
    assert isinstance(source, Source)
    with open_stream(lambda: source) as stream:
        for expected in range(1, 6):
            batch = next(stream)
            assert batch.position == {"count": expected}
        deadline = time.monotonic() + 60
        while source.count < 7 and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.01)
        assert source.count == 7  # two ahead, no more
    position = {"count": 6}
    assert features_of(CountingSource, position=position) == [[7.0], [8.0]]
    pair = {"features": {"count": 6}, "labels": {"count": 6}}
    with open_stream(lambda: (CountingSource(), CountingSource()), position=pair) as stream:
        batches: list[Any] = list(stream)
    assert [(each.features[0], each.labels[0]) for each in batches] == [(7.0, 7.0), (8.0, 8.0)]
    assert batches[0].position == {"features": {"count": 7}, "labels": {"count": 7}}


def test_position_of_what_has_none() -> None:
    with pytest.raises(
        ValueError, match=r"stopped in the middle of another input, and input_fn returned nda"
    ):
        open_stream(lambda: POINTS, position={"epoch": 1})


def test_thread_starts_only_for_slow_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    # Time as the source takes it, not as the machine does that runs this.
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    with open_stream(lambda: POINTS) as stream:
        for _ in range(100):
            next(stream)
        assert len(reader_threads()) == 0

    def slow() -> Iterator[Any]:
        while True:
            now[0] += 0.003
            yield POINTS

    with open_stream(slow) as stream:
        for _ in range(3):
            next(stream)
        assert len(reader_threads()) == 1
        assert reader_threads()[0].daemon
    with open_stream(slow, read_ahead=False) as stream:
        for _ in range(3):
            next(stream)
        assert len(reader_threads()) == 0


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("num_read", [0, 1, 2, 5])
def test_early_close_ends_thread_and_generator(num_read: int) -> None:
    closed = []

    def generate() -> Iterator[Any]:
        try:
            while True:
                yield POINTS
        finally:
            closed.append(threading.current_thread())

    stream = open_stream(generate)
    for _ in range(num_read):
        next(stream)
    stream.close()
    stream.close()
    assert not reader_threads()
    assert len(closed) == (1 if num_read else 0)  # an unstarted generator has nothing to close
    with pytest.raises(StopIteration):
        next(stream)


@pytest.mark.usefixtures("eager")
def test_normal_end_needs_no_close() -> None:
    stream = open_stream(lambda: iter([POINTS] * 7))
    assert len(list(stream)) == 7
    assert not reader_threads()
    assert list(stream) == []


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("num_before", [0, 1, 2, 3, 6])
def test_exception_surfaces_unchanged_in_its_place(num_before: int) -> None:
    error = KeyError("the disk is on fire")

    def generate() -> Iterator[Any]:
        for _ in range(num_before):
            yield POINTS
        raise error

    stream = open_stream(generate)
    for _ in range(num_before):
        next(stream)
    with pytest.raises(KeyError) as caught:
        next(stream)
    assert caught.value is error
    assert "generate" in [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    assert not reader_threads()
    assert list(stream) == []


@pytest.mark.usefixtures("eager")
def test_exception_of_a_call_surfaces_unchanged() -> None:
    error = ValueError("mine")
    returned = [POINTS] * 4

    def input_fn() -> Any:
        if not returned:
            raise error
        return returned.pop()

    with open_stream(input_fn) as stream, pytest.raises(ValueError, match=r"^mine$") as caught:
        list(stream)
    assert caught.value is error


@pytest.mark.usefixtures("eager")
def test_order_is_kept_when_the_thread_takes_over() -> None:
    batches = [np.full((1, 1), index) for index in range(200)]
    assert features_of(lambda: iter(batches)) == [[[index]] for index in range(200)]


def fill_one_buffer(sparse: bool, labels: bool) -> Iterator[Any]:
    """Batches 0, 1, ... 29 in one piece of memory, as a reader of a device might give them."""
    buffer, targets = np.empty((4, 2)), np.empty(4)
    rows = scipy.sparse.csr_array(np.ones((4, 2)))
    for number in range(30):
        buffer[:], targets[:], rows.data[:] = number, number, number + 1
        features = rows if sparse else buffer
        yield (features, targets) if labels else {"a": features} if number % 2 else features


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("labels", [False, True])
def test_a_source_may_write_each_batch_into_the_same_memory(sparse: bool, labels: bool) -> None:
    with open_stream(lambda: fill_one_buffer(sparse, labels)) as stream:
        for number, batch in enumerate(stream):
            time.sleep(0.002)  # the reader goes on meanwhile
            features: Any = batch.features
            features = features["a"] if isinstance(features, dict) else features
            values = features.data - 1 if sparse else features
            assert np.all(np.asarray(values) == number)
            assert not labels or np.all(batch.labels == number)
    assert number == 29


def test_batches_of_the_initial_centers_may_share_their_memory(tmp_path: Any) -> None:
    def input_fn() -> Iterator[Any]:
        return fill_one_buffer(sparse=False, labels=True)

    def first_rows(rows: Any, k: int) -> Any:
        return rows[:1]

    model = centroids.KMeansClustering(6, str(tmp_path), initial_clusters=first_rows)
    model.train(input_fn, steps=5)
    # Each of the first five batches is at one of the centers: none moves.
    expected = np.repeat(np.arange(6.0), 2).reshape(6, 2)
    np.testing.assert_array_equal(model.cluster_centers(), expected)
    assert model.get_variable_value("cluster_counts").tolist() == [5, 5, 5, 5, 5, 1]


class NoRoom(queue.SimpleQueue[Any]):
    """What the reader's answers go through when there is no memory for a third one."""

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        if self.qsize() == 2:
            raise MemoryError
        super().put(item)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_reader_that_cannot_even_say_that_it_ends_is_noticed() -> None:
    ahead = ReadAhead(iter(range(9)), depth=3)
    ahead._shared.answers = NoRoom()
    ahead.start()
    deadline = time.monotonic() + 60
    while reader_threads() and time.monotonic() < deadline:
        time.sleep(0.001)
    assert next(ahead) == 0 and next(ahead) == 1
    with pytest.raises(MemoryError, match="the thread that reads the input has died"):
        next(ahead)
    assert ahead.close()
    with pytest.raises(StopIteration):
        next(ahead)


@pytest.mark.usefixtures("eager")
def test_a_system_without_room_for_a_thread_reads_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    batches = [np.full((1, 1), index) for index in range(20)]
    assert features_of(lambda: iter(batches)) == [[[index]] for index in range(20)]


@pytest.mark.usefixtures("eager")
def test_a_stream_that_nobody_knows_any_more_ends_its_thread() -> None:
    stream = open_stream(lambda: iter([POINTS] * 9))
    for _ in range(3):
        next(stream)
    assert reader_threads()
    del stream
    deadline = time.monotonic() + 60
    while reader_threads() and time.monotonic() < deadline:
        time.sleep(0.001)


@pytest.mark.usefixtures("eager")
def test_an_interrupt_does_not_wait_for_a_source_that_blocks() -> None:
    never = threading.Event()

    def generate() -> Iterator[Any]:
        for _ in range(4):
            yield POINTS
        never.wait(60)

    stream = open_stream(generate)
    with pytest.raises(KeyboardInterrupt), stream:
        next(stream), next(stream), next(stream)
        raise KeyboardInterrupt
    assert not never.is_set()  # and yet this line is reached
    never.set()
    deadline = time.monotonic() + 60
    while reader_threads() and time.monotonic() < deadline:
        time.sleep(0.001)
