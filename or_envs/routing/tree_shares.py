"""A path's relaxation by 1-trees, solved nearly: how likely is an edge, how dear is a city.

Multipliers that make the shortest 1-tree (:mod:`or_envs.routing.one_tree`) as long as possible are
a solution of the dual of the subtour program's linear relaxation. On the way there a mean of the
trees, the later ones counting more, comes near a solution of the relaxation itself (the volume
algorithm, Barahona and Anbil 2000): the share of trees that an edge is in says how likely the edge
is to be in a shortest path.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numba
import numpy as np

from or_envs.routing.one_tree import one_tree

#: Trees at most, so that weights of the mean stay within single precision.
MOST_TREES = 1000
#: Weight of a tree in the mean that it enters, but for the first ones.
_WEIGHT = 0.03
#: The goal of the first step lies by this share above the longest 1-tree so far; less and less.
_AHEAD = 0.08
#: Share of the way to the goal that the first step goes, and that all do at least.
_FIRST, _LEAST = 2.0, 0.05


def tree_shares(
    points: np.ndarray, present: np.ndarray, trees: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Relax paths from the first point to the last one through all others.

    Parameters
    ----------
    points, present
        (B, n, 2), and which of the points are there, bool (B, n).
    trees
        How many 1-trees, at most :data:`MOST_TREES`.

    Returns
    -------
    Share of 1-trees that each edge is in, symmetric (B, n, n); the best multipliers (B, n), 0 at
    both ends, in units of distance; and the mean edge (B,), 0 where no points lie between the ends.
    All in single precision.
    """
    num, size, _ = points.shape
    shares = np.zeros((num, size, size), np.float32)
    multipliers, mean = np.zeros((num, size), np.float32), np.zeros(num, np.float32)
    _relax(points.astype(np.float32), present, trees, shares, multipliers, mean)
    return shares, multipliers, mean


@numba.njit(cache=True, nogil=True)
def _relax(points, present, trees, shares, multipliers, mean):
    for row in range(len(points)):
        inner = np.nonzero(present[row, 1:-1])[0] + 1
        if len(inner):
            mean[row] = _relax_one(points[row], inner, trees, shares[row], multipliers[row])


@numba.njit(cache=True, nogil=True)
def _relax_one(points, inner, trees, shares, multipliers):
    """Fill the shares and the multipliers of one path, and return its mean edge."""
    cities, final = len(inner), len(points) - 1
    between = np.empty((cities, cities), np.float32)
    out, back = np.empty(cities, np.float32), np.empty(cities, np.float32)
    for i in range(cities):
        place = points[inner[i]]
        for j in range(i):
            between[i, j] = between[j, i] = _distance(place, points[inner[j]])
        between[i, i] = 0
        out[i], back[i] = _distance(place, points[0]), _distance(place, points[final])
    now, best = np.zeros(cities, np.float32), np.zeros(cities, np.float32)
    excess = np.empty(cities, np.float32)
    away, cost = np.empty(cities, np.float32), np.empty(cities, np.float32)
    parent, edges = np.empty(cities, np.int32), np.empty((cities - 1, 2), np.int64)
    # Sums with growing weights, which cost nothing per edge that a tree does not have.
    inside = np.zeros((cities, cities), np.float32)
    opening, closing = np.zeros(cities, np.float32), np.zeros(cities, np.float32)
    kept, bound = np.float32(1), np.float32(-1e30)
    for number in range(trees):
        value, first, last = one_tree(between, out, back, now, edges, away, parent, cost)
        if value > bound:
            bound = value
            best[:] = now
        excess[:] = -2
        for k in range(cities - 1):
            excess[edges[k, 0]] += 1
            excess[edges[k, 1]] += 1
        excess[first] += 1
        excess[last] += 1
        norm = (excess * excess).sum()
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
        goal = bound + _AHEAD * left * abs(bound)
        now += np.float32((_LEAST + _FIRST * left) * (goal - value) / norm) * excess
    total = np.float32(0)
    for i in range(cities):
        a = inner[i]
        multipliers[a] = best[i]
        shares[0, a] = shares[a, 0] = opening[i] * kept
        shares[final, a] = shares[a, final] = closing[i] * kept
        total += (opening[i] * out[i] + closing[i] * back[i]) * kept
        for j in range(cities):
            shares[a, inner[j]] = inside[i, j] * kept
            total += inside[i, j] * kept * between[i, j] / 2
    return total / (cities + 1)


@numba.njit(cache=True, nogil=True)
def _distance(one, other):
    return np.sqrt((one[0] - other[0]) ** 2 + (one[1] - other[1]) ** 2)
