"""How a node that is asked for more than it has shares its stock."""

from __future__ import annotations

import numpy as np

#: Halvings of the bisection for the common fractile.
_HALVINGS = 40


def equal_fractile(
    stock: np.ndarray,
    position: np.ndarray,
    mean: np.ndarray,
    deviation: np.ndarray,
    highest: np.ndarray | float,
) -> np.ndarray:
    """Lift all stores to the same number of deviations above their mean demand.

    It is the myopic allocation of Eppen and Schrage (1981) and Federgruen and Zipkin (Management
    Science 30(1), 1984) for equal costs.

    Parameters
    ----------
    stock
        What there is to share, (B,).
    position
        Inventory positions of the stores, (B, n).
    mean, deviation
        Of demand until the next order could arrive, (n,).
    highest
        Number of deviations that stores are lifted to at most, a number or (B, 1) or (B, n).

    Returns
    -------
    Shares (B, n) >= 0 that sum to ``stock``, or less where all stores reach ``highest``.
    """
    low = np.full((len(stock), 1), -50.0)
    high = np.broadcast_to(np.asarray(highest, dtype=np.float64), low.shape).copy()

    def lifted(z: np.ndarray) -> np.ndarray:
        return np.maximum(mean + z * deviation - position, 0.0)

    fits = lifted(high).sum(axis=1) <= stock
    low = np.where(fits[:, None], high, low)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        inside = (lifted(middle).sum(axis=1) <= stock)[:, None]
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    shares: np.ndarray = lifted(low)
    return shares
