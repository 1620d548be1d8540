"""Iterated local search for the symmetric TSP: 2-opt and Or-opt behind random double bridges."""

# mypy: disable-error-code="no-untyped-def"
# ruff: noqa: NPY002 -- numba has its own legacy generator only
from __future__ import annotations

import time

import numba
import numpy as np

from baselines.common.checks import check_at_least, check_problem
from baselines.common.solution import Solution
from or_envs.routing import metric
from or_envs.routing.tsp import TSP, TSPInstance

#: Neighbours that a city is joined to, longest segment that is moved, and how far apart the ends of
#: a double bridge are.
NEIGHBOURS, SEGMENT, REACH = 10, 3, 30
#: Perturbations between looks at the clock.
_CHUNK = 200


class IteratedLocalSearch:
    """2-opt and Or-opt with neighbour lists; a double bridge wherever neither helps.

    A perturbed tour is kept if it is not longer after the local search. The start is a random
    insertion tour. Up to 20 cities the result is optimal in nearly all cases, in about a
    millisecond.

    Parameters
    ----------
    problem
        A TSP.
    seed
        Seed of start and perturbations.
    iterations
        Perturbations per city.

    Raises
    ------
    ValueError
        If the problem is no TSP, or ``iterations`` is negative.
    """

    def __init__(self, problem: TSP, seed: int = 0, iterations: int = 50) -> None:
        check_problem(problem, TSP)
        check_at_least(0, iterations=iterations)
        self.seed = seed
        self.iterations = iterations

    def solve(
        self, instance: TSPInstance, exogenous: None = None, time_limit: float | None = None
    ) -> Solution:
        """Search for the set number of perturbations, or ``time_limit`` seconds."""
        start = time.perf_counter()
        distances = metric.matrix(instance)
        cities = len(distances)
        tour = random_insertion(distances, self.seed)
        near = neighbours(distances)
        left = self.iterations * cities
        descend(distances, near, tour)
        chunk = 0
        while left > 0 and cities >= 8:
            if time_limit is not None and time.perf_counter() - start > time_limit:
                break
            perturb(distances, near, tour, min(left, _CHUNK), self.seed + chunk)
            left -= _CHUNK
            chunk += 1
        tour = np.roll(tour, -int(np.flatnonzero(tour == 0)[0]))
        objective = float(distances[tour, np.roll(tour, -1)].sum())
        return Solution(tour[1:], objective, None, "feasible", time.perf_counter() - start)


def neighbours(distances: np.ndarray) -> np.ndarray:
    """Nearest other cities of each city, (N, K)."""
    blocked = distances + np.diag(np.full(len(distances), np.inf))
    return np.argsort(blocked, axis=1)[:, : min(NEIGHBOURS, len(distances) - 1)]


@numba.njit(cache=True)
def random_insertion(distances, seed):
    """Tour (N,) that takes cities in a random order, each to its cheapest place."""
    np.random.seed(seed)
    cities = len(distances)
    order = np.random.permutation(cities)
    tour = np.empty(cities, np.int64)
    tour[0] = order[0]
    for size in range(1, cities):
        city, best, place = order[size], np.inf, 0
        for i in range(size):
            a, b = tour[i], tour[(i + 1) % size]
            extra = distances[a, city] + distances[city, b] - distances[a, b]
            if extra < best:
                best, place = extra, i
        for i in range(size, place + 1, -1):
            tour[i] = tour[i - 1]
        tour[place + 1] = city
    return tour


