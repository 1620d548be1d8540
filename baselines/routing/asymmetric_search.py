"""Iterated local search for the asymmetric TSP: segment insertion behind random double bridges."""

# mypy: disable-error-code="no-untyped-def"
# ruff: noqa: NPY002 -- numba has its own legacy generator only
from __future__ import annotations

import time

import numba
import numpy as np

from baselines.common.checks import check_at_least, check_problem
from baselines.common.solution import Solution
from baselines.routing.iterated_local_search import random_insertion
from or_envs.core import AnyProblem
from or_envs.routing import metric
from or_envs.routing.atsp import ATSP
from or_envs.routing.tsp import TSP

#: Longest segment that is moved, and perturbations between looks at the clock.
_SEGMENT, _CHUNK = 50, 20


class AsymmetricSearch:
    """Or-3opt (two neighbouring stretches change places, none is turned round), iterated.

    Works for any distance matrix, symmetric or not. Up to 20 cities the result is optimal in nearly
    all cases, in a few milliseconds.

    Parameters
    ----------
    problem
        An ATSP or TSP.
    seed
        Seed of start and perturbations.
    iterations
        Perturbations per city.

    Raises
    ------
    ValueError
        If the problem is another, or ``iterations`` is negative.
    """

    def __init__(self, problem: AnyProblem, seed: int = 0, iterations: int = 20) -> None:
        check_problem(problem, TSP, ATSP)
        check_at_least(0, iterations=iterations)
        self.seed = seed
        self.iterations = iterations

    def solve(
        self, instance: object, exogenous: None = None, time_limit: float | None = None
    ) -> Solution:
        """Search for the set number of perturbations, or ``time_limit`` seconds."""
        start = time.perf_counter()
        distances = metric.matrix(instance)
        cities = len(distances)
        tour = random_insertion(distances, self.seed)
        exchange(distances, tour)
        left, chunk = self.iterations * cities, 0
        while left > 0 and cities >= 5:
            if time_limit is not None and time.perf_counter() - start > time_limit:
                break
            perturb(distances, tour, min(left, _CHUNK), self.seed + chunk)
            left -= _CHUNK
            chunk += 1
        tour = np.roll(tour, -int(np.flatnonzero(tour == 0)[0]))
        objective = float(distances[tour, np.roll(tour, -1)].sum())
        return Solution(tour[1:], objective, None, "feasible", time.perf_counter() - start)


@numba.njit(cache=True)
def exchange(distances, tour):
    """Exchange neighbouring stretches of a tour (N,) in place as long as one exchange helps."""
    cities = len(tour)
    scratch = np.empty_like(tour)
    improved = cities >= 4
    while improved:
        improved = False
        for i in range(cities):
            # Stretches i + 1..j and j + 1..k, cyclic, change places.
            a, b = tour[i], tour[(i + 1) % cities]
            longest = min(_SEGMENT, cities - 2)
            found = False
            for first in range(1, longest + 1):
                c, d = tour[(i + first) % cities], tour[(i + first + 1) % cities]
                base = distances[a, b] + distances[c, d] - distances[a, d]
                if base <= 1e-12:
                    continue  # the new first leg alone costs more than two old ones
                for second in range(1, cities - first):
                    k = i + first + second
                    e, f = tour[k % cities], tour[(k + 1) % cities]
                    gain = base + distances[e, f] - distances[e, b] - distances[c, f]
                    if gain > 1e-12:
                        for m in range(second):
                            scratch[m] = tour[(i + first + 1 + m) % cities]
                        for m in range(first):
                            scratch[second + m] = tour[(i + 1 + m) % cities]
                        for m in range(first + second):
                            tour[(i + 1 + m) % cities] = scratch[m]
                        improved = found = True
                        break
                if found:
                    break


@numba.njit(cache=True)
def perturb(distances, tour, iterations, seed):
    """Improve a locally best tour (N >= 5) in place by ``iterations`` double bridges."""
    np.random.seed(seed)
    cities = len(tour)
    best, length = tour.copy(), 0.0
    for k in range(cities):
        length += distances[tour[k], tour[(k + 1) % cities]]
    for _ in range(iterations):
        # Two double bridges: one alone is often undone by the very next exchange.
        for _ in range(2):
            start = np.random.randint(cities)
            cuts = np.sort(np.random.choice(cities - 1, 3, replace=False)) + 1
            turned = np.empty_like(tour)
            for k in range(cities):
                turned[k] = tour[(start + k) % cities]
            filled = 0
            for low, high in (
                (0, cuts[0]),
                (cuts[1], cuts[2]),
                (cuts[0], cuts[1]),
                (cuts[2], cities),
            ):
                for k in range(low, high):
                    tour[filled] = turned[k]
                    filled += 1
        exchange(distances, tour)
        now = 0.0
        for k in range(cities):
            now += distances[tour[k], tour[(k + 1) % cities]]
        if now <= length + 1e-12:
            best[:], length = tour, now
        else:
            tour[:] = best
    tour[:] = best
