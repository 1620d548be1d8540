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
from or_envs.routing.one_tree import count_excess, one_tree
from or_envs.routing.tsp import TSP, TSPInstance

#: Times that the step is halved.
_HALVINGS = 12


class OneTreeBound:
    """Shortest 1-tree under the best multipliers found by subgradient ascent (Held and Karp 1971).

    The limit (:mod:`or_envs.routing.one_tree`) is the bound of the subtour program's linear
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
        multipliers, bound = np.zeros(len(distances) - 1), -np.inf
        for scale in 2.0 * 0.5 ** np.arange(_HALVINGS + 1):
            late = time_limit is not None and time.perf_counter() - start > time_limit
            if late and bound > -np.inf:
                break
            bound = ascend(distances, multipliers, bound, length, scale, self.iterations)
        return Solution(None, np.inf, bound, "relaxation", time.perf_counter() - start)


@numba.njit(cache=True)
def ascend(distances, multipliers, bound, length, scale, iterations):
    """Move the multipliers (N - 1,) of all cities but 0 in place, and return the best bound met.

    Steps are those of Held, Wolfe and Crowder (1974): ``scale`` times the distance to ``length``,
    that of a tour, by the squared norm of the subgradient.
    """
    # A tour is a path from city 0 to city 0.
    between, ends = distances[1:, 1:].copy(), distances[0, 1:].copy()
    num, best = len(ends), multipliers.copy()
    edges = np.empty((num - 1, 2), np.int64)
    away, parent, cost = np.empty(num), np.empty(num, np.int32), np.empty(num)
    excess = np.empty(num, np.int64)
    for _ in range(iterations):
        value, first, last = one_tree(between, ends, ends, multipliers, edges, away, parent, cost)
        if value > bound:
            bound = value
            best[:] = multipliers
        norm = count_excess(edges, first, last, excess)
        if norm == 0:  # the 1-tree is a tour, and a shortest one
            break
        multipliers += scale * max(length - value, 0.0) / norm * excess
    multipliers[:] = best
    return bound
