"""Classical lot-sizing rules: how many periods does a lot cover?

They decide when stock is used up and there is demand, and look ahead over known demand. Unit
costs play no role in them.
"""

from __future__ import annotations

import numpy as np

from or_envs.uncapacitated_lot_sizing.instances import UncapacitatedLotSizingInstance
from or_envs.uncapacitated_lot_sizing.periods import at_period, from_period
from or_envs.uncapacitated_lot_sizing.problem import UncapacitatedLotSizingState


def lot_for_lot(
    instance: UncapacitatedLotSizingInstance, state: UncapacitatedLotSizingState
) -> np.ndarray:
    """Produce every period's demand in that period, (B,)."""
    return _when_needed(instance, state, np.ones_like(state.period))


def silver_meal(
    instance: UncapacitatedLotSizingInstance, state: UncapacitatedLotSizingState
) -> np.ndarray:
    """Lengthen the lot until the mean cost per period rises for the first time, (B,).

    The cost of covering k periods is the setup and the holding of their demand.
    """
    setup, holding, inside = _lot(instance, state)
    mean = (setup + holding) / np.arange(1, holding.shape[1] + 1)
    rises = ~inside
    rises[:, 1:] |= mean[:, 1:] > mean[:, :-1]
    rises[:, 0] = False
    length = np.where(rises.any(axis=1), rises.argmax(axis=1), rises.shape[1])
    return _when_needed(instance, state, length)


def part_period_balancing(
    instance: UncapacitatedLotSizingInstance, state: UncapacitatedLotSizingState
) -> np.ndarray:
    """Choose the lot whose holding cost is closest to its setup cost, (B,); of equals the first."""
    setup, holding, inside = _lot(instance, state)
    imbalance = np.where(inside, np.abs(holding - setup), np.inf)
    return _when_needed(instance, state, imbalance.argmin(axis=1) + 1)


def _lot(
    instance: UncapacitatedLotSizingInstance, state: UncapacitatedLotSizingState
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Setup cost (B, 1) of a lot now, and for k = 1..T its holding cost and whether it fits."""
    demand = from_period(np, instance.demand, state.period)
    per_period = from_period(np, instance.holding_cost, state.period)
    kept = np.cumsum(per_period, axis=1) - per_period
    holding = np.cumsum(demand * kept, axis=1)
    setup = at_period(np, instance.setup_cost, state.period)[:, None]
    inside = state.period[:, None] + np.arange(demand.shape[1]) < demand.shape[1]
    return setup, holding, inside


def _when_needed(
    instance: UncapacitatedLotSizingInstance, state: UncapacitatedLotSizingState, length: np.ndarray
) -> np.ndarray:
    """Produce only where stock is used up and there is demand."""
    now = at_period(np, instance.demand, state.period)
    actions: np.ndarray = np.where((state.covered <= state.period) & (now > 0), length, 0)
    return actions
