"""Clarke and Wright's savings, and the sweep, for the CVRP."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from baselines.common.checks import check_problem
from baselines.common.solution import Solution
from baselines.routing.iterated_local_search import descend, neighbours
from baselines.routing.plans import route_actions
from or_envs.routing import metric
from or_envs.routing.cvrp import CVRP, CVRPInstance


class Savings:
    """Join the ends of two routes where that saves most (Clarke and Wright 1964, parallel form).

    Parameters
    ----------
    problem, seed
        As for every baseline.

    Raises
    ------
    ValueError
        If the problem is another.
    """

    def __init__(self, problem: CVRP, seed: int = 0) -> None:
        check_problem(problem, CVRP)
        self.problem = problem

    def solve(
        self, instance: CVRPInstance, exogenous: None = None, time_limit: float | None = None
    ) -> Solution:
        """Build the routes, and shorten each by 2-opt and Or-opt."""
        start = time.perf_counter()
        distances = metric.matrix(instance)
        demand, capacity = instance.demand[0], float(instance.capacity[0])
        route_of: dict[int, list[int]] = {c: [c] for c in range(1, len(demand))}
        rows, columns = np.triu_indices(len(demand), 1)
        inner = rows > 0
        rows, columns = rows[inner], columns[inner]
        saved = distances[rows, 0] + distances[0, columns] - distances[rows, columns]
        for place in np.argsort(-saved, kind="stable"):
            if saved[place] <= 0:
                break
            i, j = int(rows[place]), int(columns[place])
            one, other = route_of[i], route_of[j]
            if one is other or demand[one].sum() + demand[other].sum() > capacity:
                continue
            if one[0] == i:
                one = one[::-1]
            if other[-1] == j:
                other = other[::-1]
            if one[-1] == i and other[0] == j:
                joined = one + other
                route_of.update(dict.fromkeys(joined, joined))
        routes = list({id(route): route for route in route_of.values()}.values())
        return _finish(self.problem, distances, routes, start)


class Sweep:
    """Fill vehicles in the order of angles around the depot, from the best of all first customers.

    Parameters
    ----------
    problem, seed
        As for every baseline.

    Raises
    ------
    ValueError
        If the problem is another.
    """

    def __init__(self, problem: CVRP, seed: int = 0) -> None:
        check_problem(problem, CVRP)
        self.problem = problem

    def solve(
        self, instance: CVRPInstance, exogenous: None = None, time_limit: float | None = None
    ) -> Solution:
        """Build the routes, and shorten each by 2-opt and Or-opt."""
        start = time.perf_counter()
        distances = metric.matrix(instance)
        nodes = instance.coordinates[0]
        demand, capacity = instance.demand[0], float(instance.capacity[0])
        away = nodes[1:] - nodes[0]
        order = 1 + np.argsort(np.arctan2(away[:, 1], away[:, 0]), kind="stable")
        best: Solution | None = None
        for first in range(len(order)):
            routes: list[list[int]] = [[]]
            load = 0.0
            for customer in np.roll(order, -first).tolist():
                if load + demand[customer] > capacity:
                    routes.append([])
                    load = 0.0
                routes[-1].append(customer)
                load += demand[customer]
            found = _finish(self.problem, distances, routes, start)
            if best is None or found.objective < best.objective:
                best = found
        assert best is not None
        return best


def _finish(
    problem: CVRP, distances: np.ndarray, routes: Sequence[Sequence[int]], start: float
) -> Solution:
    """Shorten each route as a tour of its own."""
    shortened, objective = [], 0.0
    for route in routes:
        nodes = np.array([0, *route])
        block = np.ascontiguousarray(distances[np.ix_(nodes, nodes)])
        tour = np.arange(len(nodes))
        descend(block, neighbours(block), tour)
        tour = np.roll(tour, -int(np.flatnonzero(tour == 0)[0]))
        objective += float(block[tour, np.roll(tour, -1)].sum())
        shortened.append(nodes[tour[1:]].tolist())
    actions = route_actions(problem, shortened)
    return Solution(actions, objective, None, "feasible", time.perf_counter() - start)
