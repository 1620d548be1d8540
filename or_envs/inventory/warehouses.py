"""Warehouses that supply many stores (the networks of arXiv 2306.11246)."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from or_envs.inventory import published
from or_envs.inventory.actions import ActionMode
from or_envs.inventory.demand import Normal
from or_envs.inventory.names import number, parse, whole
from or_envs.inventory.network import OUTSIDE, Network, make_instance
from or_envs.inventory.problem import InventoryNetwork, Setting, Start

#: Lead time of the warehouses in all published settings.
WAREHOUSE_LEAD_TIME = 3


def bipartite(
    warehouses: int,
    stores: int,
    connections: list[tuple[int, int, int]],
    backlog: bool,
    must_empty: bool = False,
) -> tuple[Network, list[int]]:
    """Network of warehouses, supplied from outside, and stores; and the lead times of its edges.

    Parameters
    ----------
    connections
        (warehouse, store, lead time) of every edge between the two.
    """
    network = Network(
        nodes=(
            *(f"warehouse {w + 1}" for w in range(warehouses)),
            *(f"store {s + 1}" for s in range(stores)),
        ),
        num_stores=stores,
        edges=(
            *((OUTSIDE, w) for w in range(warehouses)),
            *((w, warehouses + s) for w, s, _ in connections),
        ),
        backlog=backlog,
        must_empty=must_empty,
    )
    return network, [WAREHOUSE_LEAD_TIME] * warehouses + [lead for _, _, lead in connections]


def order_limits(network: Network, lead_time: list[int], mean: np.ndarray) -> np.ndarray:
    """Four times what demand below the buyer is over the lead time and a period, (E,)."""
    flow = network.below()[:, network.num_internal :] @ mean
    buyers = np.array([buyer for _, buyer in network.edges])
    return 4 * flow[buyers] * (np.array(lead_time) + 1)


class Transshipment(InventoryNetwork):
    """A hub that keeps nothing and n equal-cost stores whose customers wait.

    What the hub receives it sends on in the same period, so orders of the stores only decide the
    shares. Demand is normal, correlated between stores, and may be negative, which makes the lower
    bound tight.

    Parameters
    ----------
    instance
        "n10-L4-p9": n stores of the published instance, lead time L of the stores (the hub's is 3),
        shortage cost p, holding cost 1; "-rho0" instead of a correlation of 0.5.
    start, horizon, warm_up, action_mode, normalized, observe_data
        See :class:`or_envs.inventory.problem.InventoryNetwork`. Edge 0 leads into the hub.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """

    instance_names: ClassVar[tuple[str, ...]] = tuple(f"n{n}-L4-p9" for n in (3, 5, 10, 20, 30, 50))

    def __init__(
        self,
        instance: str = "n10-L4-p9",
        horizon: int = 100,
        warm_up: int = 0,
        start: Start = "random",
        action_mode: ActionMode = "orders",
        normalized: bool = False,
        observe_data: bool = False,
    ) -> None:
        found = parse(instance, (), {"n": None, "L": None, "p": None, "rho": 0.5})
        num = whole(found, "n", 1, 1000)
        lead = whole(found, "L", 1, 100)
        stores = published.stores(num)
        network, lead_time = bipartite(
            1, num, [(0, s, lead) for s in range(num)], backlog=True, must_empty=True
        )
        data = make_instance(
            network,
            lead_time=lead_time,
            holding_cost=[0.5, *[1.0] * num],
            shortage_cost=[number(found, "p", 0.01, 1000)] * num,
            demand_mean=stores.mean,
            demand_std=stores.std,
        )
        law = Normal(correlation=number(found, "rho", 0, 1), clip=False)
        limits = order_limits(network, lead_time, stores.mean)
        setting = Setting(network, data, law, order_limit=limits, start=start)
        super().__init__(setting, horizon, warm_up, action_mode, normalized, observe_data)


class OneWarehouse(InventoryNetwork):
    """A warehouse that may keep stock and n stores that lose what they cannot sell.

    Parameters
    ----------
    instance
        "n10": n stores of the published instance with lead times 2..5, as in the published results;
        "n10-longest3": lead times 2 and 3, as in the published code.
    start, horizon, warm_up, action_mode, normalized, observe_data
        See :class:`or_envs.inventory.problem.InventoryNetwork`. Edge 0 leads into the warehouse.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """

    instance_names: ClassVar[tuple[str, ...]] = tuple(f"n{n}" for n in (3, 5, 10, 20, 30, 50))

    def __init__(
        self,
        instance: str = "n10",
        horizon: int = 100,
        warm_up: int = 0,
        start: Start = "random",
        action_mode: ActionMode = "orders",
        normalized: bool = False,
        observe_data: bool = False,
    ) -> None:
        found = parse(instance, (), {"n": None, "longest": 5})
        num = whole(found, "n", 1, 1000)
        lead_times = published.lead_times(num, whole(found, "longest", 2, 20))
        connections = [(0, store, int(lead)) for store, lead in enumerate(lead_times)]
        setting = _lost_sales(1, num, connections, [0.3], [0.0], start)
        super().__init__(setting, horizon, warm_up, action_mode, normalized, observe_data)


class ManyWarehouses(InventoryNetwork):
    """Several warehouses, each connected to some of n stores that lose what they cannot sell.

    Parameters
    ----------
    instance
        "2x10", "3x20", "4x30", "5x40" or "6x50": warehouses x stores of the published topology.
    start, horizon, warm_up, action_mode, normalized, observe_data
        See :class:`or_envs.inventory.problem.InventoryNetwork`. The first edges lead into the
        warehouses, then come the connections, store by store.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """

    instance_names: ClassVar[tuple[str, ...]] = tuple(published.TOPOLOGIES)

    def __init__(
        self,
        instance: Literal["2x10", "3x20", "4x30", "5x40", "6x50"] = "2x10",
        horizon: int = 100,
        warm_up: int = 0,
        start: Start = "random",
        action_mode: ActionMode = "orders",
        normalized: bool = False,
        observe_data: bool = False,
    ) -> None:
        if instance not in published.TOPOLOGIES:
            allowed = ", ".join(published.TOPOLOGIES)
            raise ValueError(f"instance: expected one of {allowed}, got {instance!r}")
        warehouses, stores = (int(part) for part in instance.split("x"))
        setting = _lost_sales(
            warehouses,
            stores,
            published.edges_of(published.TOPOLOGIES[instance]),
            list(published.WAREHOUSE_HOLDING[:warehouses]),
            list(published.PURCHASE_COST[:warehouses]),
            start,
        )
        super().__init__(setting, horizon, warm_up, action_mode, normalized, observe_data)


def _lost_sales(
    warehouses: int,
    num: int,
    connections: list[tuple[int, int, int]],
    holding: list[float],
    purchase: list[float],
    start: Start,
) -> Setting:
    """The published stores behind warehouses; demand is normal, correlated by 0.5 and clipped."""
    stores = published.stores(num)
    network, lead_time = bipartite(warehouses, num, connections, backlog=False)
    data = make_instance(
        network,
        lead_time=lead_time,
        holding_cost=[*holding, *stores.holding],
        shortage_cost=stores.shortage,
        unit_cost=[*purchase, *[0.0] * len(connections)],
        demand_mean=stores.mean,
        demand_std=stores.std,
    )
    limits = order_limits(network, lead_time, stores.mean)
    return Setting(network, data, Normal(correlation=0.5), order_limit=limits, start=start)
