"""TSP and ATSP by LKH, through the library elkai."""

from __future__ import annotations

import time

import numpy as np

from baselines.common.checks import check_at_least, check_problem
from baselines.common.solution import Solution
from or_envs.core import AnyProblem
from or_envs.extras import MissingExtraError
from or_envs.routing import metric
from or_envs.routing.atsp import ATSP
from or_envs.routing.tsp import TSP

#: elkai rounds distances to whole numbers; the longest becomes this.
_LONGEST = 1_000_000


class LKH:
    """Lin-Kernighan search of Helsgaun (2000).

    **LKH is free for academic and non-commercial use only**, so elkai is an extra of its own:
    ``pip install 'or-envs[lkh]'``. It cannot be stopped by time.

    Parameters
    ----------
    problem, seed
        A TSP or ATSP; the library has a seed of its own.
    runs
        Runs of LKH.

    Raises
    ------
    ValueError
        If the problem is another, or ``runs`` is less than 1.
    ImportError
        If elkai is not installed.
    """

    def __init__(self, problem: AnyProblem, seed: int = 0, runs: int = 1) -> None:
        check_problem(problem, TSP, ATSP)
        check_at_least(1, runs=runs)
        try:
            import elkai
        except ModuleNotFoundError:
            raise MissingExtraError("LKH (non-commercial use only)", "elkai") from None
        self._elkai = elkai
        self.runs = runs

    def solve(
        self, instance: object, exogenous: None = None, time_limit: float | None = None
    ) -> Solution:
        """Search for the set number of runs."""
        start = time.perf_counter()
        distances = metric.matrix(instance)
        cities = len(distances)
        if cities < 3:
            tour = np.arange(cities)
        else:
            whole = bool((distances == np.rint(distances)).all())
            scale = 1.0 if whole else _LONGEST / distances.max()
            matrix = np.rint(distances * scale).astype(int).tolist()
            tour = np.array(self._elkai.DistanceMatrix(matrix).solve_tsp(runs=self.runs)[:-1])
            tour = np.roll(tour, -int(np.flatnonzero(tour == 0)[0]))
        objective = float(distances[tour, np.roll(tour, -1)].sum())
        return Solution(tour[1:], objective, None, "feasible", time.perf_counter() - start)
