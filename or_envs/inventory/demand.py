"""Laws of customer demand; each draws whole traces (B, T, n) from one generator per batch row."""

from __future__ import annotations

import dataclasses
import math
from typing import Protocol

import numpy as np

from or_envs.core.random import Generators, uniform
from or_envs.inventory.network import InventoryInstance

#: Tables of discrete laws leave out a probability of at most this.
_TAIL = 1e-12


class DemandLaw(Protocol):
    """Draws demand; mean and deviation are data of the instance."""

    def sample(self, instance: InventoryInstance, rngs: Generators, horizon: int) -> np.ndarray:
        """Draw demand of all periods, (B, T, n); row b from ``rngs[b]`` only."""


def _tabulated(
    probabilities: np.ndarray, rngs: Generators, horizon: int, num_stores: int
) -> np.ndarray:
    """Values 0..K with the probabilities (1|B, n, K + 1), by inversion."""
    from or_envs.core.sampling import invert

    return invert(uniform(rngs, (horizon, num_stores)), np.cumsum(probabilities, axis=-1))


@dataclasses.dataclass(frozen=True)
class Poisson:
    """Independent Poisson demand with mean ``demand_mean``."""

    def sample(self, instance: InventoryInstance, rngs: Generators, horizon: int) -> np.ndarray:
        """Draw demand of all periods, (B, T, n)."""
        mean = instance.demand_mean
        return _tabulated(poisson_probabilities(mean), rngs, horizon, mean.shape[1])


@dataclasses.dataclass(frozen=True)
class Geometric:
    """Independent demand with P(D = k) = (1 - r) r^k, r = m / (m + 1), m = ``demand_mean``."""

    def sample(self, instance: InventoryInstance, rngs: Generators, horizon: int) -> np.ndarray:
        """Draw demand of all periods, (B, T, n)."""
        mean = instance.demand_mean
        ratio = mean / (mean + 1)
        # Inversion in closed form: no table has to be cut off.
        draws = uniform(rngs, (horizon, mean.shape[1]))
        return np.floor(np.log1p(-draws) / np.log(ratio)[:, None, :])


@dataclasses.dataclass(frozen=True)
class UniformInteger:
    """Independent demand, uniform on the integers ``low``..``high``."""

    low: int
    high: int

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high:
            raise ValueError(f"low, high: expected 0 <= low <= high, got {self.low}, {self.high}")

    def sample(self, instance: InventoryInstance, rngs: Generators, horizon: int) -> np.ndarray:
        """Draw demand of all periods, (B, T, n)."""
        draws = uniform(rngs, (horizon, instance.demand_mean.shape[1]))
        return np.floor(self.low + draws * (self.high - self.low + 1))


@dataclasses.dataclass(frozen=True)
class Normal:
    """Normal demand, equally correlated between stores, independent over time.

    Parameters
    ----------
    correlation
        Correlation of any two stores in a period, in [0, 1].
    clip
        Whether negative demand becomes 0; mean and deviation are those before.
    whole
        Whether demand is rounded to whole units.
    """

    correlation: float = 0.0
    clip: bool = True
    whole: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.correlation <= 1:
            raise ValueError(f"correlation: expected a number in [0, 1], got {self.correlation!r}")

    def sample(self, instance: InventoryInstance, rngs: Generators, horizon: int) -> np.ndarray:
        """Draw demand of all periods, (B, T, n)."""
        n = instance.demand_mean.shape[1]
        draws = np.empty((len(rngs), horizon, n + 1))
        for row, rng in zip(draws, rngs, strict=True):
            rng.standard_normal(out=row)
        # A factor common to all stores has the correlation's share of the variance.
        common, own = math.sqrt(self.correlation), math.sqrt(1 - self.correlation)
        noise = common * draws[:, :, :1] + own * draws[:, :, 1:]
        demand = instance.demand_mean[:, None, :] + instance.demand_std[:, None, :] * noise
        if self.whole:
            demand = np.round(demand)
        return np.maximum(demand, 0.0) if self.clip else demand


@dataclasses.dataclass(frozen=True)
class Step:
    """Known demand: ``before`` in the first ``periods`` periods, ``after`` from then on."""

    before: float
    after: float
    periods: int

    def sample(self, instance: InventoryInstance, rngs: Generators, horizon: int) -> np.ndarray:
        """Demand of all periods, (B, T, n)."""
        path = np.where(np.arange(horizon) < self.periods, self.before, self.after)
        shape = (len(rngs), horizon, instance.demand_mean.shape[1])
        return np.broadcast_to(path[:, None], shape).copy()


def poisson_probabilities(mean: np.ndarray) -> np.ndarray:
    """P(D = k) of Poisson demand for k = 0..K, (..., K + 1), K common to all means (...)."""
    largest = float(np.max(mean))
    top = int(largest + 12 * math.sqrt(largest) + 20)
    k = np.arange(top + 1)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(k[1:]))])
    logs = k * np.log(np.maximum(mean, 1e-300))[..., None] - mean[..., None] - log_factorial
    probabilities = np.exp(logs)
    while top > 1 and probabilities[..., top].max() < _TAIL:
        top -= 1
    return probabilities[..., : top + 1]
