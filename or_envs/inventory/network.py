"""What an inventory network is: nodes, edges, events, data; and the arrays that describe it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from or_envs.core.arrays import Array, Arrays

#: Numbers, one for each node or edge.
Values = Sequence[float] | np.ndarray

#: The supplier of an edge that brings goods from outside, where they never run out.
OUTSIDE = -1


@dataclasses.dataclass(frozen=True)
class Network:
    """Nodes, edges and the order of events; the same for the whole batch.

    Parameters
    ----------
    nodes
        Names, for pictures. The last ``num_stores`` are the stores, which meet customer demand.
    num_stores
        Number of stores n.
    edges
        (supplier, buyer) of every edge; the supplier :data:`OUTSIDE` never runs out.
    backlog
        Whether customers wait. If not, demand that stock does not meet is lost.
    backlog_orders
        Whether what a supplier cannot ship stays ordered. If not, it is forgotten.
    receive_first
        Whether what arrives in a period can be shipped on in the same period. If not, it can only
        meet the period's demand.
    must_empty
        Whether nodes that supply others ship all they have, shared by what was asked for.

    Raises
    ------
    ValueError
        If an edge does not fit or there is no store.
    """

    nodes: tuple[str, ...]
    num_stores: int
    edges: tuple[tuple[int, int], ...]
    backlog: bool
    backlog_orders: bool = False
    receive_first: bool = True
    must_empty: bool = False

    def __post_init__(self) -> None:
        num = len(self.nodes)
        if not 1 <= self.num_stores <= num:
            raise ValueError(
                f"num_stores: expected an integer in 1..{num}, got {self.num_stores!r}"
            )
        for supplier, buyer in self.edges:
            if not (supplier == OUTSIDE or 0 <= supplier < num) or not 0 <= buyer < num:
                raise ValueError(
                    f"edges: expected pairs of nodes 0..{num - 1}, or supplier {OUTSIDE},"
                    f" got {(supplier, buyer)}"
                )
            if supplier == buyer:
                raise ValueError(f"edges: node {buyer} supplies itself")

    @property
    def num_nodes(self) -> int:
        """Number of nodes N."""
        return len(self.nodes)

    @property
    def num_edges(self) -> int:
        """Number of edges E."""
        return len(self.edges)

    @property
    def num_internal(self) -> int:
        """Nodes that are not stores; they come first."""
        return self.num_nodes - self.num_stores

    def incidence(self, end: int) -> np.ndarray:
        """int8 (N, E): whether the node is supplier (end 0) or buyer (end 1) of the edge."""
        ends = np.array([edge[end] for edge in self.edges]).reshape(1, -1)
        return (np.arange(self.num_nodes)[:, None] == ends).astype(np.int8)

    def below(self) -> np.ndarray:
        """int8 (N, N): whether the row's node is the column's, or supplies it, if by steps.

        A row's sum over stocks and pipelines is the echelon of the node.
        """
        reach = np.eye(self.num_nodes, dtype=np.int64)
        direct = self.incidence(0).astype(np.int64) @ self.incidence(1).T.astype(np.int64)
        for _ in range(self.num_nodes):
            reach = np.minimum(reach + reach @ direct, 1)
        return reach.astype(np.int8)


@dataclasses.dataclass(frozen=True)
class InventoryInstance(Arrays):
    """Data of a network of N nodes, n stores and E edges; money and units of goods.

    Attributes
    ----------
    supplier, buyer
        int8 (1, N, E), the network's :meth:`Network.incidence`.
    below
        int8 (1, N, N), the network's :meth:`Network.below`.
    holding_cost
        Per unit on hand at the end of a period, (B, N).
    shortage_cost
        Per unit of demand lost, or waiting at the end of a period, (B, n).
    price
        Per unit sold, (B, n).
    unit_cost
        Per unit shipped, (B, E): purchase, production and transport.
    fixed_cost
        Per period with a shipment, (B, E).
    unfilled_cost
        Per unit ordered but not shipped at the end of a period, (B, E).
    transit_cost
        Per unit in transit at the end of a period, (B, E).
    capacity
        Largest shipment of a period, (B, E), ``inf`` where there is none.
    lead_time
        Periods from shipment to arrival, integers (B, E).
    order_delay
        Periods until an order reaches its supplier, integers (B, E); with 0 it is shipped in the
        period in which it is placed.
    demand_mean, demand_std
        Mean and standard deviation of a period's demand, (B, n).
    calendar
        What is known of every period beforehand, (B, T + 1, C), in about [-1, 1].
    initial_on_hand
        Units, (B, N).
    initial_pipeline
        Units that arrive in k + 1 periods, (B, E, P); see :class:`InventoryState`.
    initial_orders
        Orders that reach their suppliers in k periods, (B, E, Q); see :class:`InventoryState`.
    initial_backorders
        Units that suppliers have been asked for and not shipped, (B, E).
    initial_history
        Demand before the start, (B, H, N); see :class:`InventoryState`.
    """

    supplier: Array
    buyer: Array
    below: Array
    holding_cost: Array
    shortage_cost: Array
    price: Array
    unit_cost: Array
    fixed_cost: Array
    unfilled_cost: Array
    transit_cost: Array
    capacity: Array
    lead_time: Array
    order_delay: Array
    demand_mean: Array
    demand_std: Array
    calendar: Array
    initial_on_hand: Array
    initial_pipeline: Array
    initial_orders: Array
    initial_backorders: Array
    initial_history: Array


@dataclasses.dataclass(frozen=True)
class InventoryState(Arrays):
    """State, and post-decision state, of a network.

    Attributes
    ----------
    on_hand
        Units, (B, N); negative where customers wait.
    pipeline
        Units in transit, (B, E, P). Slot k arrives in k + 1 periods; where receipts come after
        shipping (``receive_first`` false), in k periods.
    orders
        Orders on their way to the supplier, (B, E, Q). Slot k gets there in k periods: slot 0 is
        part of what is shipped next.
    backorders
        Units ordered, received by the supplier and not yet shipped, (B, E).
    history
        Units asked of every node in the last H periods, the oldest first, (B, H, N).
    period
        Periods played, integers (B,).
    """

    on_hand: Array
    pipeline: Array
    orders: Array
    backorders: Array
    history: Array
    period: Array


@dataclasses.dataclass(frozen=True)
class Demand(Arrays):
    """Customer demand in units: the whole trace (B, T, n), or one period (B, n)."""

    demand: Array


def make_instance(
    network: Network,
    lead_time: Values,
    holding_cost: Values,
    shortage_cost: Values,
    demand_mean: Values,
    demand_std: Values,
    history: int = 0,
    **others: Any,
) -> InventoryInstance:
    """Build an instance with a batch axis of 1; what is not given is 0 (capacity: no limit).

    Parameters
    ----------
    network
        Nodes and edges.
    lead_time, holding_cost, shortage_cost, demand_mean, demand_std
        As in :class:`InventoryInstance`, without the batch axis.
    history
        Periods H of demand that the state keeps.
    **others
        Further fields of :class:`InventoryInstance`, without the batch axis.

    Raises
    ------
    ValueError
        If a value has the wrong shape, is negative or not a number.
    """
    n, nodes, edges = network.num_stores, network.num_nodes, network.num_edges
    slots = max(int(np.max(lead_time)) + (0 if network.receive_first else 1), 1)
    shapes: dict[str, tuple[int, ...]] = {
        "holding_cost": (nodes,),
        "shortage_cost": (n,),
        "price": (n,),
        "unit_cost": (edges,),
        "fixed_cost": (edges,),
        "unfilled_cost": (edges,),
        "transit_cost": (edges,),
        "capacity": (edges,),
        "lead_time": (edges,),
        "order_delay": (edges,),
        "demand_mean": (n,),
        "demand_std": (n,),
        "initial_on_hand": (nodes,),
        "initial_pipeline": (edges, slots),
        "initial_orders": (edges, int(np.max(others.get("order_delay", 0)))),
        "initial_backorders": (edges,),
        "initial_history": (history, nodes),
    }
    given = {
        "lead_time": lead_time,
        "holding_cost": holding_cost,
        "shortage_cost": shortage_cost,
        "demand_mean": demand_mean,
        "demand_std": demand_std,
        "calendar": np.zeros((1, 0)),
        **others,
    }
    fields: dict[str, np.ndarray] = {"calendar": np.asarray(given.pop("calendar"), float)[None]}
    for name, shape in shapes.items():
        default = np.inf if name == "capacity" else 0.0
        value = np.asarray(given.pop(name, np.full(shape, default)), dtype=np.float64)
        if value.shape != shape:
            raise ValueError(f"{name}: expected shape {shape}, got {value.shape}")
        if not (value >= 0).all():
            raise ValueError(f"{name}: expected numbers >= 0, got {value.tolist()}")
        whole = name in ("lead_time", "order_delay")
        fields[name] = (value.astype(np.int64) if whole else value)[None]
    if given:
        raise ValueError(f"others: expected fields of InventoryInstance, got {', '.join(given)}")
    return InventoryInstance(
        supplier=network.incidence(0)[None],
        buyer=network.incidence(1)[None],
        below=network.below()[None],
        **fields,
    )
