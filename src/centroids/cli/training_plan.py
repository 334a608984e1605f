"""The plan of a run: what was asked for, what the model keeps, and defaults for the rest."""

from __future__ import annotations

import dataclasses
import math
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from centroids import KMeansClustering
from centroids.cli.errors import NOTHING, option
from centroids.cli.input_file import num_bytes_of
from centroids.cli.options import split_columns
from centroids.cli.settings import EmptyClusters, Settings
from centroids.cli.text_options import GivenText
from centroids.errors import Argument
from centroids.estimator import Checkpoint
from centroids.inputs import TextFormat
from centroids.inputs.bad_rows import BadRows
from centroids.inputs.missing import MissingValues
from centroids.kmeans.model import INITIAL_METHODS

FULL_BATCH_BYTES = 1 << 30
FULL_BATCH_STEPS = 100
EPOCHS = 5
_TOLERANCE = 1e-4
_DEFAULTS = {"empty_clusters": "keep", "reassignment_ratio": 0.0, "missing": "raise"}
_BATCH_SIZE = 4096

T = TypeVar("T")


@dataclass(frozen=True)
class TrainingPlan:
    """What the command line asked for; None where it left the choice to us."""

    points: Path
    model_dir: Path
    num_clusters: int | None
    distance_metric: str | None
    initial_clusters: str | None
    full_batch: bool | None
    batch_size: int | None
    mini_batch_steps_per_iteration: int | None
    kmeans_plus_plus_num_retries: int | None
    num_restarts: int | None
    empty_clusters: EmptyClusters | None
    reassignment_ratio: float | None
    epochs: int | None
    steps: int | None
    max_steps: int | None
    relative_tolerance: float | None
    validation: Path | None
    patience: int | None
    validate_every: int | None
    shuffle: bool | None
    seed: int | None
    bad_rows: BadRows
    restart_input: bool
    columns: list[str] | None
    weight_column: str | None
    text: GivenText
    fresh: bool
    missing: MissingValues | None = None
    standardize: bool | None = None
    id_column: str | None = None

    def check(self) -> None:
        """Raises a ValueError that names an impossible option, where the library has other words.

        What the model and the input refuse under the same name is left to them.
        """
        if self.steps is not None and self.max_steps is not None:
            raise ValueError(
                f"--steps and --max-steps exclude each other, but they are {self.steps} and "
                f"{self.max_steps}: leave one out"
            )
        names = (
            "epochs",
            "steps",
            "max_steps",
            "mini_batch_steps_per_iteration",
            "num_restarts",
            "patience",
            "validate_every",
        )
        lowest = {**dict.fromkeys(names, 1), "kmeans_plus_plus_num_retries": -1}
        for name, least in lowest.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{option(Argument(name))} must be at least {least}, got {value}")
        for name in ("patience", "validate_every"):
            if getattr(self, name) is not None and self.validation is None:
                raise ValueError(
                    f"{option(Argument(name))} is for --validation POINTS: give both, or none"
                )
        tolerance = self.relative_tolerance
        if tolerance is not None and not 0 <= tolerance < math.inf:
            raise ValueError(f"--relative-tolerance must be at least 0 and finite, got {tolerance}")
        ratio = self.reassignment_ratio
        if ratio is not None and not 0 <= ratio <= 1:
            raise ValueError(f"--reassignment-ratio must be from 0 to 1, got {ratio}")
        if (self.num_restarts or 1) > 1 and self.initial_clusters not in (None, *INITIAL_METHODS):
            raise ValueError(
                "--num-restarts is for centers that are chosen, but those of --initial-clusters "
                f"{self.initial_clusters} are the same each time: leave one out"
            )
        by_method = self.initial_clusters in (None, "kmeans_plus_plus", "kmeans_parallel")
        if self.kmeans_plus_plus_num_retries is not None and not by_method:
            raise ValueError(
                "--kmeans-plus-plus-num-retries is for --initial-clusters kmeans_plus_plus and "
                f"kmeans_parallel, but that is {self.initial_clusters}: leave one out"
            )

    def as_before(self, old: Checkpoint | None) -> TrainingPlan:
        """The plan with the number of clusters and the metric of an old model, if it has none.

        Args:
            old: A checkpoint of it; None if it cannot be read.
        """
        if old is None or old.identity.get("model") != "KMeansClustering":
            return self
        by_file = self.initial_clusters not in (None, *INITIAL_METHODS)
        k = None if by_file else len(old.variables[KMeansClustering.CLUSTERS])
        return dataclasses.replace(
            self,
            num_clusters=self.num_clusters if self.num_clusters is not None else k,
            distance_metric=self.distance_metric or old.identity["distance_metric"],
        )

    def settle(self, kept: Settings) -> Settings:
        """The settings of the training: those asked for, else those of the model, else defaults.

        Args:
            kept: What the model keeps; nothing for one that is new.

        Raises:
            ValueError: If an option is for the other mode.
        """
        use_mini_batch = self._settle_mode(kept.use_mini_batch)
        if use_mini_batch and self.relative_tolerance is not None:
            raise ValueError(
                "--relative-tolerance compares the losses of whole passes, which mini-batches do "
                "not have: bound them with --epochs or --steps"
            )
        if use_mini_batch and self.empty_clusters == "relocate":
            raise ValueError(
                "--empty-clusters relocate is for full batches, as a cluster that has no points in "
                "one mini-batch need not be empty: use --reassignment-ratio instead"
            )
        if self.restart_input and not use_mini_batch:
            raise ValueError(
                "--restart-input is for mini-batches: each step of full batches reads the whole "
                "file anyway; leave it out"
            )
        settings = dataclasses.replace(
            kept,
            use_mini_batch=use_mini_batch,
            seed=_first(self.seed, kept.seed, 0),
            missing=_first(self.missing, kept.missing, None),
            standardize=_first(self.standardize, kept.standardize, None),
            id_column=choose_column(self.id_column, kept.id_column),
        )
        if not use_mini_batch:  # what was kept for the other mode stays
            tolerance = _first(self.relative_tolerance, kept.relative_tolerance, _TOLERANCE)
            return dataclasses.replace(
                settings,
                relative_tolerance=tolerance,
                empty_clusters=_first(self.empty_clusters, kept.empty_clusters, None),
            )
        return dataclasses.replace(
            settings,
            batch_size=_first(self.batch_size, kept.batch_size, _BATCH_SIZE),
            shuffle=_first(self.shuffle, kept.shuffle, True),
            reassignment_ratio=_first(self.reassignment_ratio, kept.reassignment_ratio, None),
            mini_batch_steps_per_iteration=_first(
                self.mini_batch_steps_per_iteration, kept.mini_batch_steps_per_iteration, 1
            ),
        )

    def end(self, full_batch: bool, trained: Checkpoint | None, kept: Settings) -> int | None:
        """The step at which training ends at the latest; None: at the end of its input.

        An interrupted run ends where it was meant to end.
        """
        before = 0 if trained is None else trained.global_step
        if self.max_steps is not None:
            return self.max_steps
        if self.steps is not None:
            return before + self.steps
        interrupted = trained is not None and not trained.finished
        if interrupted and kept.ends_at_step is not None and kept.ends_at_step > before:
            return kept.ends_at_step
        return before + FULL_BATCH_STEPS if full_batch else None

    def _settle_mode(self, kept: bool | None) -> bool:
        names = (
            "batch_size",
            "mini_batch_steps_per_iteration",
            "reassignment_ratio",
            "epochs",
            "shuffle",
        )
        given = [option(Argument(name)) for name in names if getattr(self, name) is not None]
        if self.full_batch and given:
            raise ValueError(f"{given[0]} is for mini-batches: leave it or --full-batch out")
        if self.full_batch is not None:
            return not self.full_batch
        if kept is False and given and not self.fresh:
            raise ValueError(
                f"{given[0]} is for mini-batches, but the model in {self.model_dir} is trained in "
                "full batches: leave it out, or ask for the other mode with --mini-batch"
            )
        if kept is not None and not (self.fresh and given):
            return kept
        return bool(given) or num_bytes_of(self.points) > FULL_BATCH_BYTES


