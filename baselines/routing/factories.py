"""Factories ``(problem, seed)`` of the rules that need neither."""

from __future__ import annotations

from baselines.routing.rules import NearestNeighbour
from or_envs.core import AnyProblem


def nearest_neighbour(problem: AnyProblem, seed: int) -> NearestNeighbour:
    """Return the nearest-neighbour rule."""
    return NearestNeighbour()
