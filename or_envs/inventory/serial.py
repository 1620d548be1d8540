"""A chain of stages with a store at its end (Clark and Scarf, Management Science 6(4), 1960)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from or_envs.inventory.actions import ActionMode
from or_envs.inventory.demand import Normal
from or_envs.inventory.names import number, parse, whole
from or_envs.inventory.network import OUTSIDE, Network, make_instance
from or_envs.inventory.problem import InventoryNetwork, Setting, Start

#: Lead times and holding costs, upstream first, by number of stages; the store's lead time is L.
LEAD_TIMES = {
    3: (2, 3),
    4: (2, 4, 3),
    5: (2, 4, 1, 3),
    6: (2, 4, 1, 3, 3),
    7: (2, 4, 1, 3, 2, 3),
}
HOLDING_COSTS = {
    3: (0.1, 0.5, 1.0),
    4: (0.1, 0.2, 0.5, 1.0),
    5: (0.1, 0.2, 0.25, 0.5, 1.0),
    6: (0.1, 0.2, 0.25, 0.3, 0.5, 1.0),
    7: (0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 1.0),
}


class SerialInventory(InventoryNetwork):
    """Serial system with customers who wait; echelon base stock is optimal.

    Parameters
    ----------
    instance
        "L4-p9": the four stages of arXiv 2306.11246 with demand N(5, 2), clipped at 0, lead time L
        of the store and shortage cost p; "L4-p9-S7" has 7 stages (3..7). Or "snyder-shen-6.1",
        example 6.1 of Snyder and Shen, Fundamentals of Supply Chain Theory, with demand N(5, 1).
    start
        "random": what is in the store and on its way there, as published; "given": empty.
    horizon, warm_up, action_mode, normalized, observe_data
        See :class:`or_envs.inventory.problem.InventoryNetwork`. Edge k leads into stage k, upstream
        first.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """

    instance_names: ClassVar[tuple[str, ...]] = (
        *(f"L{lead_time}-p{p}" for lead_time in (1, 2, 3, 4) for p in (4, 9, 19, 39)),
        *(f"L4-p9-S{stages}" for stages in (3, 5, 6, 7)),
        "snyder-shen-6.1",
    )

    def __init__(
        self,
        instance: str = "L4-p9",
        horizon: int = 100,
        warm_up: int = 0,
        start: Start = "random",
        action_mode: ActionMode = "orders",
        normalized: bool = False,
        observe_data: bool = False,
    ) -> None:
        lead_time: tuple[int, ...]
        holding: tuple[float, ...]
        if instance == "snyder-shen-6.1":
            # The book's last stage meets the demand of as many periods as its lead time has; here
            # it is one more, hence 0 instead of 1.
            lead_time, holding, shortage, std = (2, 1, 0), (2.0, 4.0, 7.0), 37.12, 1.0
        else:
            found = parse(instance, (), {"L": None, "p": None, "S": 4})
            stages = whole(found, "S", min(LEAD_TIMES), max(LEAD_TIMES))
            lead_time = (*LEAD_TIMES[stages], whole(found, "L", 1, 20))
            holding, std = HOLDING_COSTS[stages], 2.0
            shortage = number(found, "p", 0.01, 1000)
        num = len(lead_time)
        network = Network(
            nodes=(*(f"stage {k + 1}" for k in range(num - 1)), "store"),
            num_stores=1,
            edges=((OUTSIDE, 0), *((k, k + 1) for k in range(num - 1))),
            backlog=True,
        )
        mean = 5.0
        data = make_instance(
            network,
            lead_time=lead_time,
            holding_cost=holding,
            shortage_cost=[shortage],
            demand_mean=[mean],
            demand_std=[std],
        )
        setting = Setting(
            network,
            data,
            Normal(),
            order_limit=4 * mean * (np.array(lead_time) + 1),
            start=start,
        )
        super().__init__(setting, horizon, warm_up, action_mode, normalized, observe_data)
