"""What requests hold: receivers, parsing, and the graphs that they are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from centroids.estimator import TensorSpec
from centroids.export import (
    FixedLenFeature,
    PredictOutput,
    ServingInputReceiver,
    build_columns_serving_input_receiver_fn,
    build_parsing_serving_input_receiver_fn,
    build_raw_serving_input_receiver_fn,
    constant,
    placeholder,
)
from centroids.export._graph_def import GraphWriter

FLOAT = FixedLenFeature([2], np.float32)


@pytest.mark.parametrize(
    "feature",
    [
        placeholder("float64", [None, 3], "elsewhere"),
        TensorSpec(np.dtype(np.float64), (None, 3)),
        np.zeros((5, 3)),
    ],
)
def test_raw_receivers_take_whatever_has_a_type_and_a_shape(feature: Any) -> None:
    receiver = build_raw_serving_input_receiver_fn({"x": feature})()
    assert receiver.features == receiver.receiver_tensors
    tensor = receiver.named_receivers["x"]
    assert (tensor.dtype, tensor.shape, tensor.node.name) == (np.float64, (None, 3), "x")


def test_a_batch_size_can_be_fixed() -> None:
    receiver = build_raw_serving_input_receiver_fn({"x": np.zeros((5, 3))}, 7)()
    assert receiver.named_receivers["x"].shape == (7, 3)
    receiver = build_parsing_serving_input_receiver_fn({"x": FLOAT}, default_batch_size=7)()
    assert receiver.named_receivers["examples"].shape == (7,)


def test_every_call_makes_new_placeholders() -> None:
    receive = build_raw_serving_input_receiver_fn({"x": np.zeros(4)})
    assert receive().named_receivers["x"].node is not receive().named_receivers["x"].node


def test_parsing_gives_the_features_in_one_operation() -> None:
    spec = {"b": FixedLenFeature([], np.int64, 5), "a": FLOAT}
    receiver = build_parsing_serving_input_receiver_fn(spec)()
    assert list(receiver.named_receivers) == ["examples"]
    assert isinstance(receiver.features, dict)
    a, b = receiver.features["a"], receiver.features["b"]
    assert (a.shape, a.dtype, b.shape, b.dtype) == ((None, 2), np.float32, (None,), np.int64)
    writer = GraphWriter()
    assert {writer.add(a), writer.add(b)} == {"ParseExample:0", "ParseExample:1"}
    keys = [n.attr["value"].tensor for n in writer.graph_def.node if n.op == "Const"]
    assert [list(key.string_val) for key in keys if key.dtype == 7] == [[], [b"a"], [b"b"]]


def test_a_single_receiver_is_called_input() -> None:
    x = placeholder(np.float32, [None, 1])
    assert ServingInputReceiver(x, x).named_receivers == {"input": x}


X = placeholder(np.float32, [None, 1])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ServingInputReceiver(None, X), "features must be a tensor or a dict"),
        (lambda: ServingInputReceiver({}, X), "features must be a tensor or a dict"),
        (lambda: ServingInputReceiver(X, {"x": 3}), r"receiver_tensors\['x'\] must be a tensor"),
        (lambda: ServingInputReceiver({4: X}, X), "names in features must be strings, got 4"),
        (lambda: build_raw_serving_input_receiver_fn({}), "features must be a dict"),
        (lambda: build_raw_serving_input_receiver_fn(np.zeros(3)), "features must be a dict"),
        (
            lambda: build_raw_serving_input_receiver_fn({"x": [1.0]}),
            r"features\['x'\] must have a dtype",
        ),
        (
            lambda: build_raw_serving_input_receiver_fn({"x": np.float32(1)}),
            "its first axis is the batch",
        ),
        (lambda: build_raw_serving_input_receiver_fn({1: X}), "must be strings, got 1"),
        (lambda: build_parsing_serving_input_receiver_fn({}), "feature_spec must be a dict"),
        (
            lambda: build_parsing_serving_input_receiver_fn({"x": np.float32}),
            r"feature_spec\['x'\] must be a FixedLenFeature",
        ),
        (lambda: FixedLenFeature([2], np.float64), "must be float32 or int64.*got float64"),
        (lambda: FixedLenFeature([None], np.float32), "shape must hold positive sizes"),
        (lambda: FixedLenFeature([2], np.float32, [1, 2, 3]), "default_value must fit the shape"),
        (lambda: PredictOutput({}), "outputs is an empty dict"),
        (lambda: PredictOutput(X), "must be a function or a dict of functions"),
        (lambda: GraphWriter().add(constant(1j)), "a graph cannot hold the type complex128"),
        (lambda: X + constant(np.zeros((3, 3), np.float32)) + np.zeros((2, 3)), "do not fit"),
    ],
)
def test_errors_say_what_came_and_what_is_allowed(make: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        make()


def test_constants_beyond_a_proto_are_an_error_before_they_are_copied() -> None:
    much = np.broadcast_to(np.float32(1), (2**10, 2**19))
    with pytest.raises(ValueError, match=r"take at least 2147483648 bytes, but a SavedModel can"):
        GraphWriter().add(constant(much))


def test_names_are_unique_and_valid() -> None:
    writer = GraphWriter()
    names = [
        writer.add(placeholder(np.float32, [None], name))
        for name in ("x", "x", "a b", "_c", "größe", "")
    ]
    assert names == ["x:0", "x_1:0", "a_b:0", "node_c:0", "gr__e:0", "Placeholder:0"]


def test_arithmetic_with_arrays_keeps_the_type_of_the_tensor() -> None:
    results = [X + 1, 1 + X, X - np.ones(1), np.ones((1, 1)) - X, 2 * X, X / 2, 2 / X]
    assert {tensor.dtype.name for tensor in results} == {"float32"}
    assert {tensor.shape for tensor in results} == {(None, 1)}
    assert (X @ np.ones((1, 3))).shape == (None, 3)
    with pytest.raises(TypeError, match="one type, got float32 and float64"):
        X + constant(1.0)


def test_columns_are_a_matrix_or_apart() -> None:
    receiver = build_columns_serving_input_receiver_fn(["b", "a"], np.float64)()
    assert receiver.named_receivers["points"].shape == (None, 2)
    (name, by_name) = receiver.named_alternatives.popitem()
    assert name == "columns" and list(by_name.named_receivers) == ["b", "a"]
    assert by_name.features.shape == (None, 2) and by_name.features.dtype == np.float64
    assert by_name.named_receivers["a"].shape == (None,)


def test_alternatives_lead_to_the_same_features_or_have_their_own() -> None:
    x, y = placeholder("f4", [None, 2], "x"), placeholder("f4", [None, 2], "y")
    other = ServingInputReceiver(y, y)
    receiver = ServingInputReceiver(x * 2, {"x": x}, {"same": x * 2, "own": other})
    alternatives = receiver.named_alternatives
    assert alternatives["own"] is other
    assert alternatives["same"].features is receiver.features
    assert list(alternatives["same"].named_receivers) == ["input"]


def test_columns_and_alternatives_that_cannot_be() -> None:
    x = placeholder("f4", [None, 2], "x")
    for names, error, message in [
        (["a", "a"], ValueError, "cannot tell apart inputs named 'a' and 'a'"),
        (["a b", "c", "a_b"], ValueError, "inputs named 'a b' and 'a_b'"),
        (["3", "arg_3"], ValueError, "inputs named '3' and 'arg_3'"),
        (["a", ""], ValueError, "an input named ''"),
        (["petal", "class"], ValueError, "an input named 'class'"),
        ([], ValueError, "at least one"),
        ("ab", TypeError, "columns must be a list of names, got 'ab'"),
        (["a", 1], TypeError, "got 1 in it"),
    ]:
        with pytest.raises(error, match=message):
            build_columns_serving_input_receiver_fn(names)
    for alternatives, message in [
        ([x], "receiver_tensors_alternatives must be a dict"),
        ({"": x}, "names of alternatives must be strings, got ''"),
        ({"a": 3}, r"receiver_tensors_alternatives\['a'\] must be a tensor"),
    ]:
        with pytest.raises(ValueError, match=message):
            ServingInputReceiver(x, x, alternatives)


def test_a_large_constant_is_written_once() -> None:
    writer = GraphWriter()
    for name in ("x", "y"):
        writer.add(placeholder(np.float64, (None, 200), name) + np.arange(200.0))
    kinds = [node.op for node in writer.graph_def.node]
    assert kinds.count("AddV2") == 2 and kinds.count("Const") == 1
