"""Random knapsack instances of the literature."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from or_envs.core.random import Generators

#: Range R of Pisinger's classes (Computers & Operations Research 32, 2005).
RANGE = 1000
#: BQ-NCO's items are whole numbers below this, and its knapsack holds that much.
BQ_LARGEST, BQ_CAPACITY = 998, 25_000.0

#: generator, N -> values (N,), weights (N,)
Family = Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]


def _weights(rng: np.random.Generator, num: int) -> np.ndarray:
    return rng.integers(1, RANGE + 1, num)


def _uniform(rng: np.random.Generator, num: int) -> tuple[np.ndarray, np.ndarray]:
    # 1 - [0, 1) is (0, 1]: no item is free.
    weight = 1.0 - rng.random(num)
    return 1.0 - rng.random(num), weight


def _integers(rng: np.random.Generator, num: int) -> tuple[np.ndarray, np.ndarray]:
    weight = rng.integers(1, BQ_LARGEST + 1, num)
    return rng.integers(1, BQ_LARGEST + 1, num), weight


def _uncorrelated(rng: np.random.Generator, num: int) -> tuple[np.ndarray, np.ndarray]:
    weight = _weights(rng, num)
    return _weights(rng, num), weight


def _weakly(rng: np.random.Generator, num: int) -> tuple[np.ndarray, np.ndarray]:
    weight = _weights(rng, num)
    value = weight + rng.integers(-RANGE // 10, RANGE // 10 + 1, num)
    return np.maximum(value, 1), weight


def _strongly(rng: np.random.Generator, num: int) -> tuple[np.ndarray, np.ndarray]:
    weight = _weights(rng, num)
    return weight + RANGE // 10, weight


def _inverse(rng: np.random.Generator, num: int) -> tuple[np.ndarray, np.ndarray]:
    value = _weights(rng, num)
    return value, value + RANGE // 10


def _almost(rng: np.random.Generator, num: int) -> tuple[np.ndarray, np.ndarray]:
    weight = _weights(rng, num)
    noise = rng.integers(-RANGE // 500, RANGE // 500 + 1, num)
    return weight + RANGE // 10 + noise, weight


def _subset_sum(rng: np.random.Generator, num: int) -> tuple[np.ndarray, np.ndarray]:
    weight = _weights(rng, num)
    return weight, weight


FAMILIES: dict[str, Family] = {
    "uniform": _uniform,
    "integers": _integers,
    "uncorrelated": _uncorrelated,
    "weakly_correlated": _weakly,
    "strongly_correlated": _strongly,
    "inverse_strongly_correlated": _inverse,
    "almost_strongly_correlated": _almost,
    "subset_sum": _subset_sum,
}


def draw(
    family: str, rngs: Generators, num_items: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values (B, N), weights (B, N) and capacities (B,); weights are drawn before values."""
    items = [FAMILIES[family](rng, num_items) for rng in rngs]
    value = np.array([pair[0] for pair in items], dtype=np.float64)
    weight = np.array([pair[1] for pair in items], dtype=np.float64)
    if family == "uniform":
        capacity = np.full(len(rngs), 12.5 if num_items < 100 else 25.0)
    elif family == "integers":
        capacity = np.full(len(rngs), BQ_CAPACITY)
    else:
        share = np.array([int(rng.integers(1, 101)) for rng in rngs]) / 101
        # At least one item fits.
        capacity = np.maximum(np.floor(share * weight.sum(axis=1)), weight.min(axis=1))
    return value, weight, capacity
