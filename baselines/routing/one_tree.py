"""Lower bound of the symmetric TSP by 1-trees and Lagrangian multipliers."""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import time

import numba
import numpy as np

from baselines.common.checks import check_at_least, check_problem
from baselines.common.solution import Solution
from baselines.routing.insertion import nearest_tour
from baselines.routing.iterated_local_search import descend, neighbours
from or_envs.routing import metric
from or_envs.routing.tsp import TSP, TSPInstance

#: Times that the step is halved.
_HALVINGS = 12


class OneTreeBound:
    """Shortest 1-tree under the best multipliers found by subgradient ascent (Held and Karp 1971).

    A 1-tree is a tree of the cities but city 0, and two edges of city 0. A multiplier on each city
    makes its edges longer where the tree has more than two of them, shorter where it has one; a
    tour's length stays what it is. The limit is the bound of the subtour program's linear
    relaxation, 0.5 % below the optimum of 50 uniform cities on average.

    Parameters
    ----------
    problem, seed
        A TSP; the seed is not needed.
    iterations
        Trees for each of the 13 step sizes.

    Raises
    ------
    ValueError
        If the problem is another, or ``iterations`` is less than 1.
    """

    def __init__(self, problem: TSP, seed: int = 0, iterations: int = 100) -> None:
        check_problem(problem, TSP)
        check_at_least(1, iterations=iterations)
        self.iterations = iterations

    def solve(
        self, instance: TSPInstance, exogenous: None = None, time_limit: float | None = None
    ) -> Solution:
        """Return the bound; there is nothing to play."""
        start = time.perf_counter()
        distances = metric.matrix(instance)
        tour = nearest_tour(distances)
        descend(distances, neighbours(distances), tour)
        length = float(distances[tour, np.roll(tour, -1)].sum())
        multipliers, bound = np.zeros(len(distances)), -np.inf
        for scale in 2.0 * 0.5 ** np.arange(_HALVINGS + 1):
            late = time_limit is not None and time.perf_counter() - start > time_limit
            if late and bound > -np.inf:
                break
            bound = ascend(distances, multipliers, bound, length, scale, self.iterations)
        return Solution(None, np.inf, bound, "relaxation", time.perf_counter() - start)


@numba.njit(cache=True)
def one_tree(distances, multipliers, degree):
    """Length of the shortest 1-tree less twice the multipliers; its degrees go to ``degree``."""
    cities = len(distances)
    degree[:] = 0
    total = -2.0 * multipliers.sum()
    # Prim's algorithm from city 1; ``away`` is the distance to the tree.
    away, parent = np.full(cities, np.inf), np.full(cities, -1, np.int64)
    away[1] = 0.0
    inside = np.zeros(cities, np.bool_)
    inside[0] = True
    for _ in range(cities - 1):
        city = -1
        for k in range(1, cities):
            if not inside[k] and (city < 0 or away[k] < away[city]):
                city = k
        inside[city] = True
        if parent[city] >= 0:
            total += away[city]
            degree[city] += 1
            degree[parent[city]] += 1
        for k in range(1, cities):
            length = distances[city, k] + multipliers[city] + multipliers[k]
            if not inside[k] and length < away[k]:
                away[k], parent[k] = length, city
    first, second = -1, -1
    for k in range(1, cities):
        length = distances[0, k] + multipliers[k]
        if first < 0 or length < distances[0, first] + multipliers[first]:
            first, second = k, first
        elif second < 0 or length < distances[0, second] + multipliers[second]:
            second = k
    if second < 0:
        second = first  # of two cities: there and back
    for k in (first, second):
        total += distances[0, k] + multipliers[0] + multipliers[k]
        degree[k] += 1
    degree[0] = 2
    return total


@numba.njit(cache=True)
def ascend(distances, multipliers, bound, length, scale, iterations):
    """Move the multipliers in place, and return the best bound met.

    Steps are those of Held, Wolfe and Crowder (1974): ``scale`` times the distance to ``length``,
    that of a tour, by the squared norm of the subgradient.
    """
    degree, best = np.zeros(len(distances), np.int64), multipliers.copy()
    for _ in range(iterations):
        value = one_tree(distances, multipliers, degree)
        if value > bound:
            bound = value
            best[:] = multipliers
        excess = degree - 2
        norm = (excess * excess).sum()
        if norm == 0:  # the 1-tree is a tour, and a shortest one
            break
        multipliers += scale * max(length - value, 0.0) / norm * excess
    multipliers[:] = best
    return bound
