"""Instances of the uncapacitated lot-sizing problem: named ones and the law of random ones."""

from __future__ import annotations

import dataclasses

import numpy as np

from or_envs.core.arrays import Array, Arrays
from or_envs.core.random import Generators, uniform

#: Instances shipped with the package, by name.
NAMES = ("wagner-whitin", "tiny")


@dataclasses.dataclass(frozen=True)
class UncapacitatedLotSizingInstance(Arrays):
    """Data of the uncapacitated lot-sizing problem; T periods, all values non-negative.

    Attributes
    ----------
    demand
        Units, (B, T).
    setup_cost
        Money per period with production, (B, T).
    unit_cost
        Money per unit produced, (B, T).
    holding_cost
        Money per unit in stock at the end of the period, (B, T).
    """

    demand: Array
    setup_cost: Array
    unit_cost: Array
    holding_cost: Array


def generate(horizon: int, rngs: Generators) -> UncapacitatedLotSizingInstance:
    """Draw random instances; all draws are independent.

    Demand is U{0..100} and setup cost U{50..250}, whole numbers; unit cost is U[1, 2] and holding
    cost U[0.5, 1.5]. A setup pays for about three periods of holding; where unit costs rise it
    may pay to produce earlier than setups alone would have it.
    """
    draws = uniform(rngs, (4, horizon))
    return UncapacitatedLotSizingInstance(
        demand=np.floor(101 * draws[:, 0]),
        setup_cost=50 + np.floor(201 * draws[:, 1]),
        unit_cost=1 + draws[:, 2],
        holding_cost=0.5 + draws[:, 3],
    )


def load(name: str) -> UncapacitatedLotSizingInstance:
    """Load a named instance, a batch of one.

    "wagner-whitin" is the 12-period instance that goes round as the example of Wagner and Whitin
    (Management Science, 1958), here with holding cost 1 and no unit cost; "tiny" has 3 periods.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    if name == "wagner-whitin":
        demand = [69.0, 29, 36, 61, 61, 26, 34, 67, 45, 67, 79, 56]
        setup_cost = [85.0, 102, 102, 101, 98, 114, 105, 86, 119, 110, 98, 114]
    elif name == "tiny":
        demand, setup_cost = [10.0, 20, 30], [50.0, 50, 50]
    else:
        raise ValueError(f"instance: expected one of {', '.join(NAMES)} or 'random', got {name!r}")
    return UncapacitatedLotSizingInstance(
        demand=np.array([demand]),
        setup_cost=np.array([setup_cost]),
        unit_cost=np.zeros((1, len(demand))),
        holding_cost=np.ones((1, len(demand))),
    )
