"""Hybrid genetic search for the CVRP (library hygese, which wraps HGS-CVRP)."""

from __future__ import annotations

import time

import numpy as np

from baselines.common.solution import Solution
from baselines.routing.plans import route_actions
from or_envs.routing import metric
from or_envs.routing.cvrp import CVRP, CVRPInstance

#: The library's penalties want lengths of about this size.
_LONGEST = 10_000.0


class HybridGenetic:
    """HGS-CVRP (Vidal 2022) with any number of vehicles.

    Parameters
    ----------
    problem
        A CVRP.
    seed
        Seed of the library.
    iterations
        Iterations without improvement after which it stops.

    Raises
    ------
    ValueError
        If the problem is another, or ``iterations`` is less than 1.
    ImportError
        If hygese is not installed.
    """

    def __init__(self, problem: CVRP, seed: int = 0, iterations: int = 1000) -> None:
        if not isinstance(problem, CVRP):
            raise ValueError(f"problem: expected a CVRP, got {type(problem).__name__}")
        if iterations < 1:
            raise ValueError(f"iterations: expected an integer >= 1, got {iterations}")
        try:
            import hygese
        except ImportError:
            raise ImportError(
                "HybridGenetic needs hygese: pip install 'or-envs[solvers]'"
            ) from None
        self._library = hygese
        self.problem = problem
        self.seed = seed
        self.iterations = iterations

    def solve(
        self, instance: CVRPInstance, exogenous: None = None, time_limit: float | None = None
    ) -> Solution:
        """Search until ``time_limit`` seconds of processor time or convergence."""
        start = time.perf_counter()
        distances = metric.matrix(instance)
        demand = instance.demand[0]
        if len(demand) == 2:
            routes = [[1]]
        else:
            longest = distances.max()
            scale = _LONGEST / longest if longest > 0 and not self._whole(distances) else 1.0
            parameters = self._library.AlgorithmParameters(
                timeLimit=0.0 if time_limit is None else time_limit,
                nbIter=self.iterations,
                seed=self.seed % 2**31,
            )
            solver = self._library.Solver(parameters=parameters, verbose=False)
            data = {
                "distance_matrix": distances * scale,
                "num_vehicles": len(demand) - 1,
                "depot": 0,
                "demands": demand,
                "vehicle_capacity": float(instance.capacity[0]),
                "service_times": np.zeros(len(demand)),
            }
            routes = solver.solve_cvrp(data, rounding=False).routes
        objective = sum(float(distances[[0, *route], [*route, 0]].sum()) for route in routes)
        actions = route_actions(self.problem, routes)
        return Solution(actions, objective, None, "feasible", time.perf_counter() - start)

    @staticmethod
    def _whole(distances: np.ndarray) -> bool:
        return bool((distances == np.rint(distances)).all())
