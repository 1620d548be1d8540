"""One store, or several that have nothing to do with each other, and an outside supplier."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from or_envs.inventory.actions import ActionMode
from or_envs.inventory.demand import DemandLaw, Geometric, Normal, Poisson
from or_envs.inventory.names import number, parse, whole
from or_envs.inventory.network import OUTSIDE, Network, make_instance
from or_envs.inventory.problem import InventoryNetwork, Setting, Start

#: Mean demand of a store and period in all published instances.
MEAN = 5.0
#: Deviation of the normal demand of arXiv 2306.11246's one-store setting.
DEVIATION = 1.6


def _setting(
    lead_time: int,
    shortage_cost: float,
    law: DemandLaw,
    deviation: float,
    backlog: bool,
    num_stores: int,
    fixed_cost: float,
    start: Start,
    largest_order: float,
) -> Setting:
    network = Network(
        nodes=tuple(f"store {i + 1}" for i in range(num_stores)),
        num_stores=num_stores,
        edges=tuple((OUTSIDE, i) for i in range(num_stores)),
        backlog=backlog,
    )
    data = make_instance(
        network,
        lead_time=[lead_time] * num_stores,
        holding_cost=[1.0] * num_stores,
        shortage_cost=[shortage_cost] * num_stores,
        demand_mean=[MEAN] * num_stores,
        demand_std=[deviation] * num_stores,
        fixed_cost=[fixed_cost] * num_stores,
    )
    return Setting(
        network,
        data,
        law,
        order_limit=np.full(num_stores, largest_order),
        start=start,
        integer=not isinstance(law, Normal),
    )


class SingleStoreBacklog(InventoryNetwork):
    """One store whose customers wait; the optimum is a base-stock level in closed form.

    Parameters
    ----------
    instance
        "normal-L4-p9" (demand N(5, 1.6), clipped at 0; orders of any size) or "poisson-L4-p9"
        (Poisson(5), whole orders): lead time L and shortage cost p, with holding cost 1;
        "-K64" adds a fixed cost of every order, "-n10" makes 10 independent stores.
    start
        "random", as published, or "given": empty.
    horizon, warm_up, action_mode, normalized, observe_data
        See :class:`or_envs.inventory.problem.InventoryNetwork`.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """

    instance_names: ClassVar[tuple[str, ...]] = tuple(
        f"{law}-L{lead_time}-p{p}"
        for law, lead_times in (("normal", (1, 4, 7, 10, 15, 20)), ("poisson", (1, 2, 4)))
        for lead_time in lead_times
        for p in (4, 9, 19, 39)
    )

    def __init__(
        self,
        instance: str = "normal-L4-p9",
        horizon: int = 100,
        warm_up: int = 0,
        start: Start = "random",
        action_mode: ActionMode = "orders",
        normalized: bool = False,
        observe_data: bool = False,
    ) -> None:
        found = parse(instance, ("normal", "poisson"), {"L": None, "p": None, "K": 0, "n": 1})
        normal = found["word"] == "normal"
        lead_time = whole(found, "L", 1, 100)
        setting = _setting(
            lead_time,
            number(found, "p", 0.01, 1000),
            Normal() if normal else Poisson(),
            DEVIATION if normal else math.sqrt(MEAN),
            backlog=True,
            num_stores=whole(found, "n", 1, 1000),
            fixed_cost=number(found, "K", 0, 1e6),
            start=start,
            largest_order=4 * MEAN * (lead_time + 1),
        )
        super().__init__(setting, horizon, warm_up, action_mode, normalized, observe_data)


class SingleStoreLostSales(InventoryNetwork):
    """One store whose unmet demand is lost (the testbed of Zipkin, Oper. Res. 56(5), 2008).

    Parameters
    ----------
    instance
        "poisson-L4-p9" or "geometric-L4-p9": demand with mean 5, lead time L, shortage cost p,
        holding cost 1, whole orders; "-n10" makes 10 independent stores.
    start
        "random", as published, or "given": empty.
    horizon, warm_up, action_mode, normalized, observe_data
        See :class:`or_envs.inventory.problem.InventoryNetwork`.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """

    instance_names: ClassVar[tuple[str, ...]] = tuple(
        f"{law}-L{lead_time}-p{p}"
        for law in ("poisson", "geometric")
        for lead_time in range(1, 11)
        for p in (4, 9, 19, 39)
    )

    def __init__(
        self,
        instance: str = "poisson-L4-p9",
        horizon: int = 100,
        warm_up: int = 0,
        start: Start = "random",
        action_mode: ActionMode = "orders",
        normalized: bool = False,
        observe_data: bool = False,
    ) -> None:
        found = parse(instance, ("poisson", "geometric"), {"L": None, "p": None, "n": 1})
        poisson = found["word"] == "poisson"
        setting = _setting(
            whole(found, "L", 1, 100),
            number(found, "p", 0.01, 1000),
            Poisson() if poisson else Geometric(),
            math.sqrt(MEAN if poisson else MEAN * (MEAN + 1)),
            backlog=False,
            num_stores=whole(found, "n", 1, 1000),
            fixed_cost=0.0,
            start=start,
            largest_order=(4 if poisson else 8) * MEAN,
        )
        super().__init__(setting, horizon, warm_up, action_mode, normalized, observe_data)
