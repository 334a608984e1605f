"""The layout that we write is that of the library, to the byte."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import save

from centroids.checkpoints._safetensors_file import head_of, layout_of


def test_the_bytes_are_those_of_safetensors() -> None:
    types = ("u8", "i8", "f8", "f4", "u4", "i4", "f2", "u2", "i2", "i1", "u1", "?")
    generator = np.random.default_rng(0)
    variables = {}
    for index, kind in enumerate([*types, *types]):
        shape = [(), (3,), (0, 4), (2, 3, 5)][index % 4]
        name = f'{"ab" * (index % 3)}"é\n\x1f\\ {index}'
        variables[name] = np.ascontiguousarray(generator.integers(0, 9, size=shape).astype(kind))
    text = '{"quoted": "\\u00e9 \x7f\t", "ö": 1}'
    for arrays in (variables, {}):
        header, values = layout_of(arrays)
        parts = [*head_of(header, {"centroids": text}), *values.values()]
        assert b"".join(parts) == save(arrays, {"centroids": text})


def test_a_type_that_the_format_does_not_know_is_refused() -> None:
    with pytest.raises(TypeError, match="strange has the type complex128"):
        layout_of({"strange": np.zeros(2, np.complex128)})
