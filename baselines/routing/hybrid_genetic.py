"""Hybrid genetic search for the CVRP (library hygese, which wraps HGS-CVRP)."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from baselines.common.checks import check_at_least, check_problem
from baselines.common.solution import Solution
from baselines.routing.plans import route_actions
from or_envs.extras import MissingExtraError
from or_envs.routing import metric
from or_envs.routing.cvrp import CVRP, CVRPInstance

#: The library refuses instances (and may crash afterwards) whose longest distance or largest demand
#: is not in this range.
_ALLOWED = (0.1, 100_000.0)
#: Where numbers have to be scaled, the largest becomes about this.
_LARGEST = 10_000.0
#: Population and generation that the library has by itself.
_USUAL = (25, 40)
#: The library's own number of best solutions that survive in any case.
_ELITE = 4


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
    population
        Solutions that survive a generation; four times as many begin.
    generation
        Solutions that are added until survivors are chosen.

    Raises
    ------
    ValueError
        If the problem is another, or a number is less than 1.
    ImportError
        If hygese is not installed.
    """

    def __init__(
        self,
        problem: CVRP,
        seed: int = 0,
        iterations: int = 1000,
        population: int = _USUAL[0],
        generation: int = _USUAL[1],
    ) -> None:
        check_problem(problem, CVRP)
        check_at_least(1, iterations=iterations, population=population, generation=generation)
        try:
            import hygese
        except ModuleNotFoundError:
            raise MissingExtraError("HybridGenetic", "hygese") from None
        self._library = hygese
        self.problem = problem
        self.seed = seed
        self.iterations = iterations
        self.population = population
        self.generation = generation

    def solve(
        self, instance: CVRPInstance, exogenous: None = None, time_limit: float | None = None
    ) -> Solution:
        """Search until nothing improves any more; given ``time_limit``, all that time.

        The library counts seconds of processor time, and starts again where nothing improves.
        """
        start = time.perf_counter()
        distances = metric.matrix(instance)
        demand, capacity = instance.demand[0], float(instance.capacity[0])
        longest, most = float(distances.max()), float(demand.max())
        if len(demand) == 2 or longest == 0:
            routes = [[customer] for customer in range(1, len(demand))]
        else:
            whole = bool((distances == np.rint(distances)).all())
            scale = 1.0 if whole and _allowed(longest) else _LARGEST / longest
            if most == 0:
                demand, capacity = (np.arange(len(demand)) > 0).astype(float), len(demand) - 1.0
            elif not _allowed(most):
                # A power of two, so that sums of demands compare as before.
                factor = 2.0 ** np.floor(np.log2(_LARGEST / most))
                demand, capacity = demand * factor, capacity * factor
            data = {
                "distance_matrix": distances * scale,
                "num_vehicles": len(demand) - 1,
                "depot": 0,
                "demands": demand,
                "vehicle_capacity": capacity,
                "service_times": np.zeros(len(demand)),
            }
            routes = self._search(data, time_limit, self.population, self.generation)
            if not routes:
                # So few solutions may all break a capacity.
                routes = self._search(data, time_limit, *_USUAL)
        objective = sum(float(distances[[0, *route], [*route, 0]].sum()) for route in routes)
        actions = route_actions(self.problem, routes)
        return Solution(actions, objective, None, "feasible", time.perf_counter() - start)

    def _search(
        self, data: dict[str, Any], time_limit: float | None, population: int, generation: int
    ) -> list[list[int]]:
        """Routes; none if the library finds no feasible solution."""
        parameters = self._library.AlgorithmParameters(
            timeLimit=0.0 if time_limit is None else time_limit,
            nbIter=self.iterations,
            seed=self.seed % 2**31,
            mu=population,
            lambda_=generation,
            nbElite=min(_ELITE, population),
        )
        solver = self._library.Solver(parameters=parameters, verbose=False)
        routes: list[list[int]] = solver.solve_cvrp(data, rounding=False).routes
        return routes


def _allowed(largest: float) -> bool:
    return _ALLOWED[0] <= largest <= _ALLOWED[1]
