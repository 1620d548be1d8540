"""Exact orienteering by dynamic programming over sets of customers."""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import time

import numba
import numpy as np

from baselines.common.checks import check_problem
from baselines.common.solution import Solution
from baselines.routing.plans import completed
from or_envs.routing import metric
from or_envs.routing.orienteering import TOLERANCE, Orienteering, OrienteeringInstance

#: Most customers: the table has N 2^N entries.
_LARGEST = 20


class OrienteeringDP:
    """Shortest path through every set of customers, for each last one (Held and Karp 1962).

    Parameters
    ----------
    problem, seed
        As for every baseline.

    Raises
    ------
    ValueError
        If the problem is another, or has more than 20 customers.
    """

    def __init__(self, problem: Orienteering, seed: int = 0) -> None:
        check_problem(problem, Orienteering)
        if problem.num_customers > _LARGEST:
            raise ValueError(
                f"num_customers: expected at most {_LARGEST}, got {problem.num_customers}"
            )
        self.problem = problem

    def solve(
        self,
        instance: OrienteeringInstance,
        exogenous: None = None,
        time_limit: float | None = None,
    ) -> Solution:
        """Solve to optimality; there is no way to stop early."""
        start = time.perf_counter()
        distances, prize = metric.matrix(instance), instance.prize[0]
        # Nearly the tolerance of the problem, which sums the lengths in another order.
        limit = float(instance.budget[0]) + 0.999 * TOLERANCE
        route = _solve(distances, prize, limit)
        actions = completed(self.problem, instance, route.tolist())
        objective = -float(prize[actions].sum())
        return Solution(actions, objective, objective, "optimal", time.perf_counter() - start)


@numba.njit(cache=True)
def _solve(distances, prize, limit):
    customers = len(prize) - 1
    length = np.full((1 << customers, customers), np.inf)
    for c in range(customers):
        length[1 << c, c] = distances[0, c + 1]
    best, best_set, best_last = 0.0, 0, -1
    for group in range(1, 1 << customers):
        value = 0.0
        for c in range(customers):
            if group >> c & 1:
                value += prize[c + 1]
        for last in range(customers):
            here = length[group, last]
            if here > limit:
                continue
            if here + distances[last + 1, 0] <= limit and (value > best or best_last < 0):
                best, best_set, best_last = value, group, last
            for c in range(customers):
                if not group >> c & 1:
                    there = here + distances[last + 1, c + 1]
                    if there < length[group | 1 << c, c]:
                        length[group | 1 << c, c] = there
    size = 0
    for c in range(customers):
        size += best_set >> c & 1
    route = np.zeros(size, np.int64)
    for k in range(size - 1, -1, -1):
        route[k] = best_last + 1
        rest = best_set ^ (1 << best_last)
        for c in range(customers):
            if rest >> c & 1:
                gap = length[rest, c] + distances[c + 1, best_last + 1]
                if gap == length[best_set, best_last]:
                    best_last = c
                    break
        best_set = rest
    return route
