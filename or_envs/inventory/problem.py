"""The dynamics of inventory networks, written once for all settings."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from statistics import NormalDist
from typing import Any, ClassVar, Literal, Self

import gymnasium as gym
import numpy as np
from array_api_compat import array_namespace

from or_envs.core.arrays import Array, gather
from or_envs.core.problem import Problem
from or_envs.core.random import Generators, uniform
from or_envs.inventory.actions import (
    ActionDecoder,
    ActionMode,
    at_suppliers,
    sum_over_bought,
    sum_over_supplied,
)
from or_envs.inventory.demand import DemandLaw
from or_envs.inventory.network import (
    Demand,
    InventoryInstance,
    InventoryState,
    Network,
)

Start = Literal["given", "random"]


@dataclasses.dataclass(frozen=True)
class Setting:
    """A network with its data: what a preset of an environment is.

    Parameters
    ----------
    network
        Nodes, edges, events.
    data
        Its data with a batch axis of 1, see :func:`or_envs.inventory.network.make_instance`.
    demand
        Law of customer demand.
    order_limit
        Largest order of every edge, (E,), > 0.
    start
        "given": the data's initial stocks. "random": every slot of the stores, on hand or in
        transit to them, is U[0, 1] times mean demand, all else is empty (arXiv 2306.11246's code).
    integer
        Whether goods come in whole units.
    discount
        Factor on the rewards of a period relative to the one before.

    Raises
    ------
    ValueError
        If a value is outside its range.
    """

    network: Network
    data: InventoryInstance
    demand: DemandLaw
    order_limit: np.ndarray
    start: Start = "given"
    integer: bool = False
    discount: float = 1.0

    def __post_init__(self) -> None:
        limit = np.asarray(self.order_limit, dtype=np.float64)
        if limit.shape != (self.network.num_edges,) or not (limit > 0).all():
            raise ValueError(
                f"order_limit: expected {self.network.num_edges} numbers > 0, got {limit.tolist()}"
            )
        if not 0 < self.discount <= 1:
            raise ValueError(f"discount: expected a number in (0, 1], got {self.discount!r}")
        object.__setattr__(self, "order_limit", limit)


class InventoryNetwork(Problem[InventoryInstance, InventoryState, Demand]):
    """How much does every node order from each of its suppliers, before demand is known?

    One period, in this order:

    1. Orders are placed on all edges at once, and reach their suppliers ``order_delay`` periods
       later, before those ship.
    2. Suppliers ship what was asked for. Where that is more than they have, all edges get the same
       share of it. Goods arrive after ``lead_time`` periods: those shipped in period t meet demand
       of period t + L; with L = 0, of period t.
    3. Customer demand; what stock does not meet is lost, or waits (``backlog``).
    4. The period's costs: holding of what is on hand, shortage, transit, less sales.
    5. What arrives in the next period is on hand at its start (``receive_first``), or only after
       the next shipments.

    - Action: an entry per edge, see :class:`or_envs.inventory.actions.ActionDecoder`. No order is
      illegal: suppliers ship what they can.
    - Observation: float32, units / ``scale``: on hand (N), pipelines (E P), and where the setting
      has them orders under way (E Q), backorders (E), demand history (H N), the coming period's
      calendar (C) and, if ``observe_data``, the instance's data. ``layout`` says what is where.
    - Reward: minus unit, fixed and unfilled cost (decision), minus holding, shortage and transit
      cost, plus sales (outcome), in money, summed over the whole network.
    - End: a time limit after ``horizon`` periods (truncated).
    - ``reset(options=...)``: "on_hand" (N,), "pipeline" (E, P), "demand" (T, n); one row for all
      environments of a batch, or a row each.

    Parameters
    ----------
    setting
        The network and its data.
    horizon
        Periods T.
    warm_up
        Periods at the start whose rewards are 0, for averages that do not depend on the start.
    action_mode
        What actions mean.
    normalized
        Whether actions are scaled to [-1, 1].
    observe_data
        Whether observations hold costs, lead times and demand moments.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """

    option_keys: ClassVar[tuple[str, ...]] = ("on_hand", "pipeline", "demand")
    drawing: ClassVar[str | None] = "or_envs.inventory.rendering:draw"
    #: Whether tables show totals of episodes, as is usual where episodes are short and start empty.
    totals: ClassVar[bool] = False

    def __init__(
        self,
        setting: Setting,
        horizon: int = 100,
        warm_up: int = 0,
        action_mode: ActionMode = "orders",
        normalized: bool = False,
        observe_data: bool = False,
    ) -> None:
        self.setting = setting
        self.network = network = setting.network
        self.ends = "truncated"
        self.observe_data = observe_data
        data = setting.data
        #: Mean demand of a store, the unit of observations.
        self.scale = float(data.demand_mean.mean())
        self._set_horizon(horizon, warm_up)
        self.decoder = ActionDecoder(
            network,
            action_mode,
            setting.order_limit,
            reference_levels(network, data),
            setting.integer and action_mode == "orders",
            normalized,
        )
        self.action_space = self.decoder.space
        self._delays = int(data.order_delay.max())
        self._tracks_orders = network.backlog_orders or self._delays > 0
        self._internal = any(supplier >= 0 for supplier, _ in network.edges)
        self._immediate = network.receive_first and bool((data.lead_time == 0).any())
        self._history = data.initial_history.shape[1]
        # Terms that are zero throughout a setting are left out of every step.
        self._charges = {
            name: bool((getattr(data, name) != 0).any())
            for name in ("price", "unit_cost", "fixed_cost", "unfilled_cost", "transit_cost")
        }
        self._limited = bool(np.isfinite(data.capacity).any())
        self.layout = self._layout()
        size = sum(int(np.prod(shape)) for shape in self.layout.values())
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (size,), np.float32)

    def _set_horizon(self, horizon: int, warm_up: int) -> None:
        if not isinstance(horizon, int) or horizon < 1:
            raise ValueError(f"horizon: expected an integer >= 1, got {horizon!r}")
        if not isinstance(warm_up, int) or not 0 <= warm_up < horizon:
            raise ValueError(f"warm_up: expected an integer in 0..{horizon - 1}, got {warm_up!r}")
        self.horizon = self.max_steps = horizon
        self.warm_up = warm_up

    def with_horizon(self, horizon: int, warm_up: int = 0) -> Self:
        """Return the same problem over another number of periods."""
        other = copy.copy(self)
        other._set_horizon(horizon, warm_up)
        return other

    @property
    def cost_divisor(self) -> float:
        """Stores times counted periods: tables show costs per store and period."""
        periods = self.horizon - self.warm_up
        return 1.0 if self.totals else float(self.network.num_stores * periods)

    # ---- data -------------------------------------------------------------------------------

    def sample_instances(self, rngs: Generators) -> InventoryInstance:
        """Draw the initial stocks."""
        data, network = self.setting.data, self.network
        num = len(rngs)
        on_hand = np.repeat(data.initial_on_hand, num, axis=0)
        if self.setting.start == "given":
            return dataclasses.replace(data, initial_on_hand=on_hand)
        pipeline = np.repeat(data.initial_pipeline, num, axis=0)
        n, slots = network.num_stores, pipeline.shape[2]
        amounts = uniform(rngs, (n, slots)) * data.demand_mean[:, :, None]
        if self.setting.integer:
            amounts = np.round(amounts)
        on_hand[:, -n:] = amounts[:, :, 0]
        filled = set()
        for edge, (_, buyer) in enumerate(network.edges):
            store = buyer - network.num_internal
            if store >= 0 and store not in filled:  # only what comes from the first supplier
                filled.add(store)
                pipeline[:, edge, :-1] = amounts[:, store, 1:]
        return dataclasses.replace(data, initial_on_hand=on_hand, initial_pipeline=pipeline)

    def sample_exogenous(self, instance: InventoryInstance, rngs: Generators) -> Demand:
        """Draw the demand of all periods."""
        return Demand(self.setting.demand.sample(instance, rngs, self.horizon))

    def apply_options(
        self, instance: InventoryInstance, exogenous: Demand | None, options: Mapping[str, Any]
    ) -> tuple[InventoryInstance, Demand | None]:
        """Force "on_hand", "pipeline" or "demand"."""
        num = instance.num
        low = -np.inf if self.network.backlog else 0.0
        if "on_hand" in options:
            shape = (num, *instance.initial_on_hand.shape[1:])
            value = _forced("on_hand", options["on_hand"], shape, low)
            instance = dataclasses.replace(instance, initial_on_hand=value)
        if "pipeline" in options:
            shape = (num, *instance.initial_pipeline.shape[1:])
            value = _forced("pipeline", options["pipeline"], shape, 0.0)
            instance = dataclasses.replace(instance, initial_pipeline=value)
        if "demand" in options:
            shape = (num, self.horizon, self.network.num_stores)
            exogenous = Demand(_forced("demand", options["demand"], shape, -np.inf))
        return instance, exogenous

    # ---- dynamics ---------------------------------------------------------------------------

    def initial(self, instance: InventoryInstance) -> InventoryState:
        """Start from the instance's stocks and orders."""
        on_hand = instance.initial_on_hand
        xp = array_namespace(on_hand)
        num, number, device = on_hand.shape[0], on_hand.dtype, on_hand.device
        zero = xp.zeros((num, 1, 1), dtype=number, device=device)
        return InventoryState(
            on_hand,
            instance.initial_pipeline + zero,
            instance.initial_orders + zero,
            instance.initial_backorders + zero[:, :, 0],
            instance.initial_history + zero,
            xp.zeros(num, dtype=xp.int64, device=device),
        )

    def post_decision(
        self, instance: InventoryInstance, state: InventoryState, action: Array
    ) -> tuple[InventoryState, Array]:
        """Place orders and ship; receive what arrives after shipping."""
        xp = array_namespace(state.on_hand)
        order = self.decoder.orders(xp, instance, state, action)
        number = order.dtype
        orders, backorders, history = state.orders, state.backorders, state.history
        wanted, received = order, order
        if self._delays:
            slots = xp.arange(self._delays, device=order.device) + 1
            under_way = xp.astype(instance.order_delay[..., None] == slots, number)
            received = order * xp.astype(instance.order_delay == 0, number) + orders[:, :, 0]
            orders = _shift(xp, orders) + order[:, :, None] * under_way
            wanted = received
        if self._tracks_orders:
            wanted = wanted + backorders
        if self._history:
            asked = sum_over_supplied(xp, instance, received)
            history = xp.concat([history[:, 1:, :], asked[:, None, :]], axis=1)
        shipped = self.ship(instance, state.on_hand, wanted)
        cost = xp.zeros_like(order[:, 0])
        if self._charges["unit_cost"]:
            cost = cost + xp.sum(instance.unit_cost * shipped, axis=1)
        if self._charges["fixed_cost"]:
            cost = cost + xp.sum(instance.fixed_cost * xp.astype(shipped > 0, number), axis=1)
        if self._charges["unfilled_cost"]:
            cost = cost + xp.sum(instance.unfilled_cost * (wanted - shipped), axis=1)
        if self._tracks_orders:
            backorders = wanted - shipped
            if not self.network.backlog_orders:
                backorders = xp.zeros_like(backorders)
        on_hand = state.on_hand
        if self._internal:
            on_hand = on_hand - sum_over_supplied(xp, instance, shipped)
        first = 1 if self.network.receive_first else 0
        slots = xp.arange(state.pipeline.shape[2], device=order.device) + first
        arrival = xp.astype(instance.lead_time[..., None] == slots, number)
        pipeline = state.pipeline + shipped[:, :, None] * arrival
        sales = None
        if not self.network.receive_first:
            on_hand, sales = self._receive(xp, instance, on_hand, pipeline[:, :, 0])
            pipeline = _shift(xp, pipeline)
        elif self._immediate:
            now = shipped * xp.astype(instance.lead_time == 0, number)
            on_hand, sales = self._receive(xp, instance, on_hand, now)
        reward = -cost if sales is None else sales - cost
        post = InventoryState(on_hand, pipeline, orders, backorders, history, state.period)
        return post, self._counted(xp, state.period, reward)

    def ship(self, instance: InventoryInstance, on_hand: Array, wanted: Array) -> Array:
        """Shipments (B, E) when ``wanted`` (B, E) is asked of nodes with ``on_hand`` (B, N).

        Where a node is asked for more than it has, every edge gets the same share of its wish; with
        ``must_empty`` also where it is asked for less. Suppliers outside ship everything, and no
        edge ships more than its capacity.
        """
        xp = array_namespace(on_hand)
        if self._limited:
            wanted = xp.minimum(wanted, instance.capacity)
        if not self._internal:
            return wanted
        zero = xp.zeros_like(on_hand)
        available = xp.maximum(on_hand, zero)
        if self.network.must_empty:
            # Where nothing is asked for, all edges get the same; otherwise it is too little to see.
            wanted = wanted + 1e-12 * xp.astype(
                at_suppliers(xp, instance, available) > 0, wanted.dtype
            )
        total = sum_over_supplied(xp, instance, wanted)
        scarce = total > 0 if self.network.must_empty else total > available
        one = xp.ones_like(total)
        share = xp.where(scarce, available / xp.where(scarce, total, one), one)
        outside = 1 - xp.astype(
            xp.sum(instance.supplier[0, ...], axis=0, dtype=xp.int64), wanted.dtype
        )
        return wanted * (at_suppliers(xp, instance, share) + outside)

    def transition(
        self, instance: InventoryInstance, post_state: InventoryState, exogenous: Demand | None
    ) -> tuple[InventoryState, Array, Array]:
        """Meet demand, pay the period's costs, receive what arrives before the next shipments."""
        assert exogenous is not None
        xp = array_namespace(post_state.on_hand)
        inner = self.network.num_internal
        demand = exogenous.demand
        stock = post_state.on_hand[:, inner:]
        left = stock - demand
        zero = xp.zeros_like(left)
        surplus, short = xp.maximum(left, zero), xp.maximum(-left, zero)
        cost = xp.sum(
            instance.holding_cost[:, inner:] * surplus + instance.shortage_cost * short, axis=1
        )
        if inner:
            stored = post_state.on_hand[:, :inner]
            cost = cost + xp.sum(instance.holding_cost[:, :inner] * stored, axis=1)
        if self._charges["transit_cost"]:
            in_transit = xp.sum(post_state.pipeline, axis=2)
            cost = cost + xp.sum(instance.transit_cost * in_transit, axis=1)
        if self._charges["price"]:
            sold = xp.minimum(xp.maximum(stock, zero), demand)
            cost = cost - xp.sum(instance.price * sold, axis=1)
        if not self.network.backlog:
            left = surplus
        on_hand = xp.concat([post_state.on_hand[:, :inner], left], axis=1) if inner else left
        history = post_state.history
        if self._history:
            asked = xp.concat([xp.zeros_like(post_state.on_hand[:, :inner]), demand], axis=1)
            newest = history[:, -1, :] + asked
            history = xp.concat([history[:, :-1, :], newest[:, None, :]], axis=1)
        pipeline = post_state.pipeline
        reward = -cost
        if self.network.receive_first:
            on_hand, sales = self._receive(xp, instance, on_hand, pipeline[:, :, 0])
            pipeline = _shift(xp, pipeline)
            reward = reward if sales is None else reward + sales
        reward = self._counted(xp, post_state.period, reward)
        following = InventoryState(
            on_hand,
            pipeline,
            post_state.orders,
            post_state.backorders,
            history,
            post_state.period + 1,
        )
        return following, reward, xp.zeros_like(reward, dtype=xp.bool)

    def _receive(
        self, xp: Any, instance: InventoryInstance, on_hand: Array, arriving: Array
    ) -> tuple[Array, Array | None]:
        """Put arrivals of edges (B, E) into stock; customers who waited pay when served."""
        filled = on_hand + sum_over_bought(xp, instance, arriving)
        if not (self.network.backlog and self._charges["price"]):
            return filled, None
        inner = self.network.num_internal
        zero = xp.zeros_like(on_hand[:, inner:])
        served = xp.minimum(filled[:, inner:], zero) - xp.minimum(on_hand[:, inner:], zero)
        return filled, xp.sum(instance.price * served, axis=1)

    def _counted(self, xp: Any, period: Array, reward: Array) -> Array:
        """Discount a period's reward; in the warm-up it is 0."""
        if self.setting.discount < 1:
            reward = reward * self.setting.discount ** xp.astype(period, reward.dtype)
        if self.warm_up:
            reward = xp.where(period >= self.warm_up, reward, xp.zeros_like(reward))
        return reward

    def compiled(self) -> InventoryNetwork:
        """Return the twin with numba kernels; subclasses with other dynamics have none."""
        from or_envs.inventory.kernels import compile_dynamics

        return compile_dynamics(self)

    # ---- what the agent sees ----------------------------------------------------------------

    def _layout(self) -> dict[str, tuple[int, ...]]:
        """Parts of an observation and their shapes, in order."""
        nodes, edges, n = self.network.num_nodes, self.network.num_edges, self.network.num_stores
        data = self.setting.data
        layout: dict[str, tuple[int, ...]] = {
            "on_hand": (nodes,),
            "pipeline": (edges, data.initial_pipeline.shape[2]),
        }
        if self._delays:
            layout["orders"] = (edges, self._delays)
        if self._tracks_orders:
            layout["backorders"] = (edges,)
        if self._history:
            layout["history"] = (self._history, nodes)
        if data.calendar.shape[2]:
            layout["calendar"] = (data.calendar.shape[2],)
        if self.observe_data:
            layout |= {
                "holding_cost": (nodes,),
                "shortage_cost": (n,),
                "price": (n,),
                "unit_cost": (edges,),
                "lead_time": (edges,),
                "demand_mean": (n,),
                "demand_std": (n,),
            }
        return layout

    def observation(self, instance: InventoryInstance, state: InventoryState) -> Array:
        """Units / ``scale`` of everything in the layout, side by side, (B, size)."""
        xp = array_namespace(state.on_hand)
        num, number = state.on_hand.shape[0], state.on_hand.dtype
        parts = []
        for name in self.layout:
            if name == "calendar":
                last = instance.calendar.shape[1] - 1
                now = xp.minimum(state.period, xp.full_like(state.period, last))
                value = gather(xp, instance.calendar, now)
            elif name in ("on_hand", "pipeline", "orders", "backorders", "history"):
                value = getattr(state, name) / self.scale
            elif name in ("demand_mean", "demand_std"):
                value = getattr(instance, name) / self.scale
            else:
                value = xp.astype(getattr(instance, name), number)
            value = xp.reshape(value, (value.shape[0], -1))
            if value.shape[0] != num:
                value = xp.broadcast_to(value, (num, value.shape[1]))
            parts.append(value)
        return xp.concat(parts, axis=1)


def reference_levels(network: Network, data: InventoryInstance) -> np.ndarray:
    """Echelon order-up-to levels (E,) of the buyers by the newsvendor fractile, as a reference.

    The level covers the demand below the node over the lead times down to it, its own included,
    and a period, as if demand of the stores were independent and all stock were held at them.
    """
    below = network.below().astype(float)
    inner = network.num_internal
    penalty = (data.shortage_cost + data.price)[0]
    holding = np.maximum(data.holding_cost[0, inner:], 1e-9)
    fractile = np.clip(np.mean(penalty / (penalty + holding)), 0.5, 0.999)
    z = NormalDist().inv_cdf(float(fractile))
    lead_time = data.lead_time[0] + data.order_delay[0]
    depth = np.zeros(network.num_nodes)  # periods from an order to the stores below
    for _ in range(network.num_nodes):
        for edge, (supplier, buyer) in enumerate(network.edges):
            if supplier >= 0:
                depth[supplier] = max(depth[supplier], depth[buyer] + lead_time[edge])
    levels = []
    for edge, (_, buyer) in enumerate(network.edges):
        stores = below[buyer, inner:]
        periods = depth[buyer] + lead_time[edge] + 1
        mean = float(stores @ data.demand_mean[0])
        deviation = float(np.sqrt(stores @ data.demand_std[0] ** 2))
        levels.append(periods * mean + z * np.sqrt(periods) * deviation)
    return np.array(levels)


def _shift(xp: Any, slots: Array) -> Array:
    """Everything comes one period nearer; the first slot is gone."""
    return xp.concat([slots[:, :, 1:], xp.zeros_like(slots[:, :, :1])], axis=2)


def _forced(name: str, value: Any, shape: tuple[int, ...], low: float) -> np.ndarray:
    """A forced part of the data, one row of it repeated for the whole batch."""
    array = np.asarray(value, dtype=np.float64)
    if array.shape == shape[1:]:
        array = np.broadcast_to(array, shape)
    if array.shape != shape:
        raise ValueError(f"options: {name!r} must have shape {shape[1:]}, got {array.shape}")
    if not (np.isfinite(array) & (array >= low)).all():
        raise ValueError(f"options: {name!r} must be finite numbers >= {low:g}")
    return array.copy()
