"""One store with a slow, cheap supplier and a fast, dear one."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from or_envs.inventory.actions import ActionMode
from or_envs.inventory.demand import UniformInteger
from or_envs.inventory.names import number, parse, whole
from or_envs.inventory.network import OUTSIDE, Network, make_instance
from or_envs.inventory.problem import InventoryNetwork, Setting

#: Largest demand of a period; it is uniform on 0..4.
LARGEST_DEMAND = 4


class DualSourcing(InventoryNetwork):
    """Dual sourcing with the data of Gijsbrechts et al. (M&SOM 24(3), 2022).

    Demand is uniform on 0..4, customers wait at a cost of 495 per period, holding costs 5, a
    regular unit 100. What is expedited arrives at once, before demand.

    Parameters
    ----------
    instance
        "L2-c105": lead time L of the regular supplier, cost c of an expedited unit.
    horizon, warm_up, action_mode, normalized, observe_data
        See :class:`or_envs.inventory.problem.InventoryNetwork`. The first edge is the regular
        supplier, the second the expedited one; with order-up-to levels both look at the whole
        position.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """

    instance_names: ClassVar[tuple[str, ...]] = tuple(
        f"L{lead_time}-c{cost}" for cost in (105, 110) for lead_time in (1, 2, 3, 4)
    )

    def __init__(
        self,
        instance: str = "L2-c105",
        horizon: int = 100,
        warm_up: int = 0,
        action_mode: ActionMode = "orders",
        normalized: bool = False,
        observe_data: bool = False,
    ) -> None:
        found = parse(instance, (), {"L": None, "c": None})
        network = Network(
            nodes=("store",), num_stores=1, edges=((OUTSIDE, 0), (OUTSIDE, 0)), backlog=True
        )
        values = np.arange(LARGEST_DEMAND + 1)
        data = make_instance(
            network,
            lead_time=[whole(found, "L", 1, 20), 0],
            holding_cost=[5.0],
            shortage_cost=[495.0],
            unit_cost=[100.0, number(found, "c", 0, 1e4)],
            demand_mean=[values.mean()],
            demand_std=[values.std()],
        )
        setting = Setting(
            network,
            data,
            UniformInteger(0, LARGEST_DEMAND),
            order_limit=np.array([2.0 * LARGEST_DEMAND, 2.0 * LARGEST_DEMAND]),
            integer=True,
        )
        super().__init__(setting, horizon, warm_up, action_mode, normalized, observe_data)
