"""or-gym's two supply chains (arXiv 2008.06319), with the published data."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import numpy as np

from or_envs.inventory.actions import ActionMode
from or_envs.inventory.demand import Poisson
from or_envs.inventory.network import OUTSIDE, Network, make_instance
from or_envs.inventory.problem import InventoryNetwork, Setting

#: Mean of the Poisson demand of both problems.
MEAN = 20.0

Unmet = Literal["backlog", "lost"]


def _waits(instance: str) -> bool:
    if instance not in ("backlog", "lost"):
        raise ValueError(f"instance: expected 'backlog' or 'lost', got {instance!r}")
    return instance == "backlog"


class SerialSupplyChain(InventoryNetwork):
    """Three stages and a capacitated producer before them (or-gym's InvManagement-v0 and -v1).

    Orders are filled from what the supplier has before its receipts of the period, and by its
    capacity. The chain's profit counts: sales at 2, production at 0.5 (prices inside the chain
    cancel), holding, and a penalty for unfilled orders of customers and of stages, discounted by
    0.97 a period. Orders may be fractional; the reference cuts them to integers.

    Parameters
    ----------
    instance
        "backlog": unfilled orders wait, of customers and of stages; "lost": they are forgotten.
    horizon, warm_up, action_mode, normalized, observe_data
        See :class:`or_envs.inventory.problem.InventoryNetwork`. Edge 0 is the producer's, the last
        one the store's.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """

    instance_names: ClassVar[tuple[str, ...]] = ("backlog", "lost")
    totals: ClassVar[bool] = True

    def __init__(
        self,
        instance: Unmet = "backlog",
        horizon: int = 30,
        warm_up: int = 0,
        action_mode: ActionMode = "orders",
        normalized: bool = False,
        observe_data: bool = False,
    ) -> None:
        waits = _waits(instance)
        network = Network(
            nodes=("stage 2", "stage 1", "store"),
            num_stores=1,
            edges=((OUTSIDE, 0), (0, 1), (1, 2)),
            backlog=waits,
            backlog_orders=waits,
            receive_first=False,
        )
        capacity = np.array([80.0, 90.0, 100.0])
        data = make_instance(
            network,
            lead_time=[10, 5, 3],
            holding_cost=[0.05, 0.1, 0.15],
            shortage_cost=[0.1],
            price=[2.0],
            unit_cost=[0.5, 0.0, 0.0],
            unfilled_cost=[0.025, 0.05, 0.075],
            capacity=capacity,
            demand_mean=[MEAN],
            demand_std=[math.sqrt(MEAN)],
            initial_on_hand=[200.0, 100.0, 100.0],
        )
        setting = Setting(network, data, Poisson(), order_limit=capacity, discount=0.97)
        super().__init__(setting, horizon, warm_up, action_mode, normalized, observe_data)


class SupplyNetwork(InventoryNetwork):
    """Raw material, three plants, two distributors and a retailer.

    The data are those of Perez et al. (Processes 9(1) 102, 2021). The network's profit counts:
    sales at 2, raw material, operating cost of plants, holding on hand and in transit, and a
    penalty for unmet demand; prices inside the network cancel. Orders between nodes that cannot be
    filled are forgotten. Differences from or-gym's NetworkManagement-v0 and -v1: orders may be
    fractional, and edges out of one node share its stock, which there can be promised twice and
    become negative.

    Parameters
    ----------
    instance
        "backlog": customers wait; "lost": unmet demand is lost.
    horizon, warm_up, action_mode, normalized, observe_data
        See :class:`or_envs.inventory.problem.InventoryNetwork`. ``EDGES`` is the order of the
        edges.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """

    #: (supplier, buyer, lead time, price, holding cost in transit) by or-gym's node numbers; 7 and
    #: 8 are raw material, 4 to 6 plants, 2 and 3 distributors, 1 the retailer.
    EDGES: ClassVar[tuple[tuple[int, int, int, float, float], ...]] = (
        (7, 4, 0, 0.15, 0.0),
        (7, 5, 1, 0.05, 0.005),
        (8, 5, 2, 0.07, 0.002),
        (8, 6, 0, 0.2, 0.0),
        (4, 2, 8, 1.0, 0.008),
        (4, 3, 10, 0.8, 0.006),
        (5, 2, 9, 0.7, 0.005),
        (6, 2, 11, 0.75, 0.007),
        (6, 3, 12, 0.8, 0.004),
        (2, 1, 5, 1.5, 0.01),
        (3, 1, 3, 1.6, 0.015),
    )
    #: Initial stock and holding cost of the nodes in order.
    NODES: ClassVar[dict[int, tuple[str, float, float]]] = {
        4: ("plant 4", 400.0, 0.012),
        5: ("plant 5", 350.0, 0.013),
        6: ("plant 6", 380.0, 0.011),
        2: ("distributor 2", 110.0, 0.02),
        3: ("distributor 3", 80.0, 0.015),
        1: ("retailer", 100.0, 0.03),
    }
    #: Capacity of every edge out of a plant, and operating cost per unit.
    PLANTS: ClassVar[dict[int, tuple[float, float]]] = {
        4: (90.0, 0.01),
        5: (90.0, 0.015),
        6: (80.0, 0.012),
    }
    instance_names: ClassVar[tuple[str, ...]] = ("backlog", "lost")
    totals: ClassVar[bool] = True

    def __init__(
        self,
        instance: Unmet = "backlog",
        horizon: int = 30,
        warm_up: int = 0,
        action_mode: ActionMode = "orders",
        normalized: bool = False,
        observe_data: bool = False,
    ) -> None:
        place = {node: k for k, node in enumerate(self.NODES)}
        network = Network(
            nodes=tuple(name for name, _, _ in self.NODES.values()),
            num_stores=1,
            edges=tuple(
                (place.get(supplier, OUTSIDE), place[buyer]) for supplier, buyer, *_ in self.EDGES
            ),
            backlog=_waits(instance),
            receive_first=False,
        )
        unit_cost, capacity = [], []
        for supplier, _, _, price, _ in self.EDGES:
            limit, operating = self.PLANTS.get(supplier, (np.inf, 0.0))
            unit_cost.append(operating if supplier in place else price)
            capacity.append(limit)
        lead_time = np.array([lead for _, _, lead, _, _ in self.EDGES])
        data = make_instance(
            network,
            lead_time=lead_time,
            holding_cost=[holding for _, _, holding in self.NODES.values()],
            shortage_cost=[0.1],
            price=[2.0],
            unit_cost=unit_cost,
            transit_cost=[held for *_, held in self.EDGES],
            capacity=capacity,
            demand_mean=[MEAN],
            demand_std=[math.sqrt(MEAN)],
            initial_on_hand=[stock for _, stock, _ in self.NODES.values()],
        )
        limits = np.minimum(np.array(capacity), 4 * MEAN * (lead_time + 1))
        setting = Setting(network, data, Poisson(), order_limit=limits)
        super().__init__(setting, horizon, warm_up, action_mode, normalized, observe_data)
