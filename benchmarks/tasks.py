"""What is measured: the list of tasks, and what each aims for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatch

from benchmarks.data import DataSet

MAX_ITERATIONS = 100
RELATIVE_TOLERANCE = 1e-4
KMEANS_PLUS_PLUS_CANDIDATES = 8


class Kind(StrEnum):
    """What is timed."""

    ITERATION = "iteration"
    FIT = "fit"
    MINI_BATCH = "mini-batch"
    SPARSE = "sparse"
    PLUS_PLUS = "k-means++"
    PREDICTION = "prediction"
    PREDICTION_LIST = "prediction-list"
    STEP = "step"
    THREADS = "threads"
    DEFAULTS = "defaults"
    RESTARTS = "restarts"
    MINI_BATCH_FIT = "mini-batch-fit"
    INDEX = "index"


CALLS = frozenset({Kind.DEFAULTS, Kind.RESTARTS, Kind.MINI_BATCH_FIT, Kind.INDEX})
"""One call of `fit`, from points to labels, with whatever initial centers it draws."""
INDEX_ITERATIONS = 10
"""Of all that are not hierarchical: the default of SuperKMeans."""


@dataclass(frozen=True)
class Target:
    """Our seconds over a peer's must be at most `ratio`; without a peer, over the best one's."""

    ratio: float
    against: str | None = None


@dataclass(frozen=True)
class Task:
    """One row of a table: a kind of work on a data set.

    Attributes:
        kind: What is timed.
        data: The points and the initial centers.
        few: Iterations (or steps) of the fit that is subtracted.
        extra: Iterations (or steps) that are timed: those after the first `few`.
        batch_size: Of mini-batches; 0 for the whole input.
        targets: What we aim for.
    """

    kind: Kind
    data: DataSet
    few: int = 2
    extra: int = 0
    batch_size: int = 0
    targets: tuple[Target, ...] = ()

    @property
    def name(self) -> str:
        """Unique, and what `--tasks` patterns are compared with."""
        batch = f"-batch{self.batch_size}" if self.batch_size else ""
        return f"{self.kind}/{self.data.name}{batch}"


# n x d, k: the target of an iteration, the target of a whole fit.
SHAPES = {
    (2_000_000, 2, 50): (1 / 8, 1 / 5),
    (1_000_000, 16, 100): (1 / 5, 1 / 5),
    (500_000, 100, 500): (1 / 3, 1 / 7),
    (200_000, 768, 1_000): (1 / 5, 1 / 12),
    (100_000, 128, 4_096): (1 / 5, 1 / 7),
}
LARGEST = (300_000, 256, 16_384)
STRUCTURES = ("noise", "blobs")
GLOVE = (400_000, 50)
PHOTO = (427 * 640, 3)
NOTEBOOK = (300, 4, 3)
WORDS, FEWER_WORDS = (300_000, 256), (150_000, 256)
NESTED = ((120_000, 768), (120_000, 1_536))
MANY = (1_000, 4_096, 16_384, 65_536)


def _extra(data: DataSet) -> int:
    """Enough iterations for a second or so."""
    return max(4, min(20, int(2e11 / (data.n * data.d * data.k))))


def _full_batch() -> list[Task]:
    tasks = []
    for structure in STRUCTURES:
        for (n, d, k), (iteration, fit) in SHAPES.items():
            data = DataSet(structure, n, d, k)
            target = (Target(iteration),)
            tasks.append(Task(Kind.ITERATION, data, extra=_extra(data), targets=target))
            tasks.append(Task(Kind.FIT, data, targets=(Target(fit),)))
        tasks.append(Task(Kind.ITERATION, DataSet(structure, *LARGEST), few=1, extra=2))
    for k in (256, 4_096):
        data = DataSet("glove", *GLOVE, k)
        targets = (Target(1 / 3),) if k == 256 else ()
        tasks.append(Task(Kind.ITERATION, data, extra=_extra(data), targets=targets))
        tasks.append(Task(Kind.FIT, data, targets=(Target(1 / 7),)))
    for k in (16, 256):
        data = DataSet("photo", *PHOTO, k)
        tasks.append(Task(Kind.ITERATION, data, extra=_extra(data)))
        tasks.append(Task(Kind.FIT, data, targets=(Target(1 / 5),)))
    return sorted(tasks, key=lambda task: task.kind != Kind.ITERATION)


def _others() -> list[Task]:
    glove = DataSet("glove", *GLOVE, 256)
    against = (
        Target(1 / 4, "scikit-learn"),
        Target(1 / 20, "tensorflow-numpy"),
        Target(1 / 20, "tensorflow"),
    )
    tasks = [
        Task(Kind.MINI_BATCH, glove, few=20, extra=600, batch_size=1_024, targets=against),
        Task(Kind.MINI_BATCH, glove, few=5, extra=60, batch_size=16_384),
        Task(
            Kind.SPARSE,
            DataSet("tfidf", 200_000, 2**16, 100),
            extra=4,
            targets=(Target(1 / 3),),
        ),
    ]
    for structure in STRUCTURES:
        data = DataSet(structure, 200_000, 128, 1_000)
        tasks.append(Task(Kind.PLUS_PLUS, data, targets=(Target(1 / 15),)))
    for kind in (Kind.PREDICTION, Kind.PREDICTION_LIST):
        for d, k in ((128, 1_000), (16, 100)):
            data = DataSet("noise", 1_000_000, d, k)
            tasks.append(Task(kind, data, targets=(Target(1 / 3),)))
    tasks.append(Task(Kind.STEP, DataSet("noise", 500, 2, 5), extra=2_000))
    for shape in SHAPES:
        data = DataSet("noise", *shape)
        tasks.append(Task(Kind.THREADS, data, extra=_extra(data)))
    return tasks


def _calls() -> list[Task]:
    """As scikit-learn's classes are called: k-means++ or restarts, the stop rule, labels."""
    notebook = DataSet("blobs", *NOTEBOOK)
    glove = DataSet("glove", *GLOVE, 256)
    tasks = [
        Task(Kind.DEFAULTS, notebook, targets=(Target(1, "scikit-learn"),)),
        Task(Kind.RESTARTS, notebook, targets=(Target(1, "scikit-learn"),)),
    ]
    for data in (
        DataSet("noise", 100_000, 16, 20),
        DataSet("blobs", 500_000, 100, 100),
        DataSet("photo", *PHOTO, 16),
    ):
        tasks.append(Task(Kind.DEFAULTS, data))
    tasks.append(Task(Kind.RESTARTS, DataSet("noise", 100_000, 16, 20)))
    tasks += [Task(Kind.MINI_BATCH_FIT, data) for data in (notebook, glove)]
    return tasks


