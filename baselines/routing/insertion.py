"""Insertion heuristics and local search for the TSP."""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import time
from typing import Literal

import numba
import numpy as np

from baselines.common.checks import check_problem
from baselines.common.solution import Solution
from baselines.routing.iterated_local_search import descend, neighbours, random_insertion
from or_envs.core import AnyProblem
from or_envs.routing import metric
from or_envs.routing.atsp import ATSP
from or_envs.routing.tsp import TSP

Start = Literal["random", "farthest", "nearest"]


class Insertion:
    """Take cities in some order, each to the cheapest place of the tour.

    Parameters
    ----------
    problem
        A TSP or ATSP.
    seed
        Seed of a random order.
    order
        "random"; "farthest": always the city farthest from the tour; "nearest": not an insertion,
        the nearest-neighbour tour.
    improve
        Shorten the tour by 2-opt and Or-opt moves afterwards (TSP).

    Raises
    ------
    ValueError
        If the problem or ``order`` is another, or ``improve`` is asked for an ATSP.
    """

    def __init__(
        self,
        problem: AnyProblem,
        seed: int = 0,
        order: Start = "random",
        improve: bool = False,
    ) -> None:
        check_problem(problem, TSP, ATSP)
        if order not in ("random", "farthest", "nearest"):
            raise ValueError(f"order: expected 'random', 'farthest' or 'nearest', got {order!r}")
        if improve and type(problem).__name__ != "TSP":
            raise ValueError("improve: expected False for ATSP, whose ways may not be turned round")
        self.seed = seed
        self.order = order
        self.improve = improve

    def solve(
        self, instance: object, exogenous: None = None, time_limit: float | None = None
    ) -> Solution:
        """Build the tour."""
        start = time.perf_counter()
        distances = metric.matrix(instance)
        if self.order == "random":
            tour = random_insertion(distances, self.seed)
        elif self.order == "farthest":
            tour = farthest_insertion(distances)
        else:
            tour = nearest_tour(distances)
        if self.improve:
            descend(distances, neighbours(distances), tour)
        tour = np.roll(tour, -int(np.flatnonzero(tour == 0)[0]))
        objective = float(distances[tour, np.roll(tour, -1)].sum())
        return Solution(tour[1:], objective, None, "feasible", time.perf_counter() - start)


def two_opt(problem: AnyProblem, seed: int) -> Insertion:
    """Nearest-neighbour tour, then 2-opt and Or-opt."""
    return Insertion(problem, seed, "nearest", improve=True)


def random_two_opt(problem: AnyProblem, seed: int) -> Insertion:
    """Random insertion, then 2-opt and Or-opt: labels for agents that need no solver."""
    return Insertion(problem, seed, "random", improve=True)


@numba.njit(cache=True)
def nearest_tour(distances):
    """Tour (N,) from city 0, always to the nearest city."""
    cities = len(distances)
    tour, left = np.zeros(cities, np.int64), np.ones(cities, np.bool_)
    left[0] = False
    for k in range(1, cities):
        best = -1
        for city in range(cities):
            if left[city] and (
                best < 0 or distances[tour[k - 1], city] < distances[tour[k - 1], best]
            ):
                best = city
        tour[k] = best
        left[best] = False
    return tour


@numba.njit(cache=True)
def farthest_insertion(distances):
    """Tour (N,) from the two cities farthest apart; next is always the city farthest from it."""
    cities = len(distances)
    tour = np.empty(cities, np.int64)
    first, second = 0, 1
    for a in range(cities):
        for b in range(cities):
            if distances[a, b] > distances[first, second]:
                first, second = a, b
    tour[0], tour[1] = first, second
    away = np.minimum(distances[:, first], distances[:, second])
    away[first] = away[second] = -1.0
    for size in range(2, cities):
        city = int(np.argmax(away))
        best, place = np.inf, 0
        for i in range(size):
            a, b = tour[i], tour[(i + 1) % size]
            extra = distances[a, city] + distances[city, b] - distances[a, b]
            if extra < best:
                best, place = extra, i
        for i in range(size, place + 1, -1):
            tour[i] = tour[i - 1]
        tour[place + 1] = city
        away[city] = -1.0
        for k in range(cities):
            if away[k] >= 0.0:
                away[k] = min(away[k], distances[k, city])
    return tour
