"""Exact CVRP: edges, and rounded capacity constraints added when they are broken, on HiGHS."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from baselines.common.checks import check_problem
from baselines.common.solution import Solution
from baselines.routing.plans import route_actions
from or_envs.extras import MissingExtraError
from or_envs.routing import metric
from or_envs.routing.cvrp import CVRP, CVRPInstance

#: Smallest violation of a constraint that is cut off.
_VIOLATION = 1e-6


class RoundedCapacity:
    """Two-index integer program of Laporte, Nobert and Desrochers (1985), for small sizes.

    Every customer has two edges, and at least 2 ceil(demand / capacity) edges leave every set of
    customers. Sets whose constraint is broken are found by growing one from each customer, along
    the strongest edges: first for the linear relaxation, then for its integer solutions, where that
    finds every route that is too long or does not pass the depot.

    Parameters
    ----------
    problem
        A CVRP with symmetric distances.
    seed
        HiGHS's ``random_seed``.

    Raises
    ------
    ValueError
        If the problem is another.
    ImportError
        If highspy is not installed.
    """

    def __init__(self, problem: CVRP, seed: int = 0) -> None:
        check_problem(problem, CVRP)
        try:
            import highspy
        except ModuleNotFoundError:
            raise MissingExtraError("RoundedCapacity", "highspy") from None
        self._highspy = highspy
        self.problem = problem
        self.seed = seed

    def solve(
        self, instance: CVRPInstance, exogenous: None = None, time_limit: float | None = None
    ) -> Solution:
        """Solve to optimality, or return the bound at the time limit without routes.

        Raises
        ------
        ValueError
            If distances are not symmetric.
        """
        start = time.perf_counter()
        distances = metric.matrix(instance)
        if not np.allclose(distances, distances.T, rtol=1e-9, atol=0.0):
            raise ValueError("distances: expected a symmetric matrix")
        demand, capacity = instance.demand[0], float(instance.capacity[0])
        model = _Model(self._highspy, distances, self.seed)
        model.require(np.arange(1, len(demand)), fewest_vehicles(demand.sum(), capacity))
        bound, integer = 0.0, False
        while True:
            spent = time.perf_counter() - start
            values = None
            if time_limit is None or spent < time_limit:
                values = model.run(None if time_limit is None else time_limit - spent)
            if values is None:
                return Solution(None, np.inf, bound, "time_limit", time.perf_counter() - start)
            bound = max(bound, model.objective)
            values = np.rint(values) if integer else values
            broken = broken_sets(values, demand, capacity)
            for group, vehicles in broken:
                model.require(np.array(group), vehicles)
            if not broken and integer:
                break
            if not broken:
                integer = True
                model.make_integer()
        routes = _routes(values.astype(int))
        objective = sum(float(distances[[0, *route], [*route, 0]].sum()) for route in routes)
        actions = route_actions(self.problem, routes)
        seconds = time.perf_counter() - start
        return Solution(actions, objective, min(bound, objective), "optimal", seconds)


class _Model:
    """The relaxation in HiGHS, with one variable per edge (i < j).

    An edge of the depot counts twice where a route has one customer.
    """

    def __init__(self, highspy: Any, distances: np.ndarray, seed: int) -> None:
        self.size = len(distances)
        self.highspy = highspy
        self.tail, self.head = np.triu_indices(self.size, 1)
        self.objective = 0.0
        self.highs = highspy.Highs()
        self.highs.silent()
        options = {"random_seed": seed % 2**31, "threads": 1}
        for option, value in (options | {"mip_rel_gap": 0.0, "mip_abs_gap": 0.0}).items():
            self.highs.setOptionValue(option, value)
        count = len(self.tail)
        self.highs.addVars(count, np.zeros(count), np.where(self.tail == 0, 2.0, 1.0))
        numbers = np.arange(count, dtype=np.int32)
        self.highs.changeColsCost(count, numbers, distances[self.tail, self.head].astype(float))
        for customer in range(1, self.size):
            self._row(2.0, 2.0, (self.tail == customer) | (self.head == customer))

    def _row(self, low: float, high: float, which: np.ndarray) -> None:
        columns = np.flatnonzero(which).astype(np.int32)
        self.highs.addRow(low, high, len(columns), columns, np.ones(len(columns)))

    def require(self, group: np.ndarray, vehicles: int) -> None:
        """At least this many vehicles come to the group of customers, and leave it."""
        inside = np.zeros(self.size, dtype=bool)
        inside[group] = True
        self._row(2.0 * vehicles, np.inf, inside[self.tail] != inside[self.head])

    def make_integer(self) -> None:
        """Ask for whole values from now on."""
        count = len(self.tail)
        kinds = np.full(count, self.highspy.HighsVarType.kInteger)
        self.highs.changeColsIntegrality(count, np.arange(count, dtype=np.int32), kinds)

    def run(self, time_limit: float | None) -> np.ndarray | None:
        """Values of an optimum as a symmetric matrix, or ``None`` at the time limit."""
        # HiGHS's clock runs on from one call to the next.
        spent = self.highs.getRunTime()
        self.highs.setOptionValue(
            "time_limit", np.inf if time_limit is None else spent + time_limit
        )
        self.highs.run()
        if self.highs.getModelStatus() != self.highspy.HighsModelStatus.kOptimal:
            return None
        self.objective = float(self.highs.getObjectiveValue())
        values = np.zeros((self.size, self.size))
        values[self.tail, self.head] = np.asarray(self.highs.getSolution().col_value)
        return values + values.T


def fewest_vehicles(demand: float, capacity: float) -> int:
    """Vehicles that a set of customers needs at least; one where it has no demand."""
    return max(1, int(np.ceil(demand / capacity - 1e-9)))


def broken_sets(
    values: np.ndarray, demand: np.ndarray, capacity: float
) -> list[tuple[tuple[int, ...], int]]:
    """Sets of customers that fewer vehicles come to than they need, and how many they need.

    At most one from each first customer, the one that lacks most.
    """
    found = {}
    for first in range(1, len(values)):
        group = [first]
        strength = values[first].copy()
        leaving = strength.sum()
        most, worst = _VIOLATION, 0
        while True:
            vehicles = fewest_vehicles(demand[group].sum(), capacity)
            if 2 * vehicles - leaving > most:
                most, worst, needed = 2 * vehicles - leaving, len(group), vehicles
            outside = np.ones(len(values), dtype=bool)
            outside[[0, *group]] = False
            if not outside.any():
                break
            following = int(np.where(outside, strength, -np.inf).argmax())
            leaving += values[following].sum() - 2 * strength[following]
            strength += values[following]
            group.append(following)
        if worst:
            found[tuple(sorted(group[:worst]))] = needed
    return list(found.items())


def _routes(times: np.ndarray) -> list[list[int]]:
    """Routes of an integer solution; ``times`` (N + 1, N + 1) is how often each edge is driven."""
    left = times.copy()
    routes = []
    while left[0].any():
        route: list[int] = []
        here = 0
        while not route or here:
            following = int(left[here].argmax())
            left[here, following] -= 1
            left[following, here] -= 1
            route.append(following)
            here = following
        routes.append(route[:-1])
    return routes
