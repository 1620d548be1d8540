"""Units of returns: what makes episodes of different instances comparable for learning."""

from __future__ import annotations

from typing import Any

import numpy as np

from or_envs.core.problem import AnyProblem
from or_envs.job_shop.instances import JobShopInstance
from or_envs.job_shop.problem import JobShop


def unit_of(problem: AnyProblem, instance: Any) -> np.ndarray:
    """What one unit of return is worth in the problem's own units, (B,) > 0.

    For the job shop it is the mean work of a machine, sum of durations / M; else 1.
    """
    if isinstance(problem, JobShop):
        return _mean_work(instance)
    return np.ones(instance.num)


def _mean_work(instance: JobShopInstance) -> np.ndarray:
    exists = instance.exists  # has a row for every row of the batch
    work = np.where(exists, instance.duration, 0).sum(axis=(1, 2))
    machines = np.where(exists, instance.machine, -1).max(axis=(1, 2)) + 1
    unit: np.ndarray = np.maximum(work / machines, 1.0)
    return unit
