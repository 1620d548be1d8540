"""Decision rules for the travelling salesman problem."""

from __future__ import annotations

import numpy as np

from or_envs.core import gather
from or_envs.routing.tour import TourState
from or_envs.routing.tsp import TSPInstance


class NearestNeighbour:
    """Travels to the nearest remaining city; the lowest number wins a tie."""

    def __call__(self, instance: TSPInstance, state: TourState) -> np.ndarray:
        """Return the next cities, (B,)."""
        here = gather(np, instance.coordinates, state.current)
        difference = instance.coordinates - here[:, None, :]
        squared = (difference * difference).sum(axis=2)
        return np.where(state.remaining, squared, np.inf).argmin(axis=1)
