"""Decision rules of routing problems."""

from __future__ import annotations

from typing import Any

import numpy as np

from baselines.common.checks import check_problem
from or_envs.core import AnyProblem
from or_envs.routing import metric
from or_envs.routing.cvrp import CVRP, CVRPInstance, CVRPState
from or_envs.routing.orienteering import (
    Orienteering,
    OrienteeringInstance,
    OrienteeringState,
    within,
)
from or_envs.routing.tour import TourState
from or_envs.routing.tree_shares import MOST_TREES, relax
from or_envs.routing.tsp import TSP, TSPInstance


class NearestNeighbour:
    """Travels to the nearest remaining city (TSP, ATSP); the lowest number wins a tie."""

    def __call__(self, instance: Any, state: Any) -> np.ndarray:
        """Return the next cities, (B,)."""
        way = metric.legs_from(np, instance, state.current)
        return np.where(state.remaining, way, np.inf).argmin(axis=1)


class LargestShare:
    """Travels along the edge that most 1-trees of the way home have, or to the best likely city.

    At every step the rest of the tour is relaxed anew, see :mod:`or_envs.routing.tree_shares`. It
    is what an agent that reads these shares knows without having learnt anything.

    Parameters
    ----------
    problem, seed
        A TSP; the seed is not needed.
    trees
        1-trees of a step.
    look_ahead
        1-trees for each of the likely next cities, where there are several: the one that makes the
        relaxation the least longer is taken. 0: the largest share decides, then the shorter edge.

    Raises
    ------
    ValueError
        If the problem is another, or a number of trees is out of range.
    """

    def __init__(self, problem: TSP, seed: int = 0, trees: int = 100, look_ahead: int = 60) -> None:
        check_problem(problem, TSP)
        for name, number, least in (("trees", trees, 1), ("look_ahead", look_ahead, 0)):
            if not least <= number <= MOST_TREES:
                raise ValueError(
                    f"{name}: expected an integer in {least}..{MOST_TREES}, got {number}"
                )
        self.trees = trees
        self.look_ahead = look_ahead

    def __call__(self, instance: TSPInstance, state: TourState) -> np.ndarray:
        """Return the next cities, (B,)."""
        here = np.take_along_axis(instance.coordinates, state.current[:, None, None], axis=1)
        # The way leads from the current city through the remaining ones to city 0.
        cities = instance.coordinates
        points = np.concatenate([here, cities[:, 1:], cities[:, :1]], axis=1)
        present = np.pad(state.remaining[:, 1:], ((0, 0), (1, 1)), constant_values=True)
        found = relax(points, present, self.trees, self.look_ahead)
        share = np.where(state.remaining[:, 1:], found.shares[:, 0, 1:-1], -1.0)
        way = metric.legs_from(np, instance, state.current)[:, 1:]
        # Without looking ahead, all increases are infinite.
        keys = (way, -share, found.increases[:, 1:-1])
        return np.lexsort(keys, axis=1)[:, 0] + 1


class NearestCustomer:
    """Drives to the nearest customer that the load is enough for, else home first.

    Parameters
    ----------
    problem
        A CVRP, in either mode.
    """

    def __init__(self, problem: CVRP) -> None:
        self.direct = problem.mode == "direct"

    def __call__(self, instance: CVRPInstance, state: CVRPState) -> np.ndarray:
        """Return the next actions, (B,)."""
        fits = state.remaining & (instance.demand <= state.load[:, None])
        stays = fits.any(axis=1)
        here = np.where(stays | self.direct, state.current, 0)
        way = metric.legs_from(np, instance, here)
        wanted = np.where(stays[:, None], fits, state.remaining)
        node = np.where(wanted, way, np.inf).argmin(axis=1)
        if self.direct:
            return np.where(stays, node, 0)
        return np.maximum(2 * (node - 1) + ~stays, 0)


class PrizeRatio:
    """Visits the customer of the largest prize per extra length, on the way home (orienteering).

    The extra length is the way there and home less the way home from here.
    """

    def __call__(self, instance: OrienteeringInstance, state: OrienteeringState) -> np.ndarray:
        """Return the next nodes, (B,), or home where no customer is within reach."""
        home = metric.legs_to_start(np, instance)
        there = metric.legs_from(np, instance, state.current)
        allowed = state.remaining & within(np, instance, state.current, state.left)
        extra = there + home - np.take_along_axis(home, state.current[:, None], axis=1)
        ratio = instance.prize / np.maximum(extra, 1e-9)
        return np.where(allowed.any(axis=1), np.where(allowed, ratio, -1.0).argmax(axis=1), 0)


def nearest_neighbour(problem: AnyProblem, seed: int) -> Any:
    """Return the nearest-neighbour rule of TSP, ATSP or CVRP.

    Raises
    ------
    ValueError
        If the problem is another.
    """
    name = type(problem).__name__
    if name not in ("TSP", "ATSP", "CVRP"):
        raise ValueError(f"problem: expected TSP, ATSP or CVRP, got {name}")
    return NearestCustomer(problem) if isinstance(problem, CVRP) else NearestNeighbour()


def prize_ratio(problem: AnyProblem, seed: int) -> PrizeRatio:
    """Return the rule of the largest prize per extra length.

    Raises
    ------
    ValueError
        If the problem is not orienteering.
    """
    check_problem(problem, Orienteering)
    return PrizeRatio()
