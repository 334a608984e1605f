"""What a call leaves behind: nothing that only the garbage collector would free."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import numpy as np
import pytest

import centroids


class Stop(centroids.SessionRunHook):
    def after_run(self, run_context: object, run_values: object) -> None:
        raise KeyboardInterrupt


@pytest.mark.parametrize("method", ["train", "interrupted", "evaluate", "predict"])
def test_the_input_of_a_call_is_free_after_it(method: str, tmp_path: Path) -> None:
    model = centroids.KMeansClustering(2, str(tmp_path), random_seed=1)
    model.train(lambda: np.arange(12.0).reshape(6, 2), steps=1)
    batches = []

    def input_fn() -> object:
        batch = np.arange(12.0).reshape(6, 2)
        batches.append(weakref.ref(batch))
        return iter([batch])

    gc.collect()
    gc.disable()
    try:
        if method == "train":
            model.train(input_fn, steps=1)
        elif method == "evaluate":
            model.evaluate(input_fn, steps=1)
        elif method == "predict":
            assert len(list(model.predict(input_fn))) == 6
        else:
            with pytest.raises(KeyboardInterrupt):
                model.train(input_fn, steps=1, hooks=[Stop()])
        assert [batch() for batch in batches] == [None]
    finally:
        gc.enable()
