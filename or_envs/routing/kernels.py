"""Numba kernels of TSP and CVRP in mode "bq", behind the same function names.

They state the equations of :mod:`or_envs.routing.tsp` and :mod:`or_envs.routing.cvrp` a second
time, for speed only; ``check_problem`` compares the two on random episodes.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

from or_envs.core.arrays import Array, Arrays
from or_envs.routing.cvrp import CVRP, CVRPInstance, CVRPState
from or_envs.routing.tour import TourState
from or_envs.routing.tsp import TSP, TSPInstance


class CompiledTSP(TSP):
    """A TSP on compiled numpy kernels (float64 arrays)."""

    def __init__(self, problem: TSP) -> None:
        self.__dict__.update(problem.__dict__)

    def post_decision(
        self, instance: TSPInstance, state: TourState, action: Array
    ) -> tuple[TourState, Array]:
        """Compiled form of :meth:`TSP.post_decision`."""
        remaining, left, reward = _travel(
            instance.coordinates, state.current, state.remaining, state.left, action
        )
        return TourState(action, remaining, state.visits, left), reward

    def transition(
        self, instance: TSPInstance, post_state: TourState, exogenous: Arrays | None
    ) -> tuple[TourState, Array, Array]:
        """Compiled form of :meth:`TSP.transition`."""
        return post_state, np.zeros(len(post_state.current)), post_state.left == 0

    def observation(self, instance: TSPInstance, state: TourState) -> dict[str, Any]:
        """Compiled form of :meth:`TSP.observation`."""
        coordinates, remaining, origin, destination = _tail(
            instance.coordinates, state.current, state.remaining, 0
        )
        return {
            "coordinates": coordinates,
            "remaining": remaining,
            "origin": origin,
            "destination": destination,
        }


class CompiledCVRP(CVRP):
    """A CVRP on compiled numpy kernels (float64 arrays)."""

    def __init__(self, problem: CVRP) -> None:
        self.__dict__.update(problem.__dict__)

    def post_decision(
        self, instance: CVRPInstance, state: CVRPState, action: Array
    ) -> tuple[CVRPState, Array]:
        """Compiled form of :meth:`CVRP.post_decision`."""
        current, remaining, load, reward = _drive(
            instance.coordinates,
            instance.demand,
            instance.capacity,
            state.current,
            state.remaining,
            state.load,
            action,
        )
        return CVRPState(current, remaining, load, state.visits), reward

    def transition(
        self, instance: CVRPInstance, post_state: CVRPState, exogenous: Arrays | None
    ) -> tuple[CVRPState, Array, Array]:
        """Compiled form of :meth:`CVRP.transition`."""
        return post_state, np.zeros(len(post_state.current)), none_left(post_state.remaining)

    def action_mask(self, instance: CVRPInstance, state: CVRPState) -> Array:
        """Compiled form of :meth:`CVRP.action_mask`."""
        return _moves(instance.demand, state.current, state.remaining, state.load)

    def observation(self, instance: CVRPInstance, state: CVRPState) -> dict[str, Any]:
        """Compiled form of :meth:`CVRP.observation`."""
        coordinates, remaining, origin, depot = _tail(
            instance.coordinates, state.current, state.remaining, 1
        )
        demand, load = _shares(instance.demand, instance.capacity, state.remaining, state.load)
        return {
            "coordinates": coordinates,
            "demand": demand,
            "remaining": remaining,
            "origin": origin,
            "depot": depot,
            "load": load,
        }


@numba.njit(cache=True)
def none_left(remaining):
    """Whether a row of ``remaining`` (B, N) has no true entry, bool (B,)."""
    over = np.empty(len(remaining), np.bool_)
    for b in range(len(remaining)):
        over[b] = True
        for node in range(remaining.shape[1]):
            if remaining[b, node]:
                over[b] = False
                break
    return over


@numba.njit(cache=True, error_model="numpy", inline="always")
def _way(coordinates, b, here, there):
    return math.sqrt(
        (coordinates[b, here, 0] - coordinates[b, there, 0]) ** 2
        + (coordinates[b, here, 1] - coordinates[b, there, 1]) ** 2
    )


@numba.njit(cache=True, error_model="numpy")
def _travel(coordinates, current, remaining, left, action):
    after = remaining.copy()
    rows = len(left)
    fewer = np.empty(rows, np.int64)
    reward = np.empty(rows)
    for b in range(rows):
        here, there = current[b], action[b]
        fewer[b] = left[b] - remaining[b, there]
        after[b, there] = False
        length = _way(coordinates, b, here, there)
        if fewer[b] == 0:
            length += _way(coordinates, b, there, 0)
        reward[b] = -length
    return after, fewer, reward


@numba.njit(cache=True, error_model="numpy")
def _drive(coordinates, demand, capacity, current, remaining, load, action):
    rows, nodes = remaining.shape
    node = np.empty(rows, np.int64)
    after = np.empty((rows, nodes), np.bool_)
    units = np.empty(rows)
    reward = np.empty(rows)
    for b in range(rows):
        there, filled = action[b] // 2 + 1, action[b] % 2 == 1
        last = True
        for k in range(nodes):
            after[b, k] = remaining[b, k]
        after[b, there] = False
        for k in range(nodes):
            if after[b, k]:
                last = False
                break
        if filled:
            length = _way(coordinates, b, current[b], 0) + _way(coordinates, b, 0, there)
            units[b] = capacity[b] - demand[b, there]
        else:
            length = _way(coordinates, b, current[b], there)
            units[b] = load[b] - demand[b, there]
        if last:
            length += _way(coordinates, b, there, 0)
        node[b] = there
        reward[b] = -length
    return node, after, units, reward


@numba.njit(cache=True)
def _moves(demand, current, remaining, load):
    rows, nodes = remaining.shape
    mask = np.empty((rows, 2 * (nodes - 1)), np.bool_)
    for b in range(rows):
        away = current[b] != 0
        for c in range(nodes - 1):
            left = remaining[b, c + 1]
            mask[b, 2 * c] = left and demand[b, c + 1] <= load[b]
            mask[b, 2 * c + 1] = left and away
    return mask


@numba.njit(cache=True, error_model="numpy")
def _shares(demand, capacity, remaining, load):
    rows, nodes = remaining.shape
    share = np.zeros((rows, nodes - 1), np.float32)
    left = np.empty((rows, 1), np.float32)
    for b in range(rows):
        left[b, 0] = load[b] / capacity[b]
        for c in range(nodes - 1):
            if remaining[b, c + 1]:
                share[b, c] = demand[b, c + 1] / capacity[b]
    return share, left


@numba.njit(cache=True, error_model="numpy")
def _tail(coordinates, current, remaining, first):
    """Observation of the nodes from ``first`` on; node 0 is the destination."""
    rows, nodes = remaining.shape
    seen = np.zeros((rows, nodes - first, 2), np.float32)
    left = np.zeros((rows, nodes - first), np.float32)
    origin = np.empty((rows, 2), np.float32)
    destination = np.empty((rows, 2), np.float32)
    low = np.empty(2)
    high = np.empty(2)
    for b in range(rows):
        for axis in range(2):
            low[axis] = np.inf
            high[axis] = -np.inf
            for node in range(nodes):
                low[axis] = min(low[axis], coordinates[b, node, axis])
                high[axis] = max(high[axis], coordinates[b, node, axis])
        scale = max(high[0] - low[0], high[1] - low[1])
        if min(low[0], low[1]) >= 0.0 and max(high[0], high[1]) <= 1.0:
            low[:] = 0.0
            scale = 1.0
        elif scale <= 0.0:
            scale = 1.0
        for axis in range(2):
            for node in range(first, nodes):
                if remaining[b, node]:
                    left[b, node - first] = 1.0
                    place = (coordinates[b, node, axis] - low[axis]) / scale
                    seen[b, node - first, axis] = place
            origin[b, axis] = (coordinates[b, current[b], axis] - low[axis]) / scale
            destination[b, axis] = (coordinates[b, 0, axis] - low[axis]) / scale
    return seen, left, origin, destination
