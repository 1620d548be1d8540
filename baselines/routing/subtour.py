"""Exact TSP and ATSP: degree constraints, and subtours cut off when they appear, on HiGHS."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from baselines.common.checks import check_at_least, check_problem
from baselines.common.solution import Solution
from or_envs.core import AnyProblem
from or_envs.extras import MissingExtraError
from or_envs.routing import metric
from or_envs.routing.atsp import ATSP
from or_envs.routing.tour import Tour
from or_envs.routing.tsp import TSP

#: Smallest violation of a subtour constraint that is cut off.
_VIOLATION = 1e-6


class SubtourElimination:
    """Integer program of Dantzig, Fulkerson and Johnson (1954) with lazy constraints.

    The linear relaxation is solved first, with a cut for every minimum cut below its bound (found
    by the algorithm of Stoer and Wagner); then the integer program, with a cut for every component
    of its solution, until that is one tour.

    Parameters
    ----------
    problem
        A TSP or ATSP.
    seed
        HiGHS's ``random_seed``.

    Raises
    ------
    ValueError
        If the problem is another, or has fewer than 3 cities.
    ImportError
        If highspy is not installed.
    """

    def __init__(self, problem: AnyProblem, seed: int = 0) -> None:
        tour: Tour[Any] = check_problem(problem, TSP, ATSP)
        check_at_least(3, num_cities=tour.num_cities)
        try:
            import highspy
        except ModuleNotFoundError:
            raise MissingExtraError("SubtourElimination", "highspy") from None
        self._highspy = highspy
        self.symmetric = isinstance(problem, TSP)
        self.seed = seed

    def solve(
        self, instance: Any, exogenous: None = None, time_limit: float | None = None
    ) -> Solution:
        """Solve to optimality, or return the bound at the time limit without a tour."""
        start = time.perf_counter()
        distances = metric.matrix(instance)
        model = _Model(self._highspy, distances, self.symmetric, self.seed)
        bound = 0.0
        integer = False
        while True:
            left = None if time_limit is None else time_limit - (time.perf_counter() - start)
            if left is not None and left <= 0:
                return Solution(None, np.inf, bound, "time_limit", time.perf_counter() - start)
            flow, value, done = model.run(left)
            if not done:
                return Solution(None, np.inf, bound, "time_limit", time.perf_counter() - start)
            bound = max(bound, value)
            groups = components(flow)
            if len(groups) == 1 and not integer:
                weight, group = minimum_cut(flow + flow.T)
                # Every tour crosses a cut twice; a directed one once in each direction.
                groups = [group] if weight < 2 - _VIOLATION else groups
            if len(groups) > 1 or len(groups[0]) < len(distances):
                for group in groups[: len(groups) - 1] if len(groups) > 1 else groups:
                    model.forbid(group)
            elif integer:
                break
            else:
                integer = True
                model.make_integer()
        tour = [0]
        links = np.maximum(flow, flow.T) if self.symmetric else flow
        before = -1
        for _ in range(len(distances) - 1):
            following = [int(j) for j in np.flatnonzero(links[tour[-1]] > 0.5) if j != before]
            before = tour[-1]
            tour.append(following[0])
        order = np.array(tour)
        objective = float(distances[order, np.roll(order, -1)].sum())
        seconds = time.perf_counter() - start
        return Solution(order[1:], objective, min(bound, objective), "optimal", seconds)


class _Model:
    """The relaxation in HiGHS: one variable per edge (i < j) or per arc."""

    def __init__(self, highspy: Any, distances: np.ndarray, symmetric: bool, seed: int) -> None:
        self.size = len(distances)
        self.symmetric = symmetric
        pairs = (
            np.triu_indices(self.size, 1)
            if symmetric
            else np.nonzero(~np.eye(self.size, dtype=bool))
        )
        self.tail, self.head = (np.asarray(part) for part in pairs)
        self.highspy = highspy
        self.highs = highspy.Highs()
        self.highs.silent()
        for option, value in (("random_seed", seed % 2**31), ("mip_rel_gap", 0.0), ("threads", 1)):
            self.highs.setOptionValue(option, value)
        count = len(self.tail)
        self.highs.addVars(count, np.zeros(count), np.ones(count))
        numbers = np.arange(count, dtype=np.int32)
        self.highs.changeColsCost(count, numbers, distances[self.tail, self.head].astype(float))
        for city in range(self.size):
            if symmetric:
                self._row(2, 2, (self.tail == city) | (self.head == city))
            else:
                self._row(1, 1, self.tail == city)
                self._row(1, 1, self.head == city)

    def _row(self, low: float, high: float, which: np.ndarray) -> None:
        columns = np.flatnonzero(which).astype(np.int32)
        self.highs.addRow(low, high, len(columns), columns, np.ones(len(columns)))

    def make_integer(self) -> None:
        """Ask for whole values from now on."""
        count = len(self.tail)
        kinds = np.full(count, self.highspy.HighsVarType.kInteger)
        self.highs.changeColsIntegrality(count, np.arange(count, dtype=np.int32), kinds)

    def forbid(self, group: np.ndarray) -> None:
        """At least two edges (or one arc) leave the group of cities."""
        inside = np.zeros(self.size, dtype=bool)
        inside[group] = True
        if self.symmetric:
            self._row(2, np.inf, inside[self.tail] != inside[self.head])
        else:
            self._row(1, np.inf, inside[self.tail] & ~inside[self.head])

    def run(self, time_limit: float | None) -> tuple[np.ndarray, float, bool]:
        """Values as a matrix (N, N), the objective, and whether it is optimal."""
        # HiGHS's clock runs on from one call to the next.
        spent = self.highs.getRunTime()
        self.highs.setOptionValue(
            "time_limit", np.inf if time_limit is None else spent + time_limit
        )
        self.highs.run()
        done = self.highs.getModelStatus() == self.highspy.HighsModelStatus.kOptimal
        flow = np.zeros((self.size, self.size))
        if done:
            flow[self.tail, self.head] = np.asarray(self.highs.getSolution().col_value)
        return flow, float(self.highs.getObjectiveValue()) if done else 0.0, done


def components(flow: np.ndarray) -> list[np.ndarray]:
    """Groups of cities that edges of positive value join, smallest first."""
    from scipy.sparse.csgraph import connected_components

    count, label = connected_components(flow > 1e-9, directed=False)
    groups = [np.flatnonzero(label == k) for k in range(count)]
    return sorted(groups, key=len)


def minimum_cut(weights: np.ndarray) -> tuple[float, np.ndarray]:
    """Weight and one side of a minimum cut of a symmetric matrix (Stoer and Wagner 1997)."""
    size = len(weights)
    left = weights.astype(float).copy()
    np.fill_diagonal(left, 0.0)
    merged = [[k] for k in range(size)]
    alive = list(range(size))
    best, side = np.inf, np.arange(1)
    while len(alive) > 1:
        block = left[np.ix_(alive, alive)]
        strength = block[0].copy()
        added = np.zeros(len(alive), dtype=bool)
        added[0] = True
        before, last = 0, 0
        for _ in range(len(alive) - 1):
            before, last = last, int(np.where(added, -np.inf, strength).argmax())
            weight = float(strength[last])
            added[last] = True
            strength += block[last]
        if weight < best:
            best, side = weight, np.array(merged[alive[last]])
        s, t = alive[before], alive[last]
        merged[s] = merged[s] + merged[t]
        left[s] += left[t]
        left[:, s] += left[:, t]
        left[s, s] = 0.0
        alive.remove(t)
    return best, side