def plan_of(given: Mapping[str, Any]) -> TrainingPlan:
    """The plan in the parameters of the command, which are called as its fields."""
    values = {field.name: given[field.name] for field in dataclasses.fields(TrainingPlan)}
    plain: dict[str, Any] = {
        name: value.value if isinstance(value, StrEnum) else value for name, value in values.items()
    }
    plain["columns"] = split_columns(plain["columns"])
    return TrainingPlan(**plain)


def choose_weights(asked: str | None, kept: Settings) -> str | None:
    """The column of the weights: that asked for, else that of the model; None: there is none."""
    return choose_column(asked, kept.weight_column)


def choose_column(asked: str | None, kept: str | None) -> str | None:
    """A column that is asked for, else that of the model; None: there is none."""
    if asked is not None and asked.lower() == NOTHING:
        return None
    return kept if asked is None else asked


def describe_changes(kept: Settings, now: Settings) -> list[str]:
    """The settings that differ from those that the model was trained with so far, in words."""
    modes = {False: "full batches", True: "mini-batches"}
    changes = []
    if kept.use_mini_batch not in (None, now.use_mini_batch):
        assert kept.use_mini_batch is not None and now.use_mini_batch is not None
        changes.append(f"{modes[now.use_mini_batch]} (until now {modes[kept.use_mini_batch]})")
    names = ["batch_size", "shuffle", "mini_batch_steps_per_iteration", "reassignment_ratio"]
    others = ["relative_tolerance", "empty_clusters"]
    for name in ["seed", "missing", *(names if now.use_mini_batch else others)]:
        old, new = getattr(kept, name), getattr(now, name)
        if kept.use_mini_batch is not None and old is None:
            old = {"empty_clusters": "keep", "reassignment_ratio": 0.0, "missing": "raise"}.get(
                name
            )
        if name == "shuffle" and old not in (None, new):
            changes.append("--shuffle (until now --no-shuffle)" if new else "--no-shuffle")
        elif old not in (None, new) and new is not None:
            changes.append(f"{option(Argument(name))} {new} (until now {old})")
    if kept.columns is not None and now.columns not in (None, kept.columns):
        changes.append(f"--columns {_join(now.columns)} (until now {_join(kept.columns)})")
    if kept.use_mini_batch is not None and kept.weight_column != now.weight_column:
        old, new = (shlex.quote(each.weight_column or NOTHING) for each in (kept, now))
        changes.append(f"--weight-column {new} (until now {old})")
    return [*changes, *_describe_text_changes(kept.text or {}, now.text or {})]


