"""Demand laws as probability vectors, and their convolutions."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from or_envs.inventory import demand
from or_envs.inventory.problem import InventoryNetwork

#: Tails with less probability than this are cut off.
_TAIL = 1e-13


def poisson(mean: float) -> np.ndarray:
    """P(D = k), k = 0, 1, ..., of a Poisson law."""
    return _normalised(demand.poisson_probabilities(np.array(mean)))


def geometric(mean: float) -> np.ndarray:
    """P(D = k) = (1 - r) r^k with r = mean / (mean + 1)."""
    ratio = mean / (mean + 1)
    k = np.arange(math.ceil(math.log(_TAIL) / math.log(ratio)))
    return _normalised((1 - ratio) * ratio**k)


def uniform(low: int, high: int) -> np.ndarray:
    """Uniform on the integers ``low``..``high``, as P(D = k), k = 0..``high``."""
    k = np.arange(high + 1)
    return _normalised((k >= low).astype(float))


def clipped_normal(mean: float, std: float, step: float) -> np.ndarray:
    """max(0, N(mean, std)) on the grid 0, ``step``, 2 ``step``, ...: mass of the cells around."""
    law = NormalDist(mean, std)
    top = math.ceil((mean + 8 * std) / step)
    edges = (np.arange(top + 1) + 0.5) * step
    cumulative = np.array([law.cdf(edge) for edge in edges])
    return _normalised(np.diff(np.concatenate([[0.0], cumulative])))


def of_store(problem: InventoryNetwork, store: int = 0) -> np.ndarray:
    """P(D = k) of a store of a problem with whole demand.

    Raises
    ------
    ValueError
        If the problem's demand is not whole, independent and the same in every period.
    """
    law = problem.setting.demand
    mean = float(problem.setting.data.demand_mean[0, store])
    if isinstance(law, demand.Poisson):
        return poisson(mean)
    if isinstance(law, demand.Geometric):
        return geometric(mean)
    if isinstance(law, demand.UniformInteger):
        return uniform(law.low, law.high)
    raise ValueError(f"problem: expected whole, independent demand, got {law}")


def convolve(law: np.ndarray, times: int) -> np.ndarray:
    """Law of the sum of ``times`` independent demands (0: the sum is 0)."""
    total = np.ones(1)
    for _ in range(times):
        total = _fft_convolve(total, law)
        keep = np.flatnonzero(total > _TAIL)[-1] + 1
        total = total[:keep]
    return _normalised(total)


def quantile(law: np.ndarray, probability: float) -> int:
    """Smallest k with P(D <= k) >= ``probability``."""
    return int(np.searchsorted(np.cumsum(law), probability - 1e-12))


def _fft_convolve(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    size = len(a) + len(b) - 1
    if min(len(a), len(b)) < 64:
        return np.convolve(a, b)
    padded = 1 << (size - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(a, padded) * np.fft.rfft(b, padded), padded)
    return np.maximum(product[:size], 0.0)


def _normalised(law: np.ndarray) -> np.ndarray:
    total: np.ndarray = law / law.sum()
    return total
