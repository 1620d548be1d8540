"""What the relaxation of a path by 1-trees knows about its edges, for the network to look at.

Multipliers that make the shortest 1-tree (:mod:`or_envs.routing.one_tree`) as long as possible are
a solution of the dual of the subtour program's linear relaxation. On the way there a mean of the
trees, the later ones counting more, comes near a solution of the relaxation itself (the volume
algorithm, Barahona and Anbil 2000): the share of trees that an edge is in says how likely the edge
is to be in a shortest path.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import dataclasses

import numba
import numpy as np
import torch
from array_api_compat import torch as xp

from agents.bq_nco.tails import Tail
from or_envs.core.arrays import gather
from or_envs.routing.one_tree import one_tree
from or_envs.routing.tour import TourState
from or_envs.routing.tsp import TSPInstance

#: Features that the relaxation adds to those of a token.
NUM_FEATURES = 5
#: Cities, the nearest ones to the current city, that trees span at most: the time of a tree is that
#: number squared.
WIDEST = 100
#: Trees at most, so that weights of the mean stay within single precision.
MOST_TREES = 1000

#: The network is not told of larger multipliers, in mean edges.
_LARGEST = 10.0
#: Weight of a tree in the mean that it enters, but for the first ones.
_WEIGHT = 0.03
#: The goal of the first step lies by this share above the longest 1-tree so far; less and less.
_AHEAD = 0.08
#: Share of the way to the goal that the first step goes, and that all do at least.
_FIRST, _LEAST = 2.0, 0.05


def relaxed(tail: Tail, instance: TSPInstance, state: TourState, trees: int) -> Tail:
    """Return the tail with what the relaxation of the way from the current city home knows.

    Tokens get the shares of trees with their edges to the origin and to the destination, their
    multiplier in units of the mean edge, and how much longer than the best one both edges are, as
    exp(-difference in mean edges).

    Parameters
    ----------
    tail
        Of the instance and the state, or with the nearest cities only.
    instance, state
        B rows, at most :data:`WIDEST` cities remaining.
    trees
        1-trees to take.
    """
    most = int(state.remaining.sum(dim=1).max())
    order = torch.argsort((~state.remaining).to(torch.int8), dim=1, stable=True)[:, :most]
    present = torch.gather(state.remaining, 1, order)
    nodes = torch.nn.functional.pad(order, (1, 1))
    nodes[:, 0] = state.current
    points = gather(xp, instance.coordinates, nodes).float()
    there = torch.nn.functional.pad(present, (1, 1), value=True)
    shares, multipliers, mean = shares_of_trees(points, there, trees)
    mean = mean.clamp(min=torch.finfo(torch.float32).tiny)[:, None]
    inner = torch.nn.functional.pad(present, (1, 1))
    features = [shares[:, 0], shares[:, -1], (multipliers / mean).clamp(-_LARGEST, _LARGEST)]
    for end in (0, -1):
        away = (points - points[:, [end]]).norm(dim=2) + multipliers
        away = away.masked_fill(~inner, torch.inf)
        least = away.amin(dim=1, keepdim=True).nan_to_num(posinf=0.0)
        features.append(((least - away) / mean).exp())
    # Where the tail's tokens are among these.
    place = torch.zeros_like(state.remaining, dtype=torch.long)
    place = place.scatter(1, order, torch.arange(1, most + 1, device=order.device).expand_as(order))
    at = torch.gather(place, 1, tail.actions[..., 0])
    at[:, 0], at[:, -1] = 0, most + 1
    links = torch.gather(shares, 1, at[:, :, None].expand(-1, -1, most + 2))
    links = torch.gather(links, 2, at[:, None, :].expand(-1, at.shape[1], -1))
    extra = torch.gather(
        torch.stack(features, dim=2), 1, at[:, :, None].expand(-1, -1, NUM_FEATURES)
    )
    if tail.present is not None:
        links = links * tail.present[:, :, None] * tail.present[:, None, :]
    return dataclasses.replace(tail, features=torch.cat([tail.features, extra], dim=2), links=links)


def shares_of_trees(
    points: torch.Tensor, present: torch.Tensor | None, trees: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Relax paths from the first point to the last one through all others.

    Parameters
    ----------
    points, present
        (B, n, 2), and which of the points are there, bool (B, n), ``None``: all.
    trees
        How many 1-trees.

    Returns
    -------
    Share of 1-trees that each edge is in, symmetric (B, n, n); the best multipliers (B, n), 0 at
    both ends, in units of distance; and the mean edge (B,), 0 where no points lie between the ends.
    Single precision, on the device of ``points``.
    """
    spots = points.detach().to("cpu", torch.float32).numpy()
    num, size, _ = spots.shape
    there = np.ones((num, size), np.bool_) if present is None else present.cpu().numpy()
    shares = np.zeros((num, size, size), np.float32)
    multipliers, mean = np.zeros((num, size), np.float32), np.zeros(num, np.float32)
    _relax(spots, there, trees, shares, multipliers, mean)
    return (
        torch.from_numpy(shares).to(points.device),
        torch.from_numpy(multipliers).to(points.device),
        torch.from_numpy(mean).to(points.device),
    )


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