def _describe_text_changes(kept: GivenText, now: GivenText) -> list[str]:
    changes = []
    for field in dataclasses.fields(TextFormat):
        old, new = (
            _say_text(field.name, text.get(field.name, field.default)) for text in (kept, now)
        )
        if old != new:
            said = new if field.name == "header" else f"{option(Argument(field.name))} {new}"
            changes.append(f"{said} (until now {old})")
    return changes


def _say_text(name: str, value: object) -> str:
    """A field of a text format as its option takes it; its default as a word."""
    if value is None:
        return {"thousands": NOTHING, "dtype": str(TextFormat().element_type)}.get(name, "detected")
    if name == "header":
        return "--header" if value else "--no-header"
    return "\\t" if value == "\t" else shlex.quote(str(value))


def describe_taken(asked: TrainingPlan, plan: TrainingPlan, kept: Settings, now: Settings) -> str:
    """What a new model has from an old one that the command line does not say, as options.

    Args:
        asked: The command line.
        plan: That with what was taken over.
        kept: The settings of the old model.
        now: Those of the new one.
    """

    def is_taken(name: str) -> bool:
        value = getattr(kept, name)
        return value is not None and value == getattr(now, name)

    words = [
        f"{option(Argument(name))} {getattr(plan, name)}"
        for name in ("num_clusters", "distance_metric")
        if getattr(plan, name) != getattr(asked, name)
    ]
    if asked.full_batch is None and kept.use_mini_batch == now.use_mini_batch:
        words.append("--mini-batch" if now.use_mini_batch else "--full-batch")
    names = ["batch_size", "mini_batch_steps_per_iteration", "reassignment_ratio"]
    others = ["relative_tolerance", "empty_clusters"]
    for name in [*(names if now.use_mini_batch else others), "seed", "missing"]:
        if getattr(asked, name) is None and is_taken(name):
            words.append(f"{option(Argument(name))} {getattr(now, name)}")
    if now.use_mini_batch and asked.shuffle is None and kept.shuffle is now.shuffle is False:
        words.append("--no-shuffle")
    if asked.standardize is None and kept.standardize and now.standardize:
        words.append("--standardize")
    if asked.id_column is None and is_taken("id_column"):
        words.append(f"--id-column {shlex.quote(str(now.id_column))}")
    if asked.columns is None and is_taken("columns"):
        words.append(f"--columns {shlex.quote(_join(now.columns))}")
    if asked.weight_column is None and is_taken("weight_column"):
        words.append(f"--weight-column {shlex.quote(str(now.weight_column))}")
    for name, value in (kept.text or {}).items():
        if name not in asked.text and (now.text or {}).get(name) == value:
            words.append(option(Argument(name, value)))
    return " ".join(words)


def _join(columns: Iterable[str | int] | None) -> str:
    return ",".join(map(str, columns or ()))


def _first(asked: T | None, kept: T | None, default: T) -> T:
    if asked is not None:
        return asked
    return default if kept is None else kept
