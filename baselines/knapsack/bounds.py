"""Dantzig's bound: the knapsack that may cut one item."""

from __future__ import annotations

import time

import numpy as np

from baselines.common.checks import check_problem
from baselines.common.solution import Solution
from or_envs.knapsack.problem import Knapsack, KnapsackInstance


class LinearBound:
    """Optimal value of the linear relaxation, by sorting (Dantzig 1957).

    Parameters
    ----------
    problem, seed
        As for every baseline.

    Raises
    ------
    ValueError
        If the problem is another.
    """

    def __init__(self, problem: Knapsack, seed: int = 0) -> None:
        check_problem(problem, Knapsack)

    def solve(
        self, instance: KnapsackInstance, exogenous: None = None, time_limit: float | None = None
    ) -> Solution:
        """Return the bound; there is nothing to play."""
        start = time.perf_counter()
        value, weight = instance.value[0], instance.weight[0]
        order = np.argsort(-value / weight, kind="stable")
        before = np.cumsum(weight[order]) - weight[order]
        room = np.clip(float(instance.capacity[0]) - before, 0.0, weight[order])
        bound = -float((value[order] * room / weight[order]).sum())
        return Solution(None, np.inf, bound, "relaxation", time.perf_counter() - start)
