"""Lower bounds on the cost of any policy of networks without a known optimum."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from baselines.inventory import laws
from baselines.inventory.newsvendor import exact


def transshipment(
    std: np.ndarray,
    correlation: float,
    holding_cost: float,
    shortage_cost: float,
    hub_lead_time: int,
    store_lead_time: int,
) -> float:
    """Bound per store and period of a hub that keeps nothing and n stores of equal costs.

    Were allocations allowed to be negative, stock could be balanced perfectly between the stores,
    and the system would be one newsvendor (Federgruen and Zipkin, Management Science 30(1), 1984).

    Parameters
    ----------
    std
        Standard deviations of the stores' normal demand, (n,).
    correlation
        Of any two stores.
    """
    common = float(np.sum(std)) ** 2
    independent = float(np.sum(std**2))
    while_at_hub = correlation * common + (1 - correlation) * independent
    variance = (store_lead_time + 1) * common + hub_lead_time * while_at_hub
    law = NormalDist()
    density = law.pdf(law.inv_cdf(shortage_cost / (shortage_cost + holding_cost)))
    return (holding_cost + shortage_cost) * density * math.sqrt(variance) / len(std)


def full_warehouse(
    mean: np.ndarray,
    std: np.ndarray,
    holding_cost: np.ndarray,
    shortage_cost: np.ndarray,
    purchase_cost: np.ndarray,
) -> float:
    """Floor per store and period of stores with lost sales behind warehouses: loose, but valid.

    A store that could choose its stock y freely at the start of every period, from a warehouse that
    is always full, would pay at least min_y E[h (y - D)^+ + p (D - y)^+], plus the purchase of what
    it sells.

    Parameters
    ----------
    mean, std, holding_cost, shortage_cost, purchase_cost
        Of the stores, (n,); demand max(0, N(mean, std)). ``purchase_cost`` is the cheapest way to
        get a unit there; customers are not served where it exceeds the shortage cost.
    """
    floors = []
    for m, s, h, p, c in zip(mean, std, holding_cost, shortage_cost, purchase_cost, strict=True):
        step = float(s) / 200
        law = laws.clipped_normal(float(m), float(s), step)
        demand = float(law @ np.arange(len(law))) * step
        # Selling a unit costs c instead of p: only the difference can be saved.
        gain = max(float(p) - float(c), 0.0)
        floors.append(exact(0, float(h), gain, law, step)[1] + min(float(c), float(p)) * demand)
    return float(np.mean(floors))
