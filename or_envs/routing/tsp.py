"""Travelling salesman problem (TSP) in the plane."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from array_api_compat import array_namespace

from or_envs.core.arrays import Array, Arrays, gather
from or_envs.core.options import force
from or_envs.core.random import Generators, rows_of_set
from or_envs.routing import generators, metric
from or_envs.routing.modes import Mode, unit_spaces
from or_envs.routing.tour import Tour, TourState


@dataclasses.dataclass(frozen=True)
class TSPInstance(Arrays):
    """Cities in the plane; the tour starts and ends at city 0.

    Attributes
    ----------
    coordinates
        (B, N, 2), units of length.
    distances
        (B, N, N), units of length, where they are not Euclidean (the rules of TSPLIB round them);
        else (B, 0, 0).
    """

    coordinates: Array
    distances: Array

    @classmethod
    def euclidean(cls, coordinates: Array) -> TSPInstance:
        """Return the instance of cities (B, N, 2) with Euclidean distances."""
        xp = array_namespace(coordinates)
        shape, device = (coordinates.shape[0], 0, 0), coordinates.device
        return cls(coordinates, xp.zeros(shape, dtype=coordinates.dtype, device=device))


class TSP(Tour[TSPInstance]):
    """Visit every city once and return, on a shortest tour.

    - Action: Discrete(N), the next city; only remaining cities are allowed. N - 1 steps.
    - Observation, mode "bq" (arXiv 2301.03313): the tail sub-problem only; how its origin was
      reached is forgotten. Dict of float32 "coordinates" (N, 2), zero where the city is done,
      "remaining" (N,), 1 for cities still to visit, "origin" (2,) and "destination" (2,).
    - Observation, mode "direct": the instance and the partial tour. "coordinates" (N, 2) of all
      cities, "remaining", "origin", "destination", and "visits" (N,), when a city was visited, as a
      share of N (0: not yet).
    - Coordinates in observations are shifted and scaled to the unit square by the instance's larger
      extent, unless they are in it.
    - Reward: minus the distance travelled; the last step includes the way back. Units of length.
    - End: terminated when every city is visited.
    - ``reset(options=...)``: "coordinates" (N, 2), or (B, N, 2) for a batch.
    - A masked action (a visited city) ends the episode; the penalty is the largest distance
      that two cities can have in the instance's bounding box, for every way still to go.

    Parameters
    ----------
    num_cities
        N >= 2. Of a file it is read.
    instance
        "uniform": cities uniform in the unit square. "clustered": around 3 to 8 centres, normal
        with deviation 0.07, in the unit square. "kool": the test set of arXiv 1803.08475; the
        environment with seed s has its row s mod 10,000. Any other value is the path of a TSPLIB
        file of type TSP, with its own rule of distances.
    mode
        "bq" or "direct".

    Raises
    ------
    ValueError
        If an argument is outside its range, or the file is malformed (field and line are named).
    """

    option_keys: ClassVar[tuple[str, ...]] = ("coordinates",)
    drawing: ClassVar[str | None] = "or_envs.routing.rendering:draw"

    def __init__(self, num_cities: int = 50, instance: str = "uniform", mode: Mode = "bq") -> None:
        self._given: TSPInstance | None = None
        if instance not in generators.PLANES:
            from or_envs.routing.tsplib import read_tsp

            self._given = read_tsp(instance, f"one of {', '.join(generators.PLANES)}")
            num_cities = self._given.coordinates.shape[1]
        self._spaces(num_cities, mode)
        self.instance_name = instance

        self.observation_space = unit_spaces(
            mode,
            num_cities,
            coordinates=(num_cities, 2),
            remaining=(num_cities,),
            origin=(2,),
            destination=(2,),
        )

    def sample_instances(self, rngs: Generators) -> TSPInstance:
        """Draw cities; see the class."""
        if self._given is not None:
            return self._given.repeat(len(rngs))
        if self.instance_name == "kool":
            rows = rows_of_set(rngs, generators.KOOL_NUM)
            return TSPInstance.euclidean(generators.kool_tsp(self.num_cities)[rows])
        draw = generators.PLANES[self.instance_name]
        return TSPInstance.euclidean(draw(rngs, self.num_cities))

    def apply_options(
        self, instance: TSPInstance, exogenous: Arrays | None, options: Mapping[str, Any]
    ) -> tuple[TSPInstance, Arrays | None]:
        """Force "coordinates"; distances are Euclidean then."""
        if "coordinates" in options:
            instance = TSPInstance.euclidean(force(instance, options).coordinates)
        return instance, exogenous

    def observation(self, instance: TSPInstance, state: TourState) -> dict[str, Array]:
        """Show the tail, or everything; see the class."""
        coordinates = instance.coordinates
        xp = array_namespace(coordinates)
        low, size = metric.unit_frame(xp, coordinates)
        unit = (coordinates - low) / size[:, None, None]
        remaining = xp.astype(state.remaining, coordinates.dtype)
        seen = {
            "coordinates": unit * remaining[:, :, None],
            "remaining": remaining,
            "origin": gather(xp, unit, state.current),
            "destination": xp.asarray(unit[:, 0, :], copy=True),
        }
        if self.mode == "direct":
            seen["coordinates"] = unit
            seen["visits"] = xp.astype(state.visits, coordinates.dtype) / self.num_cities
        return seen

    def compiled(self) -> TSP:
        """Return the twin with numba kernels; subclasses may change what these restate."""
        if type(self) is not TSP or self.mode == "direct" or self._given is not None:
            return self
        from or_envs.routing.kernels import CompiledTSP

        return CompiledTSP(self)
