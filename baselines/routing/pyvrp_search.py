"""CVRP and orienteering by the library PyVRP."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from baselines.common.checks import check_at_least, check_problem
from baselines.common.solution import Solution
from baselines.routing.plans import completed, route_actions
from or_envs.core import AnyProblem
from or_envs.extras import MissingExtraError
from or_envs.routing import metric
from or_envs.routing.cvrp import CVRP
from or_envs.routing.orienteering import TOLERANCE, Orienteering

#: PyVRP computes with whole numbers: unless lengths are whole and not larger, the longest becomes
#: this. With much larger numbers its penalties are too small, and what it returns is infeasible.
_LONGEST = 15_000
#: What the largest prize is worth in lengths of the budget. Large prizes drown the penalty for
#: routes that are too long, small ones are not worth the way; the best of all counts.
_WORTH = (0.2, 1.0, 5.0)


class PyVRPSearch:
    """PyVRP's iterated local search (0.14 or later).

    Parameters
    ----------
    problem
        A CVRP, or orienteering: one vehicle, customers that may be left out, and a longest route.
    seed
        Seed of the library.
    iterations
        Iterations; orienteering searches three times, with prizes of different weight.

    Raises
    ------
    ValueError
        If the problem is another, or ``iterations`` is less than 1.
    ImportError
        If PyVRP is not installed.
    """

    def __init__(self, problem: AnyProblem, seed: int = 0, iterations: int = 2000) -> None:
        check_problem(problem, CVRP, Orienteering)
        check_at_least(1, iterations=iterations)
        try:
            import pyvrp
        except ModuleNotFoundError:
            raise MissingExtraError("PyVRPSearch", "pyvrp") from None
        self._library = pyvrp
        self.problem = problem
        self.seed = seed
        self.iterations = iterations

    def solve(
        self, instance: Any, exogenous: None = None, time_limit: float | None = None
    ) -> Solution:
        """Search for the set number of iterations, or ``time_limit`` seconds.

        Raises
        ------
        ValueError
            If a demand is not a whole number.
        """
        start = time.perf_counter()
        distances = metric.matrix(instance)
        if isinstance(self.problem, CVRP):
            parts = instance.demand[0][instance.demand[0] != np.rint(instance.demand[0])]
            if len(parts):
                raise ValueError(f"demand: PyVRP needs whole numbers, got {parts[0]}")
            routes = self._search(instance, distances, None, 0.0, time_limit)
            if routes is None:
                return Solution(None, np.inf, None, "infeasible", time.perf_counter() - start)
            objective = sum(float(distances[[0, *route], [*route, 0]].sum()) for route in routes)
            actions = route_actions(self.problem, routes)
            return Solution(actions, objective, None, "feasible", time.perf_counter() - start)
        best: list[int] = []
        prize = instance.prize[0]
        share = None if time_limit is None else time_limit / len(_WORTH)
        limit = float(instance.budget[0]) + 0.999 * TOLERANCE
        for worth in _WORTH:
            routes = self._search(instance, distances, limit, worth, share)
            nodes = routes[0] if routes else []
            if prize[nodes].sum() > prize[best].sum():
                best = nodes
        actions = completed(self.problem, instance, self._filled(distances, best, limit))
        objective = -float(prize[actions].sum())
        return Solution(actions, objective, None, "feasible", time.perf_counter() - start)

    def _search(
        self,
        instance: Any,
        distances: np.ndarray,
        limit: float | None,
        worth: float,
        time_limit: float | None,
    ) -> list[list[int]] | None:
        """Routes of customers, or ``None`` if the library found no feasible ones."""
        whole = bool((distances == np.rint(distances)).all())
        longest = float(distances.max())
        scale = 1.0 if whole and longest <= _LONGEST else _LONGEST / longest
        # Rounded up, a route that keeps to the limit does so in true lengths.
        lengths = np.ceil(distances * scale - 1e-6).astype(int)
        model = self._library.Model()
        places = [model.add_location(float(x), float(y)) for x, y in instance.coordinates[0]]
        depot = model.add_depot(places[0])
        size = len(places)
        if limit is None:
            for place, units in zip(places[1:], instance.demand[0][1:], strict=True):
                model.add_client(place, delivery=int(units))
            model.add_vehicle_type(
                size - 1, int(instance.capacity[0]), start_depot=depot, end_depot=depot
            )
        else:
            prizes = instance.prize[0] / max(float(instance.prize[0].max()), 1e-9)
            for place, prize in zip(places[1:], prizes[1:], strict=True):
                value = int(prize * worth * limit * scale)
                model.add_client(place, prize=value, required=False)
            reach = int(np.floor(limit * scale))
            model.add_vehicle_type(1, start_depot=depot, end_depot=depot, max_distance=reach)
        for i in range(size):
            for j in range(size):
                model.add_edge(places[i], places[j], int(lengths[i, j]))
        stops: list[Any] = [self._library.stop.MaxIterations(self.iterations)]
        if time_limit is not None:
            stops.append(self._library.stop.MaxRuntime(time_limit))
        stop = self._library.stop.MultipleCriteria(stops)
        result = model.solve(stop, seed=self.seed % 2**31, collect_stats=False, display=False)
        if not result.is_feasible():
            return None
        # Clients are numbered from 0, without the depot.
        return [
            [activity.idx + 1 for activity in route.schedule() if activity.is_client()]
            for route in result.best.routes()
        ]

    @staticmethod
    def _filled(distances: np.ndarray, route: list[int], limit: float) -> list[int]:
        """Append customers that are within reach of the last one: rounding may have left some."""
        path = [0, *route]
        length = float(distances[path[:-1], path[1:]].sum())
        while True:
            way = distances[path[-1]] + distances[:, 0]
            fits = length + way <= limit
            fits[path] = False
            if not fits.any():
                return path[1:]
            node = int(np.where(fits, way, np.inf).argmin())
            length += float(distances[path[-1], node])
            path.append(node)