def _embeddings() -> list[Task]:
    """Points as searches for vectors have them, and as many clusters as their indexes."""
    tasks = []
    for k in MANY:
        data = DataSet("words", *(WORDS if k < MANY[-1] else FEWER_WORDS), k)
        extra = {1_000: 6, 4_096: 3}.get(k, 1)
        targets: tuple[Target, ...] = ()
        if k == 16_384:
            targets = (Target(1 / 8, "faiss"), Target(1 / 2, "superkmeans"))
        tasks.append(Task(Kind.ITERATION, data, few=1, extra=extra, targets=targets))
    for shape, most in zip(NESTED, (16_384, 4_096), strict=True):
        for k in (k for k in MANY if k <= most):
            data = DataSet("nested", *shape, k)
            extra = 6 if k == 1_000 else 2 if k == 4_096 else 1
            tasks.append(Task(Kind.ITERATION, data, few=1, extra=extra))
    for shape, k in ((WORDS, 1_000), (WORDS, 4_096), (FEWER_WORDS, 16_384)):
        tasks.append(Task(Kind.INDEX, DataSet("words", *shape, k)))
    tasks += [Task(Kind.INDEX, DataSet("nested", *shape, 1_000)) for shape in NESTED]
    tasks.append(Task(Kind.PREDICTION, DataSet("words", *WORDS, 4_096)))
    return tasks


TASKS: tuple[Task, ...] = (*_full_batch(), *_others(), *_calls(), *_embeddings())


def select(patterns: list[str]) -> list[Task]:
    """The tasks whose name has a pattern in it or matches it as a whole; all without patterns."""
    return [
        task
        for task in TASKS
        if not patterns or any(p in task.name or fnmatch(task.name, p) for p in patterns)
    ]


def scaled(task: Task, scale: float) -> Task:
    """The same task with fewer points and clusters, to try things out."""
    if scale == 1 or task.kind == Kind.STEP or task.data.n <= NOTEBOOK[0]:
        return task
    n = max(2_000, int(task.data.n * scale))
    k = max(2, min(task.data.k, n // 20))
    extra = min(task.extra, 50)
    few = min(task.few, 5)
    batch_size = min(task.batch_size, n)
    return replace(
        task, data=replace(task.data, n=n, k=k), extra=extra, few=few, batch_size=batch_size
    )
