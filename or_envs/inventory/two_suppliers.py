"""One store with two equal suppliers that charge for every order: order from one, or not at all."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from array_api_compat import array_namespace

from or_envs.core.arrays import Array
from or_envs.inventory.demand import Poisson
from or_envs.inventory.names import number, parse, whole
from or_envs.inventory.network import OUTSIDE, InventoryInstance, Network, make_instance
from or_envs.inventory.problem import InventoryNetwork, Setting

#: Mean of the Poisson demand of a period.
MEAN = 5.0
#: Suppliers ship nothing where less than this is asked for.
LEAST_ORDER = 1.0


class TwoSuppliers(InventoryNetwork):
    """Poisson(5) demand, customers wait, and every order has a fixed cost.

    Both suppliers are alike, so at a low stock ordering from either is optimal and ordering half
    from each pays twice: a test bed for policies with several modes. An optimum is the (s, S)
    policy with one of the suppliers. Holding costs 1; orders of less than a unit are not shipped
    and cost nothing.

    Parameters
    ----------
    instance
        "L0-p9-K32": lead time L, shortage cost p, fixed cost K.
    horizon, warm_up
        See :class:`or_envs.inventory.problem.InventoryNetwork`.
    normalized
        Whether orders, 0 to 6 mean demands and L more, are scaled to [-1, 1].

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """

    instance_names: ClassVar[tuple[str, ...]] = ("L0-p9-K32",)

    def __init__(
        self,
        instance: str = "L0-p9-K32",
        horizon: int = 52,
        warm_up: int = 0,
        normalized: bool = True,
    ) -> None:
        found = parse(instance, (), {"L": None, "p": None, "K": None})
        lead_time = whole(found, "L", 0, 100)
        network = Network(
            nodes=("store",), num_stores=1, edges=((OUTSIDE, 0), (OUTSIDE, 0)), backlog=True
        )
        data = make_instance(
            network,
            lead_time=[lead_time, lead_time],
            holding_cost=[1.0],
            shortage_cost=[number(found, "p", 0.01, 1000)],
            fixed_cost=[number(found, "K", 0, 1e6)] * 2,
            demand_mean=[MEAN],
            demand_std=[math.sqrt(MEAN)],
        )
        limit = np.full(2, (6 + lead_time) * MEAN)
        setting = Setting(network, data, Poisson(), order_limit=limit)
        super().__init__(setting, horizon, warm_up, normalized=normalized)

    def ship(self, instance: InventoryInstance, on_hand: Array, wanted: Array) -> Array:
        """Shipments (B, E): what is asked for, or nothing where that is less than a unit."""
        xp = array_namespace(wanted)
        asked = xp.where(wanted < LEAST_ORDER, xp.zeros_like(wanted), wanted)
        return super().ship(instance, on_hand, asked)
