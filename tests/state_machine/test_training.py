"""Any sequence of trainings, accidents, damages and reads: variables equal the truth to the bit."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import centroids
from centroids import kernels
from centroids.estimator import DamagedCheckpointError
from centroids.inputs import csv_input_fn, limit_epochs, npy_input_fn, numpy_input_fn
from tests.crash.compare import content_of
from tests.state_machine.truth import (
    AllDamaged,
    Folder,
    Input,
    Moment,
    Refused,
    Truth,
    train,
)

POINTS = np.random.default_rng(3).normal(size=(40, 3)).astype(np.float32)
SPARSE = scipy.sparse.csr_array(np.where(POINTS > 0, POINTS, 0))
MODES: dict[str, dict[str, Any]] = {
    "full": {"use_mini_batch": False},
    "full, cosine, tolerance": {
        "use_mini_batch": False,
        "distance_metric": "cosine",
        "relative_tolerance": 0.02,
    },
    "mini-batch": {"initial_clusters": "random", "num_clusters": 20},
    "mini-batch, cosine": {"distance_metric": "cosine"},
    "multi-step": {"mini_batch_steps_per_iteration": 4, "num_clusters": 8},
    "multi-step, cosine": {"mini_batch_steps_per_iteration": 3, "distance_metric": "cosine"},
}
DEFAULTS = {
    "num_clusters": 5,
    "initial_clusters": "kmeans_plus_plus",
    "distance_metric": "squared_euclidean",
    "random_seed": 7,
    "use_mini_batch": True,
    "mini_batch_steps_per_iteration": 1,
}


def make_inputs(folder: Path, whole: bool) -> list[Input]:
    """Inputs of every kind. Full batches are large; mini-batches have 16 rows, the last 8."""
    np.save(folder / "points.npy", POINTS)
    np.savetxt(folder / "points.csv", POINTS, delimiter=",", fmt="%.9g")
    size = 40 if whole else 16
    functions: dict[str, Callable[[], Any]] = {
        "in order": numpy_input_fn(POINTS, batch_size=size, num_epochs=2, shuffle=False),
        "shuffled": numpy_input_fn(POINTS, batch_size=size, num_epochs=3, shuffle=True, seed=5),
        "sparse": numpy_input_fn(SPARSE, batch_size=size, num_epochs=3, shuffle=True),
        "npy": npy_input_fn(folder / "points.npy", size, 2, shuffle=True),
        "csv": csv_input_fn(folder / "points.csv", size, 4),
        "epochs": lambda: limit_epochs(POINTS, 5),
    }
    inputs = [
        Input(name, "positions", function, tuple(function()))
        for name, function in functions.items()
    ]
    shuffled = inputs[1].batches
    inputs.append(Input("generator", "generator", lambda: iter(shuffled), shuffled))
    inputs.append(Input("array", "array", lambda: POINTS, (POINTS,)))
    return inputs


class Accident(Exception):
    """Ends a run."""


class At(centroids.SessionRunHook, centroids.CheckpointSaverListener):
    """Acts at one of the moments of a run: it sees those that `truth.train` lists."""

    def __init__(self, moment: int, action: Callable[[], None]) -> None:
        self.moment, self.action, self.seen = moment, action, 0

    def begin(self) -> None:
        pass

    def before_save(self, session: Any, global_step_value: int) -> None:
        self._count()

    def after_save(self, session: Any, global_step_value: int) -> None:
        self._count()

    def after_run(self, run_context: Any, run_values: Any) -> None:
        self._count()

    def end(self, session: Any, global_step_value: int | None = None) -> None:
        pass

    def _count(self) -> None:
        if self.seen == self.moment:
            self.seen += 1
            self.action()
        else:
            self.seen += 1


class Training(RuleBasedStateMachine):
    """One model folder, and what it should hold."""

    def __init__(self) -> None:
        super().__init__()
        self.workplace = Path(tempfile.mkdtemp())
        self.model_dir = self.workplace / "model"
        self.model_dir.mkdir()
        self.folder = Folder()

    def teardown(self) -> None:
        shutil.rmtree(self.workplace)

    @initialize(
        mode=st.sampled_from(sorted(MODES)), save_every=st.integers(1, 4), keep=st.integers(1, 3)
    )
    def choose(self, mode: str, save_every: int, keep: int) -> None:
        self.truth = Truth({**DEFAULTS, **MODES[mode]})
        self.save_every, self.keep = save_every, keep
        whole = not self.truth.arguments["use_mini_batch"]
        self.inputs = make_inputs(self.workplace, whole)
        self.new_object()

    @rule()
    def new_object(self) -> None:
        config = centroids.RunConfig(
            save_checkpoints_steps=self.save_every,
            keep_checkpoint_max=self.keep,
            save_summary_steps=1000,
            log_step_count_steps=None,
        )
        self.model = centroids.KMeansClustering(
            **self.truth.arguments, model_dir=str(self.model_dir), config=config
        )

    @rule(
        data=st.data(),
        same_input=st.sampled_from([True, True, True, False]),
        limit=st.sampled_from(["steps", "max_steps", "end"]),
        number=st.integers(1, 7),
        restart_input=st.sampled_from([False, False, False, True]),
        accident=st.sampled_from(["none", "raise", "kill", "signal"]),
    )
    def train(
        self,
        data: st.DataObject,
        same_input: bool,
        limit: str,
        number: int,
        restart_input: bool,
        accident: str,
    ) -> None:
        source = self._source(data, same_input)
        if source.kind == "array" and limit == "end":
            limit = "steps"
        steps = number if limit == "steps" else None
        max_steps = 2 * number if limit == "max_steps" else None

        def call(*at: At) -> None:
            self.model.train(
                source.input_fn,
                hooks=at,
                steps=steps,
                max_steps=max_steps,
                saving_listeners=at,
                restart_input=restart_input,
            )

        try:
            after, moments = train(
                self.truth,
                self.folder,
                source,
                steps=steps,
                max_steps=max_steps,
                restart_input=restart_input,
                save_every=self.save_every,
                keep=self.keep,
            )
        except Refused:
            with pytest.raises(ValueError, match="restart_input=True"):
                call()
            return
        except AllDamaged:
            with pytest.raises(DamagedCheckpointError):
                call()
            return
        if accident == "signal":
            moments = [moment for moment in moments if moment.what == "after_run"]
        if accident == "none" or not moments:
            call()
            self.folder = after
            return
        chosen = data.draw(st.integers(0, len(moments) - 1), label="moment")
        self._with_accident(accident, chosen, moments[chosen], call)

    def _with_accident(
        self, accident: str, chosen: int, moment: Moment, call: Callable[..., None]
    ) -> None:
        was_new = not self.folder.saved
        self.folder = moment.folder
        if accident == "raise":

            def fail() -> None:
                raise Accident

            with pytest.raises(Accident):
                call(At(chosen, fail))
            if was_new and moment.now.step == 0:  # a first call takes back what it wrote
                self.folder = Folder()
        elif accident == "kill":
            # What a process leaves that dies at this moment.
            copy = self.workplace / "copy"
            call(At(chosen, lambda: shutil.copytree(self.model_dir, copy) and None))
            shutil.rmtree(self.model_dir)
            copy.rename(self.model_dir)
        else:
            at = SignalAfterStep(chosen)
            with pytest.raises(KeyboardInterrupt):
                call(at)
            self.folder = moment.folder.add(moment.now, self.keep)

    def _source(self, data: st.DataObject, same: bool) -> Input:
        newest = next((entry for entry in reversed(self.folder.saved) if entry.whole), None)
        if same and newest is not None and newest.place is not None:
            return newest.place.source
        index = data.draw(st.integers(0, len(self.inputs) - 1), label="input")
        return self.inputs[index]

    @precondition(lambda self: self.folder.saved)
    @rule(
        data=st.data(),
        how=st.sampled_from(["delete", "truncate", "flip", "empty"]),
        newest=st.booleans(),
    )
    def damage_a_checkpoint(self, data: st.DataObject, how: str, newest: bool) -> None:
        count = len(self.folder.saved)
        index = count - 1 if newest else data.draw(st.integers(0, count - 1), label="checkpoint")
        path = self._path(self.folder.saved[index].step)
        if not path.exists() or not self.folder.saved[index].whole:
            return  # a second damage may undo the first
        content = bytearray(path.read_bytes())
        place = data.draw(st.integers(0, max(len(content) - 1, 0)), label="byte")
        if how == "delete" or not content:
            path.unlink()
            self.folder = self.folder.delete(index)
            return
        if how == "flip":
            saved = content_of(bytes(content))
            content[place] ^= 1 << data.draw(st.integers(0, 7), label="bit")
            path.write_bytes(content)
            if content_of(bytes(content)) == saved:  # its header says the same, in another way
                return
        else:
            path.write_bytes(content[:place] if how == "truncate" else b"")
        self.folder = self.folder.damage(index)

    @precondition(lambda self: self.folder.saved)
    @rule()
    def lose_the_list_of_checkpoints(self) -> None:
        (self.model_dir / "checkpoint").unlink(missing_ok=True)
        there = [entry for entry in self.folder.saved if self._path(entry.step).exists()]
        self.folder = Folder(tuple(sorted(there, key=lambda entry: entry.step)), listed=False)

    @precondition(lambda self: any(entry.whole for entry in self.folder.saved))
    @rule(data=st.data())
    def evaluate_and_predict(self, data: st.DataObject) -> None:
        source = self.inputs[data.draw(st.integers(0, len(self.inputs) - 1), label="input")]
        variables = self._true_variables()
        cosine = self.truth.arguments["distance_metric"] == "cosine"
        results = [
            kernels.assign(batch, variables["clusters"], cosine=cosine) for batch in source.batches
        ]
        steps = len(source.batches)
        values = self.model.evaluate(source.input_fn, steps=steps)
        assert values["global_step"] == variables["global_step"]
        losses = np.array([result.inertia for result in results])
        assert values["loss"] == pytest.approx(losses.mean(), rel=1e-14)
        found = self.model.predict(
            lambda: iter(source.batches), ["cluster_index"], yield_single_examples=False
        )
        for batch, result in zip(found, results, strict=True):
            np.testing.assert_array_equal(batch["cluster_index"], result.cluster_index)

    @precondition(lambda self: any(entry.whole for entry in self.folder.saved))
    @rule()
    def export(self) -> None:
        receive = centroids.export.build_raw_serving_input_receiver_fn({"x": POINTS})
        folder = self.model.export_savedmodel(self.workplace / "exports", receive)
        content = (Path(folder) / "saved_model.pb").read_bytes()
        if self.truth.arguments["distance_metric"] == "squared_euclidean":
            assert self._true_variables()["clusters"].tobytes() in content

    @precondition(lambda self: any(entry.whole for entry in self.folder.saved))
    @rule()
    def another_model_is_refused(self) -> None:
        arguments = self.truth.arguments | {
            "num_clusters": self.truth.arguments["num_clusters"] + 1
        }
        other = centroids.KMeansClustering(**arguments, model_dir=str(self.model_dir))
        with pytest.raises(ValueError, match="num_clusters"):
            other.train(self.inputs[0].input_fn, steps=1, restart_input=True)

    @invariant()
    def variables_are_true(self) -> None:
        if not hasattr(self, "truth"):
            return
        if not self.folder.saved:
            with pytest.raises(ValueError, match="Could not find trained model"):
                self.model.get_variable_names()
        elif not any(entry.whole for entry in self.folder.saved):
            with pytest.raises(DamagedCheckpointError):
                self.model.get_variable_names()
        else:
            expected = self._true_variables()
            names = self.model.get_variable_names()
            assert names == sorted(expected)
            for name, value in zip(names, self.model.get_variable_value(names), strict=True):
                assert value.dtype == expected[name].dtype, name
                assert value.tobytes() == expected[name].tobytes(), name

    @invariant()
    def nothing_else_is_left(self) -> None:
        there = {path.name for path in self.model_dir.glob("*.safetensors*")}
        assert there <= {self._path(entry.step).name for entry in self.folder.saved}

    def _true_variables(self) -> dict[str, np.ndarray]:
        newest = self.folder.newest()
        assert newest is not None
        return self.truth.variables(newest.history)

    def _path(self, step: int) -> Path:
        return self.model_dir / f"model.ckpt-{step}.safetensors"


class SignalAfterStep(At):
    """Sends Ctrl-C during a step, counted from 0."""

    def __init__(self, step: int) -> None:
        super().__init__(step, lambda: os.kill(os.getpid(), signal.SIGINT))

    def before_save(self, session: Any, global_step_value: int) -> None:
        pass

    def after_save(self, session: Any, global_step_value: int) -> None:
        pass


def check(max_examples: int) -> None:
    run_state_machine_as_test(
        Training,
        settings=settings(
            max_examples=max_examples,
            stateful_step_count=20,
            deadline=None,
            report_multiple_bugs=False,
            phases=[Phase.reuse, Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.hypothesis
def test_any_sequence_of_calls_and_accidents_gives_the_true_variables() -> None:
    check(max_examples=100)


@pytest.mark.hypothesis
@pytest.mark.slow
def test_many_sequences_of_calls_and_accidents_give_the_true_variables() -> None:
    check(max_examples=1500)
