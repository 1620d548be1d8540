"""Iterated local search for orienteering: insert, replace, 2-opt, and drop stretches at random."""

# mypy: disable-error-code="no-untyped-def"
# ruff: noqa: NPY002 -- numba has its own legacy generator only
from __future__ import annotations

import time

import numba
import numpy as np

from baselines.common.checks import check_at_least, check_problem
from baselines.common.solution import Solution
from baselines.routing.plans import completed
from or_envs.routing import metric
from or_envs.routing.orienteering import TOLERANCE, Orienteering, OrienteeringInstance

#: Iterations between looks at the clock.
_CHUNK = 100


class OrienteeringSearch:
    """Ruin a random stretch of the route, and insert customers by prize over extra length.

    Between the two the route is shortened by 2-opt. A route is kept if it has no smaller prize.

    Parameters
    ----------
    problem
        An orienteering problem.
    seed
        Seed of the search.
    iterations
        How many routes are tried.

    Raises
    ------
    ValueError
        If the problem is another, or ``iterations`` is less than 1.
    """

    def __init__(self, problem: Orienteering, seed: int = 0, iterations: int = 2000) -> None:
        check_problem(problem, Orienteering)
        check_at_least(1, iterations=iterations)
        self.problem = problem
        self.seed = seed
        self.iterations = iterations

    def solve(
        self,
        instance: OrienteeringInstance,
        exogenous: None = None,
        time_limit: float | None = None,
    ) -> Solution:
        """Search for the set number of iterations, or ``time_limit`` seconds."""
        start = time.perf_counter()
        distances = metric.matrix(instance)
        prize, budget = instance.prize[0], float(instance.budget[0])
        # Nearly the tolerance of the problem, which sums the lengths in another order.
        limit = budget + 0.999 * TOLERANCE
        route = np.zeros(0, dtype=np.int64)
        left, chunk = self.iterations, 0
        while left > 0:
            route = search(distances, prize, limit, route, min(left, _CHUNK), self.seed + chunk)
            left -= _CHUNK
            chunk += 1
            if time_limit is not None and time.perf_counter() - start > time_limit:
                break
        actions = completed(self.problem, instance, route.tolist())
        objective = -float(prize[actions].sum())
        return Solution(actions, objective, None, "feasible", time.perf_counter() - start)


@numba.njit(cache=True)
def _length(distances, route, size):
    if size == 0:
        return 0.0
    total = distances[0, route[0]] + distances[route[size - 1], 0]
    for k in range(size - 1):
        total += distances[route[k], route[k + 1]]
    return total


@numba.njit(cache=True)
def _two_opt(distances, route, size):
    improved = True
    while improved:
        improved = False
        for i in range(size - 1):
            before = route[i - 1] if i else 0
            for j in range(i + 1, size):
                after = route[j + 1] if j + 1 < size else 0
                old = distances[before, route[i]] + distances[route[j], after]
                new = distances[before, route[j]] + distances[route[i], after]
                if new < old - 1e-12:
                    a, b = i, j
                    while a < b:
                        route[a], route[b] = route[b], route[a]
                        a += 1
                        b -= 1
                    improved = True


@numba.njit(cache=True)
def _fill(distances, prize, limit, route, size, inside, length, power):
    """Insert customers of large prize over extra length, with some luck, until none fits."""
    nodes = len(prize)
    while True:
        best, node, place, extra = -1.0, -1, 0, 0.0
        for c in range(1, nodes):
            if inside[c]:
                continue
            least, where = np.inf, 0
            for k in range(size + 1):
                a = route[k - 1] if k else 0
                b = route[k] if k < size else 0
                more = distances[a, c] + distances[c, b] - distances[a, b]
                if more < least:
                    least, where = more, k
            if length + least <= limit:
                worth = prize[c] ** power / max(least, 1e-9) * (0.5 + np.random.random())
                if worth > best:
                    best, node, place, extra = worth, c, where, least
        if node < 0:
            return size, length
        for k in range(size, place, -1):
            route[k] = route[k - 1]
        route[place] = node
        inside[node] = True
        size += 1
        length += extra


@numba.njit(cache=True)
def search(distances, prize, limit, start, iterations, seed):
    """Improve a route (customers in order) by ``iterations`` of ruin and refill."""
    np.random.seed(seed)
    nodes = len(prize)
    best, route = np.zeros(nodes, np.int64), np.zeros(nodes, np.int64)
    size = len(start)
    best[:size] = start
    value = 0.0
    for k in range(size):
        value += prize[start[k]]
    inside = np.zeros(nodes, np.bool_)
    for _ in range(iterations):
        now = size
        route[:now] = best[:now]
        if now:
            # Drop a stretch, sometimes everything.
            gone = np.random.randint(1, now + 1)
            first = np.random.randint(0, now - gone + 1)
            for k in range(first, now - gone):
                route[k] = route[k + gone]
            now -= gone
        inside[:] = False
        for k in range(now):
            inside[route[k]] = True
        # Some customers may not come back this time.
        for c in range(1, nodes):
            if not inside[c] and np.random.random() < 0.2:
                inside[c] = True
        power = 0.5 + 2.0 * np.random.random()
        length = _length(distances, route, now)
        now, length = _fill(distances, prize, limit, route, now, inside, length, power)
        _two_opt(distances, route, now)
        inside[:] = False
        for k in range(now):
            inside[route[k]] = True
        length = _length(distances, route, now)
        now, length = _fill(distances, prize, limit, route, now, inside, length, power)
        total = 0.0
        for k in range(now):
            total += prize[route[k]]
        if total >= value:
            value, size = total, now
            best[:now] = route[:now]
    return best[:size].copy()
