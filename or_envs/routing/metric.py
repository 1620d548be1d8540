"""Distances of routing instances: Euclidean from coordinates, or a given matrix.

An instance has ``coordinates`` (B, N, 2) and ``distances``: (B, N, N), or (B, 0, 0) where the
distance is Euclidean. Node 0 is the start of a tour, or the depot.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from or_envs.core.arrays import Array, gather


def leg(xp: Any, instance: Any, here: Array, there: Array) -> Array:
    """Distance (B,) from node ``here`` (B,) to node ``there`` (B,)."""
    if instance.distances.shape[1]:
        return gather(xp, gather(xp, instance.distances, here), there)
    start = gather(xp, instance.coordinates, here)
    return _length(xp, gather(xp, instance.coordinates, there) - start)


def leg_and_home(xp: Any, instance: Any, here: Array, there: Array) -> tuple[Array, Array]:
    """Distances (B,) from node ``here`` (B,) to node ``there`` (B,), and from there to node 0."""
    if instance.distances.shape[1]:
        return leg(xp, instance, here, there), leg_to_start(xp, instance, there)
    end = gather(xp, instance.coordinates, there)
    start = gather(xp, instance.coordinates, here)
    return _length(xp, end - start), _length(xp, end - instance.coordinates[:, 0, :])


def leg_to_start(xp: Any, instance: Any, here: Array) -> Array:
    """Distance (B,) from node ``here`` (B,) to node 0."""
    if instance.distances.shape[1]:
        return gather(xp, instance.distances[:, :, 0], here)
    return _length(xp, gather(xp, instance.coordinates, here) - instance.coordinates[:, 0, :])


def legs_from(xp: Any, instance: Any, here: Array) -> Array:
    """Distances (B, N) from node ``here`` (B,) to every node."""
    if instance.distances.shape[1]:
        return gather(xp, instance.distances, here)
    start = gather(xp, instance.coordinates, here)
    return _length(xp, instance.coordinates - start[:, None, :])


def legs_to_start(xp: Any, instance: Any) -> Array:
    """Distances (B, N) from every node to node 0."""
    if instance.distances.shape[1]:
        return instance.distances[:, :, 0]
    return _length(xp, instance.coordinates - instance.coordinates[:, :1, :])


def longest_leg(xp: Any, instance: Any) -> Array:
    """A distance (B,) that no leg exceeds."""
    if instance.distances.shape[1]:
        return xp.max(instance.distances, axis=(1, 2))
    low, high = xp.min(instance.coordinates, axis=1), xp.max(instance.coordinates, axis=1)
    return _length(xp, high - low)


def unit_frame(xp: Any, coordinates: Array) -> tuple[Array, Array]:
    """Lower corner (B, 1, 2) and size (B,) of the square that observations are scaled to.

    That is the unit square for instances inside it; else the larger extent of the instance.
    """
    low = xp.min(coordinates, axis=1, keepdims=True)
    extent = xp.max(xp.max(coordinates, axis=1) - low[:, 0, :], axis=1)
    inside = xp.all(xp.all((coordinates >= 0) & (coordinates <= 1), axis=2), axis=1)
    low = xp.where(inside[:, None, None], xp.zeros_like(low), low)
    size = xp.where(inside | (extent <= 0), xp.ones_like(extent), extent)
    return low, size


def matrix(instance: Any) -> np.ndarray:
    """All distances (N, N) of a batch of one, a numpy array."""
    if instance.distances.shape[1]:
        return np.asarray(instance.distances[0])
    coordinates = np.asarray(instance.coordinates[0])
    return np.asarray(_length(np, coordinates[:, None, :] - coordinates[None, :, :]))


def _length(xp: Any, difference: Array) -> Array:
    """Euclidean length along the last axis; its gradient at 0 is 0, not NaN."""
    # Not by a sum along so short an axis, which numpy is slow at.
    across, along = difference[..., 0], difference[..., 1]
    squared = across * across + along * along
    apart = squared > 0
    root = xp.sqrt(xp.where(apart, squared, xp.ones_like(squared)))
    return xp.where(apart, root, xp.zeros_like(root))
