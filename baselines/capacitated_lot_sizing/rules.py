"""Lot-sizing rules for each item alone, and the repair that makes them fit the capacity."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from baselines.capacitated_lot_sizing.kernels import fit
from or_envs.capacitated_lot_sizing.instances import CapacitatedLotSizingInstance
from or_envs.capacitated_lot_sizing.problem import CapacitatedLotSizingState, shares
from or_envs.uncapacitated_lot_sizing.periods import from_period

#: ``(demand, setup_cost, holding_cost) -> periods``: how many periods a lot of each item covers,
#: given demand from now on, 0 beyond the end, (B, T, n), and the other two, (B | 1, n).
Cover = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


class LotRule:
    """Produces an item when its stock does not meet the period's demand.

    The rule for one item says how many periods a lot covers. The lots are then made to fit, in
    three steps: every item gets what the period itself needs, most lost sales saved per time first
    (and nothing where the lot is not worth its setup); lots grow to what the rule wants, most
    setup cost per time first; and where the coming periods, produced lot for lot, lack capacity,
    time that is left over goes into larger lots, the earliest demand first.

    Parameters
    ----------
    cover
        Periods that a lot covers.
    """

    def __init__(self, cover: Cover) -> None:
        self.cover = cover

    def __call__(
        self, instance: CapacitatedLotSizingInstance, state: CapacitatedLotSizingState
    ) -> np.ndarray:
        """Return the shares of capacity, (B, n)."""
        demand = from_period(np, instance.demand, state.period)
        lengths = self.cover(demand, instance.setup_cost, instance.holding_cost)
        covered = np.arange(demand.shape[1])[None, :, None] < lengths[:, None, :]
        quantity = np.empty_like(state.inventory)
        fit(
            instance.demand,
            instance.capacity,
            instance.unit_time,
            instance.setup_time,
            instance.setup_cost,
            instance.holding_cost,
            instance.lost_sales_cost,
            state.inventory,
            state.period,
            (demand * covered).sum(axis=1),
            quantity,
        )
        return shares(instance, state.period, quantity, quantity > 0)


def one_period(demand: np.ndarray, setup_cost: np.ndarray, holding_cost: np.ndarray) -> np.ndarray:
    """Lot for lot, (B, n)."""
    return np.ones((len(demand), demand.shape[2]))


def period_order_quantity(
    demand: np.ndarray, setup_cost: np.ndarray, holding_cost: np.ndarray
) -> np.ndarray:
    """The economic order quantity in periods of the mean demand to come, rounded, (B, n)."""
    mean = demand.sum(axis=1) / np.maximum((demand > 0).any(axis=2).sum(axis=1), 1)[:, None]
    with np.errstate(divide="ignore"):
        cycle = np.sqrt(2 * setup_cost / (holding_cost * mean))
    return np.clip(np.rint(cycle), 1, demand.shape[1])


def silver_meal(demand: np.ndarray, setup_cost: np.ndarray, holding_cost: np.ndarray) -> np.ndarray:
    """Lengthen the lot until the mean cost per period rises for the first time, (B, n)."""
    length = np.arange(1, demand.shape[1] + 1)[None, :, None]
    holding = (holding_cost[:, None, :] * demand * (length - 1)).cumsum(axis=1)
    mean = (setup_cost[:, None, :] + holding) / length
    rises = mean[:, 1:] > mean[:, :-1]
    return np.where(rises.any(axis=1), rises.argmax(axis=1) + 1, demand.shape[1])
