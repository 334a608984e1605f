"""Answers requests with TensorFlow's C library, as programs in C, Go, Java or Rust call it.

`python answer_with_c_library.py FOLDER...`, with the folders of `answer_with_tensorflow.py`; the
answers go to `c.npz`. The library is that of the wheel, and no Python of TensorFlow is run: this is
the loader of C++ that TF Serving uses too.
"""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from ctypes import POINTER, Structure, c_char_p, c_int, c_int64, c_size_t, c_void_p
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.compat.proto.meta_graph_pb2 import MetaGraphDef

DTYPES = {1: np.float32, 2: np.float64, 3: np.int32, 9: np.int64}


class Output(Structure):
    """TF_Output."""

    _fields_ = (("operation", c_void_p), ("index", c_int))


class Buffer(Structure):
    """TF_Buffer."""

    _fields_ = (("data", c_void_p), ("length", c_size_t), ("deallocator", c_void_p))


def load_library() -> Any:
    """The library with the types of the functions that are called."""
    spec = importlib.util.find_spec("tensorflow")
    assert spec is not None and spec.origin is not None
    folder = Path(spec.origin).parent
    ctypes.CDLL(str(next(folder.glob("libtensorflow_framework.so*"))), ctypes.RTLD_GLOBAL)
    library = ctypes.CDLL(str(next(folder.glob("libtensorflow_cc.so*"))), ctypes.RTLD_GLOBAL)
    pointers = ["NewStatus", "NewGraph", "NewSessionOptions", "NewBuffer", "AllocateTensor"]
    more = ["TensorData", "LoadSessionFromSavedModel", "GraphOperationByName"]
    for name in [*pointers, *more]:
        getattr(library, f"TF_{name}").restype = c_void_p
    library.TF_Message.restype = c_char_p
    library.TF_Dim.restype = c_int64
    library.TF_TensorByteSize.restype = c_size_t
    return library


class Model:
    """A SavedModel in a session of the library."""

    def __init__(self, library: Any, folder: str) -> None:
        self._library = library
        self._status = c_void_p(library.TF_NewStatus())
        self._graph = c_void_p(library.TF_NewGraph())
        meta_graph = c_void_p(library.TF_NewBuffer())
        self._session = c_void_p(
            library.TF_LoadSessionFromSavedModel(
                c_void_p(library.TF_NewSessionOptions()),
                None,
                folder.encode(),
                (c_char_p * 1)(b"serve"),
                1,
                self._graph,
                meta_graph,
                self._status,
            )
        )
        self._check()
        buffer = ctypes.cast(meta_graph, POINTER(Buffer)).contents
        data = ctypes.string_at(buffer.data, buffer.length)
        self.signatures = MetaGraphDef.FromString(data).signature_def

    def answer(self, signature: Any, request: dict[str, np.ndarray]) -> np.ndarray:
        """The output of a signature."""
        library = self._library
        names = sorted(signature.inputs)
        inputs = [self._place(signature.inputs[name].name) for name in names]
        values = [self._tensor(request[name], signature.inputs[name].dtype) for name in names]
        outputs, results = [self._place(signature.outputs["output"].name)], (c_void_p * 1)()
        library.TF_SessionRun(
            self._session,
            None,
            (Output * len(inputs))(*inputs),
            (c_void_p * len(values))(*values),
            len(values),
            (Output * 1)(*outputs),
            results,
            1,
            None,
            0,
            None,
            self._status,
        )
        self._check()
        tensor = c_void_p(results[0])
        shape = [library.TF_Dim(tensor, axis) for axis in range(library.TF_NumDims(tensor))]
        data = ctypes.string_at(
            c_void_p(library.TF_TensorData(tensor)), library.TF_TensorByteSize(tensor)
        )
        return np.frombuffer(data, DTYPES[library.TF_TensorType(tensor)]).reshape(shape)

    def _place(self, name: str) -> Output:
        operation, _, index = name.partition(":")
        found = self._library.TF_GraphOperationByName(self._graph, operation.encode())
        assert found, name
        return Output(found, int(index))

    def _tensor(self, array: np.ndarray, dtype: int) -> int:
        assert array.dtype == DTYPES[dtype]
        data = np.ascontiguousarray(array)
        shape = (c_int64 * data.ndim)(*data.shape)
        tensor = self._library.TF_AllocateTensor(dtype, shape, data.ndim, c_size_t(data.nbytes))
        place = self._library.TF_TensorData(c_void_p(tensor))
        ctypes.memmove(place, data.ctypes.data, data.nbytes)
        return int(tensor)

    def _check(self) -> None:
        if self._library.TF_GetCode(self._status):
            raise RuntimeError(self._library.TF_Message(self._status).decode())


def main() -> None:
    library = load_library()
    for folder in map(Path, sys.argv[1:]):
        model = Model(library, (folder / "model.txt").read_text())
        request = dict(np.load(folder / "inputs.npz"))
        answers = {
            key: model.answer(signature, request) for key, signature in model.signatures.items()
        }
        np.savez(folder / "c", **answers)
        # A model whose requests have missing values fills these; infinity it refuses too.
        fills = any(np.isnan(value).any() for value in request.values())
        filler = np.inf if fills else np.nan
        bad = {name: np.full_like(value, filler) for name, value in request.items()}
        if all(value.dtype.kind == "f" for value in bad.values()):
            try:
                model.answer(model.signatures["serving_default"], bad)
            except RuntimeError as error:
                assert "points must be finite" in str(error), error
            else:
                raise AssertionError(f"{filler} was answered")
    assert "tensorflow" not in sys.modules


if __name__ == "__main__":
    main()
