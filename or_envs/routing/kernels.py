"""Numba kernels of the TSP, behind the same function names.

They state the equations of :mod:`or_envs.routing.tsp` a second time, for speed only;
``check_problem`` compares the two on random episodes.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

from or_envs.core.arrays import Array, Arrays
from or_envs.routing.tsp import TSP, TSPInstance, TSPState


class CompiledTSP(TSP):
    """A TSP on compiled numpy kernels (float64 arrays)."""

    def __init__(self, problem: TSP) -> None:
        self.__dict__.update(problem.__dict__)

    def post_decision(
        self, instance: TSPInstance, state: TSPState, action: Array
    ) -> tuple[TSPState, Array]:
        """Compiled form of :meth:`TSP.post_decision`."""
        remaining, reward = _travel(instance.coordinates, state.current, state.remaining, action)
        return TSPState(action, remaining), reward

    def transition(
        self, instance: TSPInstance, post_state: TSPState, exogenous: Arrays | None
    ) -> tuple[TSPState, Array, Array]:
        """Compiled form of :meth:`TSP.transition`."""
        nothing = np.zeros(len(post_state.current))
        return post_state, nothing, ~post_state.remaining.any(axis=1)

    def observation(self, instance: TSPInstance, state: TSPState) -> dict[str, Any]:
        """Compiled form of :meth:`TSP.observation`."""
        coordinates, remaining, origin, destination = _tail(
            instance.coordinates, state.current, state.remaining
        )
        return {
            "coordinates": coordinates,
            "remaining": remaining,
            "origin": origin,
            "destination": destination,
        }


@numba.njit(cache=True, error_model="numpy")
def _travel(coordinates, current, remaining, action):
    after = remaining.copy()
    rows, cities = remaining.shape
    reward = np.empty(rows)
    for b in range(rows):
        here, there = current[b], action[b]
        after[b, there] = False
        length = math.sqrt(
            (coordinates[b, here, 0] - coordinates[b, there, 0]) ** 2
            + (coordinates[b, here, 1] - coordinates[b, there, 1]) ** 2
        )
        last = True
        for city in range(cities):
            if after[b, city]:
                last = False
                break
        if last:
            length += math.sqrt(
                (coordinates[b, there, 0] - coordinates[b, 0, 0]) ** 2
                + (coordinates[b, there, 1] - coordinates[b, 0, 1]) ** 2
            )
        reward[b] = -length
    return after, reward


@numba.njit(cache=True, error_model="numpy")
def _tail(coordinates, current, remaining):
    rows, cities = remaining.shape
    seen = np.zeros((rows, cities, 2), np.float32)
    left = np.zeros((rows, cities), np.float32)
    origin = np.empty((rows, 2), np.float32)
    destination = np.empty((rows, 2), np.float32)
    low = np.empty(2)
    high = np.empty(2)
    for b in range(rows):
        for axis in range(2):
            low[axis] = np.inf
            high[axis] = -np.inf
            for city in range(cities):
                low[axis] = min(low[axis], coordinates[b, city, axis])
                high[axis] = max(high[axis], coordinates[b, city, axis])
        scale = max(high[0] - low[0], high[1] - low[1])
        if min(low[0], low[1]) >= 0.0 and max(high[0], high[1]) <= 1.0:
            low[:] = 0.0
            scale = 1.0
        elif scale <= 0.0:
            scale = 1.0
        for axis in range(2):
            for city in range(cities):
                if remaining[b, city]:
                    left[b, city] = 1.0
                    seen[b, city, axis] = (coordinates[b, city, axis] - low[axis]) / scale
            origin[b, axis] = (coordinates[b, current[b], axis] - low[axis]) / scale
            destination[b, axis] = (coordinates[b, 0, axis] - low[axis]) / scale
    return seen, left, origin, destination
