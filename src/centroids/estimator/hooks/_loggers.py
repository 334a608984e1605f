"""Hooks that write scalars to where people compare runs: CSV, Weights & Biases, MLflow."""

from __future__ import annotations

import csv
import io
import math
import os
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import IO, TYPE_CHECKING, Any

from centroids.checks import check_integer
from centroids.estimator.hooks._hparams import hparams
from centroids.estimator.hooks._protocol import (
    Coordinator,
    SessionRunArgs,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
)
from centroids.files import absolute, replace_file

if TYPE_CHECKING:
    from centroids.estimator._session import Session


class ScalarLogger(SessionRunHook):
    """Hands the scalars of steps to `_write`, and tells `_close` how the run has ended.

    Args:
        every_n_steps: Write each step whose number this divides, and the last one.
        scalars: The names of numbers; None: the loss and the summaries of the model.
    """

    def __init__(self, every_n_steps: int = 1, scalars: Sequence[str] | None = None) -> None:
        self._every_n_steps = check_integer("every_n_steps", every_n_steps, 1)
        self._given = None if scalars is None else list(scalars)

    def after_create_session(self, session: Session, coord: Coordinator) -> None:
        """Finds the names, and opens what is written to."""
        names = self._given
        if names is None:
            spec = session.spec
            more = [name for name, function in spec.summaries.items() if function != spec.loss]
            names = ["loss", *more]
        self._names = names
        self._args = SessionRunArgs({name: name for name in names})
        self._ended, self._written = False, session.global_step
        self._due = False
        session.check_model_dir()  # what is written may lie there
        coord.on_close(self._release)
        self._open(session)

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs | None:
        """Fetches the values when they are due."""
        self._due = (run_context.session.global_step + 1) % self._every_n_steps == 0
        return self._args if self._due else None

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """Writes them."""
        if self._due:
            self._take(run_values.results, run_context.session.global_step)

    def end(self, session: Session) -> None:
        """Writes the last step unless that has been done."""
        if session.global_step > self._written:
            self._take(session.run(self._args.fetches), session.global_step)
        self._ended = True

    def _take(self, values: Mapping[str, Any], step: int) -> None:
        self._written = step
        self._write({name: float(value) for name, value in values.items()}, step)

    def _release(self) -> None:
        self._close(self._ended)

    @abstractmethod
    def _open(self, session: Session) -> None: ...

    @abstractmethod
    def _write(self, values: Mapping[str, float], step: int) -> None: ...

    @abstractmethod
    def _close(self, ended: bool) -> None: ...


class CSVLoggerHook(ScalarLogger):
    """Writes the scalars of training into a CSV file, a row for each step.

    A file that is there is continued. After a crash, the steps since the last checkpoint are
    repeated: their earlier rows are taken out, so that each step is there once.

    Args:
        path: The file; its folder must exist.
        every_n_steps: Write each step whose number this divides, and the last one.
        scalars: The names of numbers; None: the loss and the summaries of the model.

    Raises:
        ValueError: If every_n_steps is not an integer of at least 1. When training begins: if the
            file has other columns.
        OSError: When training begins: if the file cannot be written.

    >>> import tempfile, numpy as np, centroids
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "log.csv"
    >>> points = np.array([[0.0], [1.0], [4.0], [5.0]])
    >>> kmeans = centroids.KMeansClustering(
    ...     2, initial_clusters=points[[0, 1]], use_mini_batch=False
    ... )
    >>> hook = CSVLoggerHook(path, scalars=["loss"])
    >>> kmeans = kmeans.train(lambda: points, hooks=[hook], steps=3)
    >>> print(path.read_text(), end="")
    step,loss
    1,25.0
    2,4.222222222222221
    3,1.0
    """

    only_watches = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        every_n_steps: int = 1,
        scalars: Sequence[str] | None = None,
    ) -> None:
        super().__init__(every_n_steps, scalars)
        self._path = absolute(os.fspath(path))
        self._file: IO[str] | None = None

    def _open(self, session: Session) -> None:
        head = ["step", *self._names]
        rows = self._rows_before(head, session.global_step)
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([head, *rows])
        replace_file(self._path, text.getvalue().encode())
        # It stays open over many steps; `_close` ends it.
        self._file = open(self._path, "a", encoding="utf-8", newline="")  # noqa: SIM115

    def _rows_before(self, head: list[str], step: int) -> list[list[str]]:
        try:
            with open(self._path, encoding="utf-8", newline="") as file:
                text = file.read()
        except FileNotFoundError:
            return []
        # A crash may have cut off the last row; the head is written whole.
        if text and "\n" not in text:
            raise ValueError(f"{self._path} is not a log of training: choose another file")
        rows = list(csv.reader(text[: text.rfind("\n") + 1].splitlines()))
        if rows and rows[0] != head:
            raise ValueError(
                f"{self._path} has the columns {', '.join(rows[0])}, but those of this run are "
                f"{', '.join(head)}: choose another file"
            )
        whole = (row for row in rows[1:] if len(row) == len(head) and row[0].isdecimal())
        return [row for row in whole if int(row[0]) <= step]

    def _write(self, values: Mapping[str, float], step: int) -> None:
        assert self._file is not None
        row = [step, *(repr(values[name]) for name in self._names)]
        csv.writer(self._file, lineterminator="\n").writerow(row)
        self._file.flush()

    def _close(self, ended: bool) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()


