"""Exact knapsack by dynamic programming over the capacity."""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import time

import numba
import numpy as np

from baselines.common.checks import check_problem
from baselines.common.solution import Solution
from baselines.routing.plans import item_actions
from or_envs.knapsack.problem import Knapsack, KnapsackInstance

#: Largest table in bytes: a number for every capacity, and a bit for every item there.
_LARGEST = 1_000_000_000


class DynamicProgramming:
    """Bellman's recursion over items and whole capacities.

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
        self.problem = problem

    def solve(
        self, instance: KnapsackInstance, exogenous: None = None, time_limit: float | None = None
    ) -> Solution:
        """Solve to optimality; there is no way to stop early.

        Raises
        ------
        ValueError
            If a weight is not a whole number, or the table is too large.
        """
        start = time.perf_counter()
        value, weight = instance.value[0], instance.weight[0]
        if (weight != np.rint(weight)).any():
            worst = weight[weight != np.rint(weight)][0]
            raise ValueError(f"weight: dynamic programming needs whole numbers, got {worst}")
        capacity = int(min(np.floor(instance.capacity[0]), weight.sum()))
        most = int(_LARGEST / (8 + len(weight) / 8))
        if capacity > most:
            raise ValueError(
                f"capacity: expected at most {most} for {len(weight)} items, got {capacity}"
            )
        items = np.flatnonzero(_solve(value, weight.astype(np.int64), capacity))
        objective = -float(value[items].sum())
        actions = item_actions(self.problem, items.tolist())
        return Solution(actions, objective, objective, "optimal", time.perf_counter() - start)


@numba.njit(cache=True)
def _solve(value, weight, capacity):
    """Whether each item is packed; ``best[c]`` is the value of a knapsack that holds c."""
    items = len(value)
    best = np.zeros(capacity + 1)
    packs = np.zeros((items, capacity // 8 + 1), np.uint8)
    for k in range(items):
        for c in range(capacity, weight[k] - 1, -1):
            packed = best[c - weight[k]] + value[k]
            if packed > best[c]:
                best[c] = packed
                packs[k, c >> 3] |= 1 << (c & 7)
    chosen = np.zeros(items, np.bool_)
    c = capacity
    for k in range(items - 1, -1, -1):
        if packs[k, c >> 3] >> (c & 7) & 1:
            chosen[k] = True
            c -= weight[k]
    return chosen
