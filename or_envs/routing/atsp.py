"""Asymmetric travelling salesman problem (ATSP)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from array_api_compat import array_namespace

from or_envs.core.arrays import Array, Arrays, gather
from or_envs.core.options import force
from or_envs.core.random import Generators
from or_envs.routing import generators
from or_envs.routing.modes import Mode, unit_spaces
from or_envs.routing.tour import Tour, TourState


@dataclasses.dataclass(frozen=True)
class ATSPInstance(Arrays):
    """Distances between cities; the tour starts and ends at city 0.

    Attributes
    ----------
    distances
        From row to column, (B, N, N), units of length, >= 0.
    """

    distances: Array


class ATSP(Tour[ATSPInstance]):
    """Visit every city once and return, where the way back may be longer than the way there.

    - Action: Discrete(N), the next city; only remaining cities are allowed. N - 1 steps.
    - Observation, mode "bq": the tail sub-problem only. Dict of float32 "distances" (N, N) between
      remaining cities, "from_origin" (N,) and "to_destination" (N,), all zero elsewhere, and
      "remaining" (N,).
    - Observation, mode "direct": "distances" of all cities, "from_origin", "to_destination",
      "remaining", and "visits" (N,), when a city was visited, as a share of N (0: not yet).
    - Distances in observations are divided by the largest of the instance.
    - Reward: minus the distance travelled; the last step includes the way back. Units of length.
    - End: terminated when every city is visited.
    - ``reset(options=...)``: "distances" (N, N), or (B, N, N) for a batch.
    - A masked action ends the episode; the penalty is the largest distance for every way to go.

    Parameters
    ----------
    num_cities
        N >= 2. Of a file it is read.
    instance
        "tmat": random matrices that obey the triangle inequality (MatNet, arXiv 2106.11113). Any
        other value is the path of a TSPLIB file of type ATSP.
    mode
        "bq" or "direct".

    Raises
    ------
    ValueError
        If an argument is outside its range, or the file is malformed (field and line are named).
    """

    option_keys: ClassVar[tuple[str, ...]] = ("distances",)
    drawing: ClassVar[str | None] = "or_envs.routing.rendering:draw_asymmetric"

    def __init__(self, num_cities: int = 50, instance: str = "tmat", mode: Mode = "bq") -> None:
        self._given: ATSPInstance | None = None
        if instance != "tmat":
            from or_envs.routing.tsplib import read_atsp

            self._given = read_atsp(instance, "'tmat'")
            num_cities = self._given.distances.shape[1]
        self._spaces(num_cities, mode)

        self.observation_space = unit_spaces(
            mode,
            num_cities,
            distances=(num_cities, num_cities),
            from_origin=(num_cities,),
            to_destination=(num_cities,),
            remaining=(num_cities,),
        )

    def sample_instances(self, rngs: Generators) -> ATSPInstance:
        """Draw matrices; see the class."""
        if self._given is not None:
            return self._given.repeat(len(rngs))
        return ATSPInstance(generators.closed_matrices(rngs, self.num_cities))

    def apply_options(
        self, instance: ATSPInstance, exogenous: Arrays | None, options: Mapping[str, Any]
    ) -> tuple[ATSPInstance, Arrays | None]:
        """Force "distances", which must not be negative."""
        if "distances" in options and np.any(np.asarray(options["distances"]) < 0):
            raise ValueError("options: 'distances' must be >= 0")
        return force(instance, options), exogenous

    def observation(self, instance: ATSPInstance, state: TourState) -> dict[str, Array]:
        """Show the tail, or everything; see the class."""
        xp = array_namespace(instance.distances)
        largest = xp.max(instance.distances, axis=(1, 2))
        largest = xp.where(largest > 0, largest, xp.ones_like(largest))
        unit = instance.distances / largest[:, None, None]
        remaining = xp.astype(state.remaining, unit.dtype)
        seen = {
            "distances": unit * remaining[:, :, None] * remaining[:, None, :],
            "from_origin": gather(xp, unit, state.current) * remaining,
            "to_destination": unit[:, :, 0] * remaining,
            "remaining": remaining,
        }
        if self.mode == "direct":
            seen["distances"] = unit
            seen["visits"] = xp.astype(state.visits, unit.dtype) / self.num_cities
        return seen
