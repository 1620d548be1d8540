"""TSP solver on the local search of the library fast-tsp."""

from __future__ import annotations

import time

import numpy as np

from baselines.common.checks import check_problem
from baselines.common.solution import Solution
from or_envs.extras import MissingExtraError
from or_envs.routing import metric
from or_envs.routing.tsp import TSP, TSPInstance

#: Largest distance that fast-tsp takes (unsigned 16-bit).
_LARGEST = 65_535


class FastTSP:
    """Or-opt local search with perturbation (fast-tsp), at most 20 cities by dynamic programming.

    fast-tsp wants whole distances up to 65,535. Others are scaled to that range and rounded, so
    even its exact answers are optimal up to rounding only. The objective is that of the unrounded
    distances. The library has no seed, and its answer depends on the machine's speed.

    Parameters
    ----------
    problem, seed
        A TSP; the seed is not needed.

    Raises
    ------
    ValueError
        If the problem is another.
    ImportError
        If fast-tsp is not installed.
    """

    def __init__(self, problem: TSP, seed: int = 0) -> None:
        check_problem(problem, TSP)
        try:
            import fast_tsp
        except ModuleNotFoundError:
            raise MissingExtraError("FastTSP", "fast_tsp") from None
        self._find_tour = fast_tsp.find_tour

    def solve(
        self, instance: TSPInstance, exogenous: None = None, time_limit: float | None = None
    ) -> Solution:
        """Search until ``time_limit`` seconds (default: 2) or convergence, whichever is first."""
        start = time.perf_counter()
        distances = metric.matrix(instance)
        longest = distances.max()
        taken = longest <= _LARGEST and bool((distances == np.rint(distances)).all())
        scale = 1.0 if taken else _LARGEST / longest
        tour = np.array(
            self._find_tour(
                np.rint(distances * scale).astype(np.uint16),
                duration_seconds=2.0 if time_limit is None else time_limit,
                stop_when_converged=True,
            )
        )
        tour = np.roll(tour, -int(np.flatnonzero(tour == 0)[0]))
        objective = float(distances[tour, np.roll(tour, -1)].sum())
        return Solution(tour[1:], objective, None, "feasible", time.perf_counter() - start)
