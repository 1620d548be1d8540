"""Base stock with customers who wait: the newsvendor over the lead time and a period."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from baselines.inventory import laws


def normal(
    lead_time: int, holding_cost: float, shortage_cost: float, mean: float, std: float
) -> tuple[float, float]:
    """Optimal level and cost per period for N(mean, std) demand that is not clipped.

    Parameters
    ----------
    lead_time
        Periods L from an order to its arrival; the level covers L + 1 demands.
    holding_cost, shortage_cost
        Per unit and period.

    Returns
    -------
    tuple
        S = (L + 1) mean + z sd sqrt(L + 1) and (h + p) phi(z) sd sqrt(L + 1).
    """
    law = NormalDist()
    z = law.inv_cdf(shortage_cost / (shortage_cost + holding_cost))
    deviation = std * math.sqrt(lead_time + 1)
    level = (lead_time + 1) * mean + z * deviation
    return level, (holding_cost + shortage_cost) * law.pdf(z) * deviation


def exact(
    lead_time: int,
    holding_cost: float,
    shortage_cost: float,
    law: np.ndarray,
    step: float = 1.0,
) -> tuple[float, float]:
    """Optimal level and cost per period for any demand law on a grid.

    Parameters
    ----------
    law
        P(D = k ``step``), k = 0, 1, ...
    step
        Units between grid points; with 1 the level is a whole number.
    """
    total = laws.convolve(law, lead_time + 1)
    level = laws.quantile(total, shortage_cost / (shortage_cost + holding_cost))
    return level * step, cost_of_level(level, holding_cost, shortage_cost, total) * step


def cost_of_level(
    level: int, holding_cost: float, shortage_cost: float, total: np.ndarray
) -> float:
    """Expected cost of a period that ``level`` grid steps face, of demand with law ``total``."""
    left = level - np.arange(len(total))
    per_unit = np.where(left >= 0, holding_cost * left, -shortage_cost * left)
    return float(total @ per_unit)
