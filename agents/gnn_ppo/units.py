"""Units of returns and of time: what makes episodes of different instances comparable."""

from __future__ import annotations

from typing import Any

import numpy as np

from or_envs.core.problem import AnyProblem
from or_envs.job_shop.instances import JobShopInstance
from or_envs.job_shop.problem import JobShop
from or_envs.uam_fleet.problem import UAMFleet


def unit_of(problem: AnyProblem, instance: Any) -> np.ndarray:
    """What one unit of return is worth in the problem's own units, (B,) > 0.

    For the job shop it is the mean work of a machine, sum of durations / M; for the fleet, where
    rewards are money, a hundredth of the fares that all expected passengers would pay; else 1.
    """
    if isinstance(problem, JobShop):
        return _mean_work(instance)
    if isinstance(problem, UAMFleet) and problem.reward != "terminal_normalised":
        fares = (instance.demand * instance.fare).sum(axis=(1, 2, 3))
        return np.broadcast_to(np.maximum(fares / 100, 1.0), instance.num)
    return np.ones(instance.num)


def clock_of(problem: AnyProblem, state: Any) -> np.ndarray | None:
    """Time of the next decision in the units that discounts are for, (B,).

    For the fleet it is in minutes; ``None`` where every decision counts as one step.
    """
    if isinstance(problem, UAMFleet):
        clock: np.ndarray = state.ready.min(axis=1)
        return clock
    return None


def _mean_work(instance: JobShopInstance) -> np.ndarray:
    exists = instance.exists  # has a row for every row of the batch
    work = np.where(exists, instance.duration, 0).sum(axis=(1, 2))
    machines = np.where(exists, instance.machine, -1).max(axis=(1, 2)) + 1
    unit: np.ndarray = np.maximum(work / machines, 1.0)
    return unit
