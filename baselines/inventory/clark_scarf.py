"""Optimal echelon base stock of serial systems (Clark and Scarf, Management Science 6(4), 1960)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from baselines.inventory import laws


@dataclasses.dataclass(frozen=True)
class SerialOptimum:
    """Optimum of a serial system.

    Attributes
    ----------
    cost
        Average cost per period: holding at the end of periods, shortage; nothing in transit.
    levels
        Echelon order-up-to levels, the store's first.
    """

    cost: float
    levels: tuple[float, ...]


def solve(
    lead_times: Sequence[int],
    holding_costs: Sequence[float],
    shortage_cost: float,
    law: np.ndarray,
    step: float = 1.0,
) -> SerialOptimum:
    """Solve the recursion over the stages on a grid.

    With stage 1 the store, local holding costs h_j and D^(k) the demand of k periods::

        G_1(y) = E[h_1 (y - D^(L_1 + 1))^+ + p (D^(L_1 + 1) - y)^+]
        S_j    = argmin_y G_j(y) - h_{j+1} y
        F_j(x) = h_{j+1} x + min_{y <= x} (G_j(y) - h_{j+1} y)
        G_{j+1}(y) = E[F_j(y - D^(L_{j+1}))]

    and the optimum is min G_N. A stage is charged for what it still has after shipping. Textbooks
    charge what is in transit to stage j with h_{j+1} as well, which adds sum_j h_{j+1} L_j E[D].

    Parameters
    ----------
    lead_times, holding_costs
        Of every stage, the store's first; local holding costs.
    shortage_cost
        Per waiting unit and period, at the store.
    law
        P(D = k ``step``), k = 0, 1, ..., of a period.
    step
        Units between grid points.

    Raises
    ------
    ValueError
        If lead times and costs differ in number.
    """
    if len(lead_times) != len(holding_costs) or not lead_times:
        raise ValueError(
            f"lead_times, holding_costs: expected one of each per stage, got {len(lead_times)} and"
            f" {len(holding_costs)}"
        )
    # The grid runs from no stock and a few lead times of waiting customers to what nobody holds.
    top = len(laws.convolve(law, sum(lead_times) + 1))
    bottom = -len(laws.convolve(law, max(lead_times) + 1))
    grid = np.arange(bottom, top + 1)
    total = laws.convolve(law, lead_times[0] + 1)
    cost = _expected_cost(grid, holding_costs[0], shortage_cost, total)
    levels = []
    for stage, upstream in enumerate((*holding_costs[1:], 0.0)):
        own = cost - upstream * grid
        best = int(own.argmin())
        levels.append(float(grid[best] * step))
        if stage == len(lead_times) - 1:
            break
        induced = upstream * grid + np.minimum.accumulate(own)
        cost = _expectation(induced, laws.convolve(law, lead_times[stage + 1]))
    return SerialOptimum(float(cost.min() * step), tuple(levels))


def _expected_cost(
    grid: np.ndarray, holding: float, shortage: float, total: np.ndarray
) -> np.ndarray:
    """G_1 on the grid, from the mean of what is left."""
    mean = float(total @ np.arange(len(total)))
    cumulative = np.concatenate([np.zeros(max(-grid[0], 0)), np.cumsum(total)])
    cumulative = np.concatenate([cumulative, np.ones(len(grid))])[: len(grid)]
    # E(y - D)^+ is the sum of P(D <= k) over k < y.
    left = np.concatenate([[0.0], np.cumsum(cumulative)[:-1]])
    return holding * left + shortage * (mean - grid + left)


def _expectation(values: np.ndarray, law: np.ndarray) -> np.ndarray:
    """E[values(y - D)] on the grid; below it values go on in a straight line."""
    slope = values[1] - values[0]
    below = values[0] - slope * np.arange(len(law) - 1, 0, -1)
    extended = np.concatenate([below, values])
    size = 1 << (len(extended) + len(law) - 2).bit_length()
    product = np.fft.irfft(np.fft.rfft(extended, size) * np.fft.rfft(law, size), size)
    inside: np.ndarray = product[len(law) - 1 : len(law) - 1 + len(values)]
    return inside