class WandbLoggerHook(ScalarLogger):
    """Writes the scalars of training into a run of Weights & Biases.

    It needs no network: the run is kept in a folder, from which `wandb sync` sends it. With
    `mode="online"`, or WANDB_MODE=online in the environment, it is sent at once. Each call of train
    is a run, whose steps continue those of the model; the parameters of the model are its
    configuration.

    Args:
        run: An open run to write to, which stays open; None: a new run, which ends with the call.
        every_n_steps: Write each step whose number this divides, and the last one.
        scalars: The names of numbers; None: the loss and the summaries of the model.
        **settings: For `wandb.init`, such as `project` and `dir`.

    Raises:
        ValueError: If every_n_steps is not an integer of at least 1.
        ImportError: When training begins: if wandb is not installed.
    """

    only_watches = True

    def __init__(
        self,
        run: Any = None,
        every_n_steps: int = 1,
        scalars: Sequence[str] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(every_n_steps, scalars)
        self._given_run, self._settings = run, settings
        self._run: Any = None

    def _open(self, session: Session) -> None:
        params = hparams(session.params)
        if self._given_run is not None:
            self._run = self._given_run
            self._run.config.update(params, allow_val_change=True)
            return
        defaults = {
            "mode": os.environ.get("WANDB_MODE") or "offline",
            "name": os.path.basename(session.run_config.model_dir or "") or None,
            "config": params,
        }
        self._run = _installed("wandb").init(**{**defaults, **self._settings})

    def _write(self, values: Mapping[str, float], step: int) -> None:
        self._run.log(dict(values), step=step)

    def _close(self, ended: bool) -> None:
        run, self._run = self._run, None
        if run is not None and run is not self._given_run:
            run.finish(exit_code=0 if ended else 1)


class MLflowLoggerHook(ScalarLogger):
    """Writes the scalars of training into a run of MLflow.

    It needs no network if the tracking URI is a file, such as `sqlite:///mlflow.db`. Each call
    of train is a run, whose steps continue those of the model; the parameters of the model are its
    parameters.

    Args:
        tracking_uri: Where the runs are kept; None: where MLflow keeps them by default.
        experiment_name: The experiment, which is made if it is not there.
        run_id: A run to continue, which stays open; None: a new run, which ends with the call.
            Steps that are repeated after a failure are not written twice.
        every_n_steps: Write each step whose number this divides, and the last one.
        scalars: The names of numbers; None: the loss and the summaries of the model.

    Raises:
        ValueError: If every_n_steps is not an integer of at least 1.
        ImportError: When training begins: if mlflow is not installed.
    """

    only_watches = True

    def __init__(
        self,
        tracking_uri: str | None = None,
        experiment_name: str = "Default",
        run_id: str | None = None,
        every_n_steps: int = 1,
        scalars: Sequence[str] | None = None,
    ) -> None:
        super().__init__(every_n_steps, scalars)
        self._tracking_uri, self._experiment_name = tracking_uri, experiment_name
        self._given_run_id = run_id
        self._run_id: str | None = None
        self._there: set[tuple[str, int, float]] = set()  # what the run has of earlier calls

    def _open(self, session: Session) -> None:
        self._client = _installed("mlflow").MlflowClient(self._tracking_uri)
        self._run_id = self._given_run_id
        if self._run_id is None:
            found = self._client.get_experiment_by_name(self._experiment_name)
            if found is None:
                experiment = self._client.create_experiment(self._experiment_name)
            else:
                experiment = found.experiment_id
            name = os.path.basename(session.run_config.model_dir or "") or None
            self._run_id = self._client.create_run(experiment, run_name=name).info.run_id
        for key, value in hparams(session.params).items():
            self._client.log_param(self._run_id, key, value)
        names = self._client.get_run(self._run_id).data.metrics
        histories = {name: self._client.get_metric_history(self._run_id, name) for name in names}
        self._there = {(name, m.step, m.value) for name, all_ in histories.items() for m in all_}

    def _write(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            # Some of its stores take nothing but finite values.
            if math.isfinite(value) and (name, step, value) not in self._there:
                self._client.log_metric(self._run_id, name, value, step=step)

    def _close(self, ended: bool) -> None:
        run_id, self._run_id = self._run_id, None
        if run_id is not None and run_id != self._given_run_id:
            self._client.set_terminated(run_id, "FINISHED" if ended else "FAILED")


def _installed(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(f"this hook needs {name}: pip install {name}") from error
