"""Instances of the capacitated lot-sizing problem."""

from __future__ import annotations

import dataclasses

import numpy as np

from or_envs.core.arrays import Array, Arrays
from or_envs.core.random import Generators, uniform


@dataclasses.dataclass(frozen=True)
class CapacitatedLotSizingInstance(Arrays):
    """Data of the capacitated lot-sizing problem; n items, T periods, all values non-negative.

    Attributes
    ----------
    demand
        Units, (B, T, n).
    capacity
        Time available in each period, positive, (B, T).
    unit_time
        Time per unit produced, positive, (B, n).
    setup_time, setup_cost
        Time, and money, per period in which the item is produced, (B, n).
    holding_cost, lost_sales_cost
        Money per unit in stock at the end of a period, and per unit of unmet demand, (B, n).
    """

    demand: Array
    capacity: Array
    unit_time: Array
    setup_time: Array
    setup_cost: Array
    holding_cost: Array
    lost_sales_cost: Array


def generate(n_items: int, horizon: int, rngs: Generators) -> CapacitatedLotSizingInstance:
    """Draw random instances; all draws are independent.

    Demand U{0..200}, setup cost U[200, 1000], setup time U[10, 50], holding cost 1, unit time 1,
    lost-sales cost U[20, 40]. The capacity, the same in all periods, is U[0.75, 1.1] times the
    mean load: the time per period of producing every period's demand in that period, setups
    included. Making everything in every period therefore rarely fits; larger lots save setups.
    """
    num = len(rngs)
    demand = np.floor(201 * uniform(rngs, (horizon, n_items)))
    draws = uniform(rngs, (3, n_items))
    factor = 0.75 + 0.35 * uniform(rngs, (1,))
    setup_time = 10 + 40 * draws[:, 1]
    setups = (demand > 0) * setup_time[:, None, :]
    load = (demand + setups).sum(axis=2).mean(axis=1, keepdims=True)
    # Without any demand the load is 0, and a period still has time.
    capacity = np.where(load > 0, factor * load, 1.0)
    return CapacitatedLotSizingInstance(
        demand=demand,
        capacity=np.repeat(capacity, horizon, axis=1),
        unit_time=np.ones((num, n_items)),
        setup_time=setup_time,
        setup_cost=200 + 800 * draws[:, 0],
        holding_cost=np.ones((num, n_items)),
        lost_sales_cost=20 + 20 * draws[:, 2],
    )
