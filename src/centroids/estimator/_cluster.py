"""What the environment variable TF_CONFIG says about a cluster, read as r1.4 reads it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TF_CONFIG = "TF_CONFIG"


class ClusterSpec:
    """The tasks of a cluster: their addresses by the name of the job.

    Args:
        jobs: Lists of addresses by job.

    >>> spec = ClusterSpec({"chief": ["a:1"], "worker": ["b:1", "c:1"]})
    >>> spec.jobs, spec.num_tasks("worker"), bool(ClusterSpec({}))
    (['chief', 'worker'], 2, False)
    """

    def __init__(self, jobs: Mapping[str, list[str]]) -> None:
        self._jobs = {job: list(addresses) for job, addresses in jobs.items()}

    @property
    def jobs(self) -> list[str]:
        """The names of the jobs."""
        return list(self._jobs)

    def num_tasks(self, job_name: str) -> int:
        """The number of tasks of a job; 0 for one that is not there."""
        return len(self._jobs.get(job_name, []))

    def job_tasks(self, job_name: str) -> list[str]:
        """The addresses of a job.

        Raises:
            ValueError: If there is no such job.
        """
        if job_name not in self._jobs:
            raise ValueError(f"No such job in cluster: {job_name!r}; there are {self.jobs}")
        return list(self._jobs[job_name])

    def as_dict(self) -> dict[str, list[str]]:
        """The addresses by job."""
        return {job: list(addresses) for job, addresses in self._jobs.items()}

    def __bool__(self) -> bool:
        """Whether there are tasks."""
        return bool(self._jobs)

    def __eq__(self, other: object) -> bool:
        """Whether the other one names the same tasks."""
        return isinstance(other, ClusterSpec) and self._jobs == other._jobs

    def __hash__(self) -> int:
        """Equal for equal clusters."""
        return hash(repr(sorted(self._jobs.items())))

    def __repr__(self) -> str:
        return f"ClusterSpec({self._jobs!r})"


@dataclass(frozen=True)
class Task:
    """This process as one task of a cluster; without TF_CONFIG it is the only one.

    Attributes:
        task_type: The job of this process.
        task_id: Its number within the job.
        is_chief: Whether it is the task that saves checkpoints.
        master: The address of this task as r1.4 gives it; "" when it works alone.
        cluster_spec: The tasks that train; empty when there is no cluster, and for an evaluator.
        service: What TF_CONFIG holds under "service", or None.
        num_tasks: How many tasks the cluster has, including an evaluator.
    """

    task_type: str = "worker"
    task_id: int = 0
    is_chief: bool = True
    master: str = ""
    cluster_spec: ClusterSpec = field(default_factory=lambda: ClusterSpec({}))
    service: Mapping[str, Any] | None = None
    num_tasks: int = 1

    @property
    def num_ps_replicas(self) -> int:
        """The number of parameter servers."""
        return self.cluster_spec.num_tasks("ps")

    @property
    def num_worker_replicas(self) -> int:
        """The number of tasks that train, including the chief."""
        if not self.cluster_spec:
            return 0 if self.task_type == "evaluator" else 1
        return sum(self.cluster_spec.num_tasks(job) for job in ("worker", "chief", "master"))

    def check_may_train(self) -> None:
        """Checks that this process is the one that trains.

        Raises:
            ValueError: If it is one of several tasks.
        """
        if self.num_tasks > 1:
            raise ValueError(
                f"the environment variable {TF_CONFIG} makes this process task {self.task_id} of "
                f"{self.task_type!r} in a cluster of {self.num_tasks}, but a model is trained by "
                f"one process, and all of them would train the same one. Run the program once, "
                f"with {TF_CONFIG} unset; to use several machines, start a Dask or Ray cluster and "
                "let input_fn return a collection of it (docs/cluster.md)"
            )


def task_of_environment() -> Task:
    """Reads TF_CONFIG; unset or empty, it means that this process is on its own.

    Raises:
        ValueError: If it is not JSON, or describes an impossible task or cluster.
        TypeError: If its "service" is not a dict.
    """
    text = os.environ.get(TF_CONFIG)
    if not text:
        return Task()
    try:
        config = json.loads(text)
    except ValueError as error:
        raise _bad(f"it is not JSON ({error})", text) from None
    if not isinstance(config, dict):
        raise _bad("it must be a dict", text)
    service = config.get("service")
    if service is not None and not isinstance(service, dict):
        raise TypeError(f'If "service" is set in {TF_CONFIG}, it must be a dict, not {service!r}')
    task = config.get("task") or {}
    if not isinstance(task, dict):
        raise _bad('"task" must be a dict', text)
    jobs = _jobs(config.get("cluster") or {}, text)
    if not jobs:
        return _alone(task, service, text)
    return _in_cluster(jobs, task, service, text)


def _bad(problem: str, text: str) -> ValueError:
    return ValueError(f"the environment variable {TF_CONFIG} is wrong: {problem}; it is {text}")


def _jobs(cluster: Any, text: str) -> dict[str, list[str]]:
    if not isinstance(cluster, dict):
        raise _bad('"cluster" must be a dict', text)
    jobs = {}
    for job, addresses in cluster.items():
        # The other form of r1.4 gives the addresses by their numbers.
        named = list(addresses.values()) if isinstance(addresses, dict) else addresses
        if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
            raise _bad(f"the job {job!r} must be a list of addresses", text)
        jobs[job] = named
    return jobs


def _alone(task: Mapping[str, Any], service: Any, text: str) -> Task:
    if task.get("type", "worker") != "worker":
        raise _bad('if "cluster" is not set, the task type must be "worker"', text)
    if _index(task.get("index", 0), text) != 0:
        raise _bad('if "cluster" is not set, the task index must be 0', text)
    return Task(service=service)


def _in_cluster(
    jobs: Mapping[str, list[str]], task: Mapping[str, Any], service: Any, text: str
) -> Task:
    chief = "master" if "master" in jobs else "chief"
    if chief == "master" and "chief" in jobs:
        raise _bad('a cluster has a "master" or a "chief", not both', text)
    if len(jobs.get(chief, [])) != 1:
        raise _bad(f'if "cluster" is set, it must have one "{chief}" node', text)
    kind = task.get("type")
    if not kind or task.get("index") is None:
        raise _bad('if "cluster" is set, the task must have a type and an index', text)
    index = _index(task["index"], text)
    num_tasks = sum(map(len, jobs.values()))
    if kind == "evaluator" and chief == "chief":
        return Task(kind, index, False, service=service, num_tasks=num_tasks + 1)
    if kind not in jobs or not index < len(jobs[kind]):
        raise _bad(f"the cluster has no task {index} of {kind!r}", text)
    master = "" if num_tasks == 1 else f"grpc://{jobs[kind][index]}"
    return Task(kind, index, kind == chief, master, ClusterSpec(jobs), service, num_tasks)


def _index(value: Any, text: str) -> int:
    try:
        index = int(value)
    except (TypeError, ValueError):
        index = -1
    if index < 0:
        raise _bad("the task index must be a number that is not negative", text)
    return index