@numba.njit(cache=True)
def _reverse(tour, position, first, last):
    """Turn round the tour's places first..last, cyclic; or the rest, where that is shorter."""
    cities = len(tour)
    inner = (last - first) % cities + 1
    if 2 * inner > cities:
        first, last = (last + 1) % cities, (first - 1) % cities
        inner = cities - inner
    for _ in range(inner // 2):
        a, b = tour[first], tour[last]
        tour[first], tour[last] = b, a
        position[b], position[a] = first, last
        first, last = (first + 1) % cities, (last - 1) % cities


@numba.njit(cache=True)
def _improve_city(distances, near, tour, position, scratch, touched, a):
    """Make one shortening move at city ``a``; its ends are left in ``touched``."""
    cities = len(tour)
    i = position[a]
    after, before = tour[(i + 1) % cities], tour[(i - 1) % cities]
    for k in range(near.shape[1]):  # 2-opt
        c = near[a, k]
        joined = distances[a, c]
        j = position[c]
        if joined >= max(distances[a, after], distances[a, before]):
            break
        follow, lead = tour[(j + 1) % cities], tour[(j - 1) % cities]
        gain = distances[a, after] + distances[c, follow] - joined - distances[after, follow]
        if gain > 1e-9:
            _reverse(tour, position, (i + 1) % cities, j)
            touched[0], touched[1], touched[2], touched[3] = a, after, c, follow
            return gain
        gain = distances[a, before] + distances[c, lead] - joined - distances[before, lead]
        if gain > 1e-9:
            _reverse(tour, position, i, (j - 1) % cities)
            touched[0], touched[1], touched[2], touched[3] = a, before, c, lead
            return gain
    for size in range(1, min(SEGMENT, cities - 3) + 1):  # Or-opt, a at either end of the segment
        for step in (1, -1):
            end = tour[(i + step * (size - 1)) % cities]
            p = tour[(i - step) % cities]
            n = tour[(i + step * size) % cities]
            removed = distances[p, a] + distances[end, n] - distances[p, n]
            for k in range(near.shape[1]):
                c = near[a, k]
                if distances[a, c] >= removed:
                    break
                if (step * (position[c] - i)) % cities < size:
                    continue  # c is in the segment
                for side in (1, -1):
                    e = tour[(position[c] + side) % cities]
                    if (step * (position[e] - i)) % cities < size:
                        continue
                    gain = removed - distances[c, a] - distances[end, e] + distances[c, e]
                    if gain > 1e-9:
                        _move(tour, position, scratch, i, step, size, c, e)
                        touched[0], touched[1], touched[2] = a, end, p
                        touched[3], touched[4], touched[5] = n, c, e
                        return gain
    return 0.0


@numba.njit(cache=True)
def _move(tour, position, scratch, i, step, size, c, e):
    """Put the segment that begins at place ``i`` between ``c`` (next to its start) and ``e``."""
    cities = len(tour)
    filled = 0
    forward = tour[(position[c] + 1) % cities] == e
    for k in range(cities - size):
        city = tour[(i + step * (size + k)) % cities]
        here = city == (c if forward == (step == 1) else e)
        scratch[filled] = city
        filled += 1
        if here:
            for m in range(size):
                offset = m if city == c else size - 1 - m
                scratch[filled] = tour[(i + step * offset) % cities]
                filled += 1
    for k in range(cities):
        tour[k] = scratch[k]
        position[tour[k]] = k


@numba.njit(cache=True)
def _descend(distances, near, tour, position, scratch, queue, queued, length):
    """Improve at the cities of the queue until it is empty; return the gain."""
    cities = len(tour)
    touched = np.empty(6, np.int64)
    total, head = 0.0, 0
    while length > 0:
        a = queue[head]
        head = (head + 1) % cities
        length -= 1
        queued[a] = False
        while True:
            touched[:] = -1
            gain = _improve_city(distances, near, tour, position, scratch, touched, a)
            if gain <= 0.0:
                break
            total += gain
            for city in touched:
                if city >= 0 and city != a and not queued[city]:
                    queue[(head + length) % cities] = city
                    queued[city] = True
                    length += 1
    return total


@numba.njit(cache=True)
def descend(distances, near, tour):
    """Shorten a tour (N,) in place until no 2-opt or Or-opt move with near cities helps."""
    cities = len(tour)
    if cities < 5:
        return
    position = np.empty(cities, np.int64)
    for k in range(cities):
        position[tour[k]] = k
    queue, queued = tour.copy(), np.ones(cities, np.bool_)
    _descend(distances, near, tour, position, np.empty_like(tour), queue, queued, cities)


@numba.njit(cache=True)
def perturb(distances, near, tour, iterations, seed):
    """Improve a locally best tour (N >= 8) in place by ``iterations`` double bridges."""
    np.random.seed(seed)
    cities = len(tour)
    position, best = np.empty(cities, np.int64), tour.copy()
    scratch, queue, queued = np.empty_like(tour), np.empty_like(tour), np.zeros(cities, np.bool_)
    reach = min(cities, REACH)
    for _ in range(iterations):
        # Swap two neighbouring stretches that lie close together on the tour.
        start = np.random.randint(cities)
        cuts = np.sort(np.random.choice(reach - 1, 3, replace=False)) + 1
        for k in range(cities):
            scratch[k] = best[(start + k) % cities]
        filled = 0
        for low, high in ((0, cuts[0]), (cuts[1], cuts[2]), (cuts[0], cuts[1]), (cuts[2], cities)):
            for k in range(low, high):
                tour[filled] = scratch[k]
                filled += 1
        for k in range(cities):
            position[tour[k]] = k
        change, length = 0.0, 0
        for cut in (0, cuts[0], cuts[0] + cuts[2] - cuts[1], cuts[2]):
            for city in (tour[(cut - 1) % cities], tour[cut % cities]):
                if not queued[city]:
                    queue[length] = city
                    queued[city] = True
                    length += 1
        for k in range(cities):
            change += distances[tour[k], tour[(k + 1) % cities]]
            change -= distances[best[k], best[(k + 1) % cities]]
        change -= _descend(distances, near, tour, position, scratch, queue, queued, length)
        if change <= 1e-12:
            best[:] = tour
    tour[:] = best
