"""Euclidean travelling salesman problem (TSP), in the tail form of BQ-NCO."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from array_api_compat import array_namespace

from or_envs.core.arrays import Array, Arrays, gather
from or_envs.core.problem import Problem
from or_envs.core.random import Generators, uniform


@dataclasses.dataclass(frozen=True)
class TSPInstance(Arrays):
    """Cities in the plane; the tour starts and ends at city 0.

    Attributes
    ----------
    coordinates
        (B, N, 2), units of length.
    """

    coordinates: Array


@dataclasses.dataclass(frozen=True)
class TSPState(Arrays):
    """What is left to do: a path from ``current`` through ``remaining`` to city 0.

    Attributes
    ----------
    current
        City where the salesman is, integers (B,).
    remaining
        Cities still to visit, bool (B, N).
    """

    current: Array
    remaining: Array


class TSP(Problem[TSPInstance, TSPState, Arrays]):
    """Visit every city once and return, on a shortest tour.

    The state is the tail sub-problem (arXiv 2301.03313): the origin, the destination and the
    remaining cities. How the origin was reached is forgotten.

    - Action: Discrete(N), the next city; only remaining cities are allowed. N - 1 steps.
    - Observation: Dict of float32 "coordinates" (N, 2), zero where the city is done, "remaining"
      (N,), 1 for cities still to visit, "origin" (2,) and "destination" (2,). Coordinates are
      shifted and scaled to the unit square by the instance's larger extent.
    - Reward: minus the distance travelled; the last step includes the way back. Units of length.
    - End: terminated when every city is visited.
    - ``reset(options=...)``: "coordinates" (N, 2), or (B, N, 2) for a batch.
    - A masked action (a visited city) ends the episode; the penalty is the largest distance
      that two cities can have in the instance's bounding box, for every way still to go.

    Parameters
    ----------
    num_cities
        N >= 2; cities are uniform in the unit square.

    Raises
    ------
    ValueError
        If ``num_cities`` is not an integer >= 2.
    """

    option_keys: ClassVar[tuple[str, ...]] = ("coordinates",)
    drawing: ClassVar[str | None] = "or_envs.routing.rendering:draw"

    def __init__(self, num_cities: int = 50) -> None:
        if not isinstance(num_cities, int) or num_cities < 2:
            raise ValueError(f"num_cities: expected an integer >= 2, got {num_cities!r}")
        self.num_cities = num_cities
        self.max_steps = num_cities - 1
        self.action_space = gym.spaces.Discrete(num_cities)

        def unit(*shape: int) -> gym.spaces.Box:
            return gym.spaces.Box(0.0, 1.0, shape, np.float32)

        self.observation_space = gym.spaces.Dict(
            {
                "coordinates": unit(num_cities, 2),
                "remaining": unit(num_cities),
                "origin": unit(2),
                "destination": unit(2),
            }
        )

    # ---- data -------------------------------------------------------------------------------

    def sample_instances(self, rngs: Generators) -> TSPInstance:
        """Draw cities uniformly in the unit square."""
        return TSPInstance(uniform(rngs, (self.num_cities, 2)))

    def apply_options(
        self, instance: TSPInstance, exogenous: Arrays | None, options: Mapping[str, Any]
    ) -> tuple[TSPInstance, Arrays | None]:
        """Force "coordinates"."""
        if "coordinates" in options:
            value = np.asarray(options["coordinates"], dtype=np.float64)
            shape = instance.coordinates.shape
            if value.shape not in (shape, shape[1:]):
                raise ValueError(
                    f"options: 'coordinates' must have shape {shape[1:]} or {shape},"
                    f" got {value.shape}"
                )
            if not np.isfinite(value).all():
                raise ValueError("options: 'coordinates' must be finite numbers")
            instance = TSPInstance(np.broadcast_to(value, shape).copy())
        return instance, exogenous

    # ---- dynamics ---------------------------------------------------------------------------

    def initial(self, instance: TSPInstance) -> TSPState:
        """Stand in city 0 with every other city to visit."""
        coordinates = instance.coordinates
        xp = array_namespace(coordinates)
        num, cities = coordinates.shape[:2]
        current = xp.zeros(num, dtype=xp.int64, device=coordinates.device)
        later = xp.arange(cities, device=coordinates.device) > 0
        return TSPState(current, xp.asarray(xp.broadcast_to(later, (num, cities)), copy=True))

    def post_decision(
        self, instance: TSPInstance, state: TSPState, action: Array
    ) -> tuple[TSPState, Array]:
        """Travel to the city ``action``, and home from the last one."""
        coordinates = instance.coordinates
        xp = array_namespace(coordinates)
        cities = xp.arange(coordinates.shape[1], dtype=action.dtype, device=action.device)
        remaining = state.remaining & (cities[None, :] != action[:, None])
        there = gather(xp, coordinates, action)
        length = _distance(xp, gather(xp, coordinates, state.current), there)
        home = _distance(xp, there, coordinates[:, 0, :])
        home = xp.where(xp.any(remaining, axis=1), xp.zeros_like(home), home)
        return TSPState(action, remaining), -(length + home)

    def transition(
        self, instance: TSPInstance, post_state: TSPState, exogenous: Arrays | None
    ) -> tuple[TSPState, Array, Array]:
        """Nothing random happens; the task ends when no city remains."""
        coordinates = instance.coordinates
        xp = array_namespace(coordinates)
        nothing = xp.zeros(
            post_state.current.shape[0], dtype=coordinates.dtype, device=coordinates.device
        )
        return post_state, nothing, ~xp.any(post_state.remaining, axis=1)

    # ---- what the agent sees ----------------------------------------------------------------

    def observation(self, instance: TSPInstance, state: TSPState) -> dict[str, Array]:
        """Show the tail only; see the class."""
        coordinates = instance.coordinates
        xp = array_namespace(coordinates)
        low = xp.min(coordinates, axis=1, keepdims=True)
        extent = xp.max(xp.max(coordinates, axis=1) - low[:, 0, :], axis=1)
        inside = xp.all(xp.all((coordinates >= 0) & (coordinates <= 1), axis=2), axis=1)
        one = xp.ones_like(extent)
        low = xp.where(inside[:, None, None], xp.zeros_like(low), low)
        scale = xp.where(inside | (extent <= 0), one, extent)
        unit = (coordinates - low) / scale[:, None, None]
        remaining = xp.astype(state.remaining, coordinates.dtype)
        return {
            "coordinates": unit * remaining[:, :, None],
            "remaining": remaining,
            "origin": gather(xp, unit, state.current),
            "destination": xp.asarray(unit[:, 0, :], copy=True),
        }

    def action_mask(self, instance: TSPInstance, state: TSPState) -> Array:
        """Remaining cities, (B, N)."""
        return state.remaining

    def worst_completion(self, instance: TSPInstance, state: TSPState) -> Array:
        """Diagonal of the bounding box times the ways still to go."""
        coordinates = instance.coordinates
        xp = array_namespace(coordinates)
        extent = xp.max(coordinates, axis=1) - xp.min(coordinates, axis=1)
        diagonal = xp.sqrt(xp.sum(extent * extent, axis=1))
        ways = xp.sum(xp.astype(state.remaining, coordinates.dtype), axis=1) + 1
        return -diagonal * ways

    def explain_invalid(self, action: np.ndarray) -> str:
        """Name the rule and the city."""
        return f"city {int(action)} is already visited (or is the start, city 0)"

    def compiled(self) -> TSP:
        """Return the twin with numba kernels; subclasses may change what these restate."""
        if type(self) is not TSP:
            return self
        from or_envs.routing.kernels import CompiledTSP

        return CompiledTSP(self)


def _distance(xp: Any, a: Array, b: Array) -> Array:
    """Euclidean distance; its gradient at distance 0 is 0, not NaN."""
    difference = a - b
    squared = xp.sum(difference * difference, axis=1)
    apart = squared > 0
    root = xp.sqrt(xp.where(apart, squared, xp.ones_like(squared)))
    return xp.where(apart, root, xp.zeros_like(root))
