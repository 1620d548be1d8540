"""Lower bound of the asymmetric TSP: every city has one successor, in any number of circles."""

from __future__ import annotations

import time

import numpy as np

from baselines.common.checks import check_problem
from baselines.common.solution import Solution
from or_envs.core import AnyProblem
from or_envs.routing import metric
from or_envs.routing.atsp import ATSP
from or_envs.routing.tsp import TSP


class AssignmentBound:
    """Optimal value of the assignment problem, the subtour program without its subtour constraints.

    Near the optimum where ways back and forth have little to do with each other; weak for symmetric
    distances, whose assignments are mostly pairs of cities (there, see
    :class:`baselines.routing.one_tree.OneTreeBound`).

    Parameters
    ----------
    problem, seed
        An ATSP or TSP; the seed is not needed.

    Raises
    ------
    ValueError
        If the problem is another.
    """

    def __init__(self, problem: AnyProblem, seed: int = 0) -> None:
        check_problem(problem, TSP, ATSP)

    def solve(
        self, instance: object, exogenous: None = None, time_limit: float | None = None
    ) -> Solution:
        """Return the bound; there is nothing to play."""
        from scipy.optimize import linear_sum_assignment

        start = time.perf_counter()
        distances = metric.matrix(instance).astype(float)
        np.fill_diagonal(distances, np.inf)  # no city follows itself
        bound = float(distances[linear_sum_assignment(distances)].sum())
        return Solution(None, np.inf, bound, "relaxation", time.perf_counter() - start)
