"""Random instances of the routing literature, and its common test sets."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import numpy as np

from or_envs.core.random import Generators, uniform

#: Seed and number of instances of the test sets of arXiv 1803.08475 (attention-learn-to-route).
KOOL_SEED, KOOL_NUM = 1234, 10_000
#: Vehicle capacity by number of customers; the largest entry up to a size holds for it. Columns as
#: in the test sets up to 100 and in BQ-NCO, LEHD and GOAL beyond (others differ).
CAPACITY = {1: 20, 10: 20, 20: 30, 50: 40, 100: 50, 200: 80, 500: 100, 1000: 250}
#: Budget of orienteering by number of customers, about half a tour (arXiv 1803.08475).
BUDGET = {1: 2.0, 20: 2.0, 50: 3.0, 100: 4.0}

#: Deviation of cities around their centre in "clustered".
_DEVIATION = 0.07


def at_most(table: Mapping[int, float], size: int) -> float:
    """Value of the largest key of ``table`` that is not above ``size``."""
    return table[max(key for key in table if key <= size)]


def clustered(rngs: Generators, num_nodes: int) -> np.ndarray:
    """Nodes around 3 to 8 centres, (B, N, 2), reflected into the unit square [our choice]."""
    nodes = np.empty((len(rngs), num_nodes, 2))
    for row, rng in zip(nodes, rngs, strict=True):
        centres = rng.random((int(rng.integers(3, 9)), 2))
        of = rng.integers(0, len(centres), num_nodes)
        row[:] = centres[of] + _DEVIATION * rng.standard_normal((num_nodes, 2))
    folded = np.abs(nodes)
    return 1.0 - np.abs(1.0 - np.minimum(folded, 2.0))


def _uniform(rngs: Generators, num_nodes: int) -> np.ndarray:
    return uniform(rngs, (num_nodes, 2))


#: Name of a distribution of nodes -> (generators, N) -> (B, N, 2).
PLANES: dict[str, Callable[[Generators, int], np.ndarray]] = {
    "uniform": _uniform,
    "clustered": clustered,
    "kool": _uniform,
}


@functools.lru_cache(maxsize=4)
def kool_tsp(num_cities: int, num: int = KOOL_NUM, seed: int = KOOL_SEED) -> np.ndarray:
    """Cities (num, N, 2) of the test set of arXiv 1803.08475."""
    return np.random.RandomState(seed).uniform(size=(num, num_cities, 2))


@functools.lru_cache(maxsize=4)
def kool_cvrp(
    num_customers: int, num: int = KOOL_NUM, seed: int = KOOL_SEED
) -> tuple[np.ndarray, np.ndarray]:
    """Nodes (num, N + 1, 2), the depot first, and demands 1..9 (num, N) of the same source."""
    rng = np.random.RandomState(seed)
    depot = rng.uniform(size=(num, 1, 2))
    customers = rng.uniform(size=(num, num_customers, 2))
    demand = rng.randint(1, 10, size=(num, num_customers))
    return np.concatenate([depot, customers], axis=1), demand


@functools.lru_cache(maxsize=4)
def kool_orienteering(
    num_customers: int, prizes: str, num: int = KOOL_NUM, seed: int = KOOL_SEED
) -> tuple[np.ndarray, np.ndarray]:
    """Nodes (num, N + 1, 2), the depot first, and prizes (num, N) of the same source."""
    rng = np.random.RandomState(seed)
    depot = rng.uniform(size=(num, 1, 2))
    customers = rng.uniform(size=(num, num_customers, 2))
    nodes = np.concatenate([depot, customers], axis=1)
    if prizes == "uniform":
        return nodes, (1 + rng.randint(0, 100, size=(num, num_customers))) / 100.0
    return nodes, prizes_of(nodes, prizes)


def prizes_of(nodes: np.ndarray, prizes: str) -> np.ndarray:
    """Prizes (B, N) that are not random: 1, or growing with the distance to the depot.

    The latter are (1 + floor(99 d / max d)) / 100 (Fischetti et al. 1998, generation 3).
    """
    if prizes == "constant":
        return np.ones((len(nodes), nodes.shape[1] - 1))
    away = np.sqrt(((nodes[:, 1:] - nodes[:, :1]) ** 2).sum(axis=2))
    farthest = np.maximum(away.max(axis=1, keepdims=True), np.finfo(float).tiny)
    return (1 + np.floor(99 * away / farthest)) / 100.0


def closed_matrices(rngs: Generators, num_cities: int) -> np.ndarray:
    """Asymmetric distances (B, N, N) of the class "tmat" (MatNet, arXiv 2106.11113).

    Whole numbers uniform on 0..10^6 - 1, closed under the triangle inequality by the
    Floyd-Warshall algorithm, divided by 10^6.
    """
    numbers = np.stack([rng.integers(0, 10**6, (num_cities, num_cities)) for rng in rngs])
    diagonal = np.arange(num_cities)
    numbers[:, diagonal, diagonal] = 0
    for k in range(num_cities):
        np.minimum(numbers, numbers[:, :, k, None] + numbers[:, None, k, :], out=numbers)
    return numbers / 10**6
