"""A path's relaxation by 1-trees, solved nearly: how likely is an edge, how dear is a city.

Multipliers that make the shortest 1-tree (:mod:`or_envs.routing.one_tree`) as long as possible are
a solution of the dual of the subtour program's linear relaxation. On the way there a mean of the
trees, the later ones counting more, comes near a solution of the relaxation itself (the volume
algorithm, Barahona and Anbil 2000): the share of trees that an edge is in says how likely the edge
is to be in a shortest path.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np

from or_envs.routing.one_tree import count_excess, one_tree

#: Trees at most, so that weights of the mean stay within single precision.
MOST_TREES = 1000
#: Paths that a thread is worth.
_PER_THREAD = 8
#: Where one of the origin's edges is in such a share of the trees, no other is looked at.
_SURE = 0.97
#: Edges of the origin that are looked at: so many, with such shares at least.
_CANDIDATES, _UNLIKELY = 4, 0.02
#: Weight of a tree in the mean that it enters, but for the first ones.
_WEIGHT = 0.03
#: The goal of the first step lies by this share above the longest 1-tree so far; less and less.
_AHEAD, _AHEAD_AGAIN = 0.08, 0.02
#: Share of the way to the goal that the first step goes, and that all do at least.
_FIRST, _FIRST_AGAIN, _LEAST = 2.0, 1.0, 0.05


@dataclasses.dataclass(frozen=True)
class Relaxation:
    """What the relaxation of B paths of n points says, in single precision.

    Attributes
    ----------
    shares
        Share of 1-trees that each edge is in, symmetric (B, n, n).
    multipliers
        The best ones (B, n), 0 at both ends, in units of distance.
    mean
        The mean edge (B,), 0 where no points lie between the ends.
    increases
        How much longer the longest 1-tree gets if the path goes from its origin to this point,
        against the best such point, in units of distance (B, n); infinite for points that were not
        looked at.
    """

    shares: np.ndarray
    multipliers: np.ndarray
    mean: np.ndarray
    increases: np.ndarray


def relax(points: np.ndarray, present: np.ndarray, trees: int, look_ahead: int = 0) -> Relaxation:
    """Relax paths from the first point to the last one through all others.

    Parameters
    ----------
    points, present
        (B, n, 2), and which of the points are there, bool (B, n).
    trees
        How many 1-trees, at most :data:`MOST_TREES`.
    look_ahead
        1-trees for each of the likely next points, of which the relaxation of the rest is then
        solved anew; 0: none is looked at.

    Paths are shared out among numba's threads.
    """
    num, size, _ = points.shape
    found = Relaxation(
        np.zeros((num, size, size), np.float32),
        np.zeros((num, size), np.float32),
        np.zeros(num, np.float32),
        np.full((num, size), np.inf, np.float32),
    )
    arrays = (found.shares, found.multipliers, found.mean, found.increases)
    points = points.astype(np.float32)

    def relax_rows(first: int, end: int) -> None:
        some = (array[first:end] for array in arrays)
        _relax(points[first:end], present[first:end], trees, look_ahead, *some)

    threads = min(numba.get_num_threads(), num // _PER_THREAD)
    if threads < 2:
        relax_rows(0, num)
    else:
        cuts = [num * k // threads for k in range(threads + 1)]
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(relax_rows, cuts[:-1], cuts[1:]))
    return found


@numba.njit(cache=True, nogil=True)
def _relax(points, present, trees, look_ahead, shares, multipliers, mean, increases):
    for row in range(len(points)):
        inner = np.nonzero(present[row, 1:-1])[0] + 1
        if len(inner):
            mean[row] = _relax_one(
                points[row],
                inner,
                trees,
                look_ahead,
                shares[row],
                multipliers[row],
                increases[row],
            )


@numba.njit(cache=True, nogil=True)
def _relax_one(points, inner, trees, look_ahead, shares, multipliers, increases):
    """Fill what is known of one path, and return its mean edge."""
    cities, final = len(inner), len(points) - 1
    between = np.empty((cities, cities), np.float32)
    out, back = np.empty(cities, np.float32), np.empty(cities, np.float32)
    for i in range(cities):
        place = points[inner[i]]
        for j in range(i):
            between[i, j] = between[j, i] = _distance(place, points[inner[j]])
        between[i, i] = 0
        out[i], back[i] = _distance(place, points[0]), _distance(place, points[final])
    inside = np.zeros((cities, cities), np.float32)
    opening, closing = np.zeros(cities, np.float32), np.zeros(cities, np.float32)
    best = np.zeros(cities, np.float32)
    _ascend(between, out, back, best, trees, _FIRST, _AHEAD, inside, opening, closing)
    total = np.float32(0)
    for i in range(cities):
        a = inner[i]
        multipliers[a] = best[i]
        shares[0, a] = shares[a, 0] = opening[i]
        shares[final, a] = shares[a, final] = closing[i]
        total += opening[i] * out[i] + closing[i] * back[i]
        for j in range(cities):
            shares[a, inner[j]] = inside[i, j]
            total += inside[i, j] * between[i, j] / 2
    if look_ahead:
        order = np.argsort(-opening)
        likely = min(cities, _CANDIDATES)
        if opening[order[0]] > _SURE:
            likely = 1
        least = np.float32(1e30)
        for k in range(likely):
            city = order[k]
            if k > 1 and opening[city] < _UNLIKELY:
                break
            length = np.float32(0)
            if likely > 1:
                length = out[city] + _rest(between, back, best, city, look_ahead)
            increases[inner[city]] = length
            least = min(least, increases[inner[city]])
        increases -= np.float32(least)
    return total / (cities + 1)


@numba.njit(cache=True, nogil=True)
def _rest(between, back, multipliers, city, trees):
    """Length of the longest 1-tree of the way from a city home, by multipliers near these."""
    others = np.nonzero(np.arange(len(back)) != city)[0]
    if len(others) == 0:
        return back[city]
    num = len(others)
    inner = np.empty((num, num), np.float32)
    for i in range(num):
        for j in range(num):
            inner[i, j] = between[others[i], others[j]]
    inside = np.zeros((num, num), np.float32)
    ends = np.zeros(num, np.float32), np.zeros(num, np.float32)
    now, out = multipliers[others], between[city][others]
    return _ascend(inner, out, back[others], now, trees, _FIRST_AGAIN, _AHEAD_AGAIN, inside, *ends)


@numba.njit(cache=True, nogil=True)
def _ascend(between, out, back, best, trees, first_step, ahead, inside, opening, closing):
    """Move multipliers up from ``best``, where the best ones go, and return their 1-tree's length.

    ``inside``, ``opening`` and ``closing`` get the shares of edges between cities, of the origin
    and of the destination.
    """
    cities = len(best)
    now, excess = best.copy(), np.empty(cities, np.float32)
    away, cost = np.empty(cities, np.float32), np.empty(cities, np.float32)
    parent, edges = np.empty(cities, np.int32), np.empty((cities - 1, 2), np.int64)
    # Sums with growing weights, which cost nothing per edge that a tree does not have.
    kept, bound = np.float32(1), np.float32(-1e30)
    for number in range(trees):
        value, first, last = one_tree(between, out, back, now, edges, away, parent, cost)
        if value > bound:
            bound = value
            best[:] = now
        norm = count_excess(edges, first, last, excess)
        path = norm == 0  # a shortest one
        weight = np.float32(max(_WEIGHT, 1 / (number + 1)))
        if path or number == 0:
            inside[:] = 0
            opening[:] = 0
            closing[:] = 0
            weight = kept = np.float32(1)
        else:
            kept *= 1 - weight
        for k in range(cities - 1):
            i, j = edges[k, 0], edges[k, 1]
            inside[i, j] += weight / kept
            inside[j, i] += weight / kept
        opening[first] += weight / kept
        closing[last] += weight / kept
        if path:
            best[:] = now
            break
        left = 1 - number / trees
        goal = bound + ahead * left * abs(bound)
        now += np.float32((_LEAST + first_step * left) * (goal - value) / norm) * excess
    inside *= kept
    opening *= kept
    closing *= kept
    return bound


@numba.njit(cache=True, nogil=True)
def _distance(one, other):
    return np.sqrt((one[0] - other[0]) ** 2 + (one[1] - other[1]) ** 2)
