"""The slow truth: k-means in float64 NumPy, written from docs/semantics.md and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def unit_rows(rows: NDArray[Any]) -> Array:
    wide = np.asarray(rows, np.float64)
    norms = np.sqrt((wide**2).sum(axis=1, keepdims=True))
    return np.asarray(np.divide(wide, norms, out=np.zeros_like(wide), where=norms > 0))


def distances(points: NDArray[Any], centers: NDArray[Any], metric: str) -> Array:
    x, c = np.asarray(points, np.float64), np.asarray(centers, np.float64)
    if metric == "cosine":
        return np.asarray(1 - unit_rows(x) @ unit_rows(c).T)
    return np.stack([((x - center) ** 2).sum(axis=1) for center in c], axis=1)


@dataclass
class Oracle:
    """One model; `step(points)` trains on a batch and returns its loss before the update."""

    centers: Array
    metric: str
    mini_batch: bool
    steps_per_iteration: int = 1
    counts: NDArray[np.int64] = field(init=False)
    gathered: Array = field(init=False)
    steps: int = 0

    def __post_init__(self) -> None:
        self.centers = np.array(self.centers, np.float64)
        if self.metric == "cosine":
            self.centers = unit_rows(self.centers)
        self.gathered = self.centers.copy()
        start = 1 if self.steps_per_iteration == 1 else 0
        self.counts = np.full(len(self.centers), start, np.int64)

    def step(self, points: NDArray[Any]) -> float:
        x = unit_rows(points) if self.metric == "cosine" else np.asarray(points, np.float64)
        every = distances(points, self.centers, self.metric)
        index = every.argmin(axis=1)
        loss = float(every[np.arange(len(x)), index].sum())
        if not self.mini_batch:
            self.counts = np.bincount(index, minlength=len(self.centers))
            for c in np.unique(index):
                mean = x[index == c].mean(axis=0)
                self.centers[c] = unit_rows(mean[None])[0] if self.metric == "cosine" else mean
            return loss
        target = self.centers if self.steps_per_iteration == 1 else self.gathered
        if self.steps_per_iteration > 1 and self.steps % self.steps_per_iteration == 0:
            self.counts = np.zeros_like(self.counts)
        for c in np.unique(index):
            mine = x[index == c]
            self.counts[c] += len(mine)
            target[c] += (mine - target[c]).sum(axis=0) / self.counts[c]
        self.steps += 1
        if self.steps_per_iteration > 1 and self.steps % self.steps_per_iteration == 0:
            self.centers = unit_rows(self.gathered) if self.metric == "cosine" else self.gathered
            self.gathered, self.centers = self.centers.copy(), self.centers.copy()
        return loss
