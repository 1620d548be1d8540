"""Shortest 1-trees: the relaxation of a tour, or of a path, that Held and Karp (1971) made.

A path from an origin through all of m cities to a destination is a tree of the cities, an edge of
the origin and one of the destination, where every city has two edges. Without that last condition
it is a 1-tree, and the shortest one is easy to find. A multiplier on each city makes its edges
longer where the 1-tree has more than two of them, shorter where it has one; the length of a path
changes by the same amount whatever the path. A tour is a path whose ends are the same place.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numba
import numpy as np

#: Farther than anything; not infinite, so that the compiler may reorder sums.
_FAR = np.float32(1e30)


@numba.njit(cache=True)
def one_tree(between, out, back, multipliers, edges, away, parent, cost):
    """Find the shortest 1-tree.

    Parameters
    ----------
    between, out, back
        Distances between cities (m, m), from the origin (m,) and to the destination (m,).
    multipliers
        (m,).
    edges
        (m - 1, 2) integers, where the tree's edges go.
    away, parent, cost
        Room to work in: (m,) each, of the kind of the distances, int32, and of the distances.

    Returns
    -------
    Its length less twice the multipliers, which no path is shorter than; the origin's city, and the
    destination's, another one if there are two.
    """
    cities = len(multipliers)
    total = between[0, 0]  # zero, of the kind of the distances
    for k in range(cities):
        away[k] = _FAR
        cost[k] = multipliers[k]
        total -= 2 * multipliers[k]
    # Prim's algorithm from the first city; those in the tree are far from it.
    city = np.int32(0)
    cost[0] = _FAR
    for number in range(cities - 1):
        least = _approach(between[city], cost, multipliers[city], away, parent, city)
        closest = 0
        while closest < cities - 1 and away[closest] != least:
            closest += 1
        edges[number, 0], edges[number, 1] = parent[closest], closest
        total += least
        away[closest] = cost[closest] = _FAR
        city = np.int32(closest)
    first, first_length, first_other, first_longer = _two_nearest(out, multipliers)
    last, last_length, last_other, last_longer = _two_nearest(back, multipliers)
    if first == last and cities > 1:
        if first_longer + last_length < first_length + last_longer:
            first, first_length = first_other, first_longer
        else:
            last, last_length = last_other, last_longer
    return total + first_length + last_length, first, last


@numba.njit(cache=True)
def count_excess(edges, first, last, excess):
    """Let ``excess`` (m,) be the edges of each city beyond two; returns its squared norm.

    It is the subgradient of the shortest 1-tree's length; where it is zero, the 1-tree is a path.
    """
    excess[:] = -2
    for k in range(len(edges)):
        excess[edges[k, 0]] += 1
        excess[edges[k, 1]] += 1
    excess[first] += 1
    excess[last] += 1
    return (excess * excess).sum()


# Reordered minima are the same minima, and loops without branches become vector instructions.
@numba.njit(cache=True, fastmath=True)
def _approach(row, cost, multiplier, away, parent, city):
    """Distances to the tree after ``city`` has joined it; returns the least."""
    least = away[0]
    for k in range(len(row)):
        length = row[k] + cost[k] + multiplier
        closer = length < away[k]
        now = length if closer else away[k]
        away[k] = now
        parent[k] = city if closer else parent[k]
        least = min(least, now)
    return least


@numba.njit(cache=True)
def _two_nearest(row, multipliers):
    first = second = -1
    shortest = longer = row[0] * 0 + _FAR
    for k in range(len(row)):
        length = row[k] + multipliers[k]
        if length < shortest:
            second, longer = first, shortest
            first, shortest = k, length
        elif length < longer:
            second, longer = k, length
    return first, shortest, second, longer
