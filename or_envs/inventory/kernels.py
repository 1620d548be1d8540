"""Numba kernels of the inventory dynamics, behind the same function names.

They state the equations of :mod:`or_envs.inventory.problem` a second time, for speed and so that a
row's numbers do not depend on the batch that it is in (those of a matrix product do);
``check_problem`` compares the two on random episodes.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import copy
import functools
from typing import Any, cast

import numba
import numpy as np

from or_envs.core.arrays import Array
from or_envs.inventory.network import Demand, InventoryInstance, InventoryState
from or_envs.inventory.problem import InventoryNetwork


def compile_dynamics(problem: InventoryNetwork) -> InventoryNetwork:
    """Return a twin of the problem on kernels, or itself if its class has dynamics of its own."""
    cls = type(problem)
    restated = ("post_decision", "transition", "_receive", "_counted", "ship")
    if any(getattr(cls, name) is not getattr(InventoryNetwork, name) for name in restated):
        return problem
    twin = copy.copy(problem)
    twin.__class__ = _twin_class(cls)
    twin.decoder = copy.copy(problem.decoder)
    twin.decoder.position = _compiled_position
    edges = np.array(problem.network.edges, dtype=np.int64)
    twin.__dict__["_ends"] = (edges[:, 0].copy(), edges[:, 1].copy())
    return twin


@functools.cache
def _twin_class(cls: type[InventoryNetwork]) -> type[InventoryNetwork]:
    return cast(type[InventoryNetwork], type(f"Compiled{cls.__name__}", (_Compiled, cls), {}))


class _Compiled(InventoryNetwork):
    """The two half-steps on compiled numpy kernels (float64 arrays)."""

    _ends: tuple[np.ndarray, np.ndarray]

    def exogenous_at(self, exogenous: Demand, step: Array) -> Demand:
        """Compiled form of :meth:`InventoryNetwork.exogenous_at`."""
        demand = exogenous.demand
        now = np.empty((len(step), demand.shape[2]))
        _demand_at(demand, step, now)
        return Demand(now)

    def post_decision(
        self, instance: InventoryInstance, state: InventoryState, action: Array
    ) -> tuple[InventoryState, Array]:
        """Compiled form of :meth:`InventoryNetwork.post_decision`."""
        order = np.ascontiguousarray(self.decoder.orders(np, instance, state, action))
        on_hand, pipeline = state.on_hand.copy(), state.pipeline.copy()
        orders, backorders = state.orders, state.backorders
        if self._delays:
            orders = orders.copy()
        if self._tracks_orders:
            backorders = backorders.copy()
        history = state.history.copy() if self._history else state.history
        reward = np.empty(len(order))
        network = self.network
        _post_decision(
            order,
            *self._ends,
            instance.lead_time,
            instance.order_delay,
            instance.capacity,
            instance.unit_cost,
            instance.fixed_cost,
            instance.unfilled_cost,
            instance.price,
            self._tracks_orders,
            network.backlog_orders,
            network.receive_first,
            network.must_empty,
            network.backlog,
            network.num_internal,
            state.period,
            self.setting.discount,
            self.warm_up,
            on_hand,
            pipeline,
            orders,
            backorders,
            history,
            reward,
        )
        post = InventoryState(on_hand, pipeline, orders, backorders, history, state.period)
        return post, reward

    def transition(
        self, instance: InventoryInstance, post_state: InventoryState, exogenous: Demand | None
    ) -> tuple[InventoryState, Array, Array]:
        """Compiled form of :meth:`InventoryNetwork.transition`."""
        assert exogenous is not None
        on_hand, pipeline = post_state.on_hand.copy(), post_state.pipeline.copy()
        history = post_state.history.copy() if self._history else post_state.history
        reward = np.empty(len(on_hand))
        network = self.network
        _transition(
            exogenous.demand,
            self._ends[1],
            instance.holding_cost,
            instance.shortage_cost,
            instance.price,
            instance.transit_cost,
            network.receive_first,
            network.backlog,
            network.num_internal,
            post_state.period,
            self.setting.discount,
            self.warm_up,
            on_hand,
            pipeline,
            history,
            reward,
        )
        following = InventoryState(
            on_hand,
            pipeline,
            post_state.orders,
            post_state.backorders,
            history,
            post_state.period + 1,
        )
        return following, reward, np.zeros(len(reward), dtype=np.bool_)


def _compiled_position(xp: Any, instance: InventoryInstance, state: InventoryState) -> Array:
    """Compiled form of :func:`or_envs.inventory.actions.echelon_position`."""
    rows, edges = state.backorders.shape
    position = np.empty((rows, edges))
    _position(
        instance.below[0],
        instance.buyer[0],
        state.on_hand,
        state.pipeline,
        state.orders,
        state.backorders,
        position,
    )
    return position


@numba.njit(cache=True)
def _demand_at(demand, step, now):
    for b in range(now.shape[0]):
        for i in range(now.shape[1]):
            now[b, i] = demand[b, step[b], i]


@numba.njit(cache=True)
def _position(below, buyer, on_hand, pipeline, orders, backorders, position):
    nodes, edges = buyer.shape
    echelon = np.empty(nodes)
    own = np.empty(nodes)
    for b in range(on_hand.shape[0]):
        for i in range(nodes):
            transit = 0.0
            ordered = 0.0
            for e in range(edges):
                if buyer[i, e]:
                    for k in range(pipeline.shape[2]):
                        transit += pipeline[b, e, k]
                    ordered += backorders[b, e]
                    for k in range(orders.shape[2]):
                        ordered += orders[b, e, k]
            echelon[i] = on_hand[b, i] + transit
            own[i] = ordered
        for e in range(edges):
            for i in range(nodes):
                if buyer[i, e]:
                    total = own[i]
                    for j in range(nodes):
                        if below[i, j]:
                            total += echelon[j]
                    position[b, e] = total


@numba.njit(cache=True)
def _post_decision(
    order,
    supplier,
    buyer,
    lead_time,
    order_delay,
    capacity,
    unit_cost,
    fixed_cost,
    unfilled_cost,
    price,
    tracks_orders,
    backlog_orders,
    receive_first,
    must_empty,
    backlog,
    inner,
    period,
    discount,
    warm_up,
    on_hand,
    pipeline,
    orders,
    backorders,
    history,
    reward,
):
    rows, edges = order.shape
    nodes, slots = on_hand.shape[1], pipeline.shape[2]
    first = 1 if receive_first else 0
    total = np.empty(nodes)
    share = np.empty(nodes)
    wanted = np.empty(edges)
    for b in range(rows):
        data = b if lead_time.shape[0] > 1 else 0
        if history.shape[1]:
            history[b, :-1] = history[b, 1:]
            history[b, -1] = 0.0
        total[:] = 0.0
        for e in range(edges):
            delay = order_delay[b if order_delay.shape[0] > 1 else 0, e]
            received = 0.0
            if orders.shape[2]:
                received = orders[b, e, 0]
                for k in range(orders.shape[2] - 1):
                    orders[b, e, k] = orders[b, e, k + 1]
                orders[b, e, orders.shape[2] - 1] = 0.0
            if delay == 0:
                received += order[b, e]
            else:
                orders[b, e, delay - 1] += order[b, e]
            if history.shape[1] and supplier[e] >= 0:
                history[b, -1, supplier[e]] += received
            if tracks_orders:
                received += backorders[b, e]
                backorders[b, e] = received
            asked = min(received, capacity[b if capacity.shape[0] > 1 else 0, e])
            if supplier[e] >= 0:
                if must_empty and on_hand[b, supplier[e]] > 0:
                    asked += 1e-12
                total[supplier[e]] += asked
            wanted[e] = asked
        for i in range(nodes):
            available = max(on_hand[b, i], 0.0)
            share[i] = 1.0
            if total[i] > available or (must_empty and total[i] > 0):
                share[i] = available / total[i]
        cost = 0.0
        for e in range(edges):
            shipped = wanted[e]
            if supplier[e] >= 0:
                shipped *= share[supplier[e]]
                on_hand[b, supplier[e]] -= shipped
            unit = unit_cost[b if unit_cost.shape[0] > 1 else 0, e]
            cost += unit * shipped
            if shipped > 0:
                cost += fixed_cost[b if fixed_cost.shape[0] > 1 else 0, e]
            penalty = unfilled_cost[b if unfilled_cost.shape[0] > 1 else 0, e]
            if tracks_orders:
                left = backorders[b, e] - shipped
                cost += penalty * left
                backorders[b, e] = left if backlog_orders else 0.0
            else:
                cost += penalty * (order[b, e] - shipped)
            wanted[e] = shipped
        for e in range(edges):
            lead = lead_time[data, e]
            if lead - first >= 0:
                pipeline[b, e, lead - first] += wanted[e]
            arriving = 0.0
            if not receive_first:
                arriving = pipeline[b, e, 0]
                for k in range(slots - 1):
                    pipeline[b, e, k] = pipeline[b, e, k + 1]
                pipeline[b, e, slots - 1] = 0.0
            elif lead == 0:
                arriving = wanted[e]
            if arriving != 0.0:
                cost -= _arrive(b, buyer[e], arriving, on_hand, price, backlog, inner)
        if period[b] < warm_up:
            cost = 0.0
        elif discount < 1.0:
            cost *= discount ** period[b]
        reward[b] = -cost


@numba.njit(cache=True)
def _arrive(b, node, arriving, on_hand, price, backlog, inner):
    """Put goods into stock; return what customers who waited pay for theirs."""
    paid = 0.0
    if backlog and node >= inner:
        owed = max(-on_hand[b, node], 0.0)
        paid = price[b if price.shape[0] > 1 else 0, node - inner] * min(arriving, owed)
    on_hand[b, node] += arriving
    return paid


@numba.njit(cache=True)
def _transition(
    demand,
    buyer,
    holding_cost,
    shortage_cost,
    price,
    transit_cost,
    receive_first,
    backlog,
    inner,
    period,
    discount,
    warm_up,
    on_hand,
    pipeline,
    history,
    reward,
):
    rows, nodes = on_hand.shape
    edges, slots = pipeline.shape[1], pipeline.shape[2]
    for b in range(rows):
        cost = 0.0
        hold = b if holding_cost.shape[0] > 1 else 0
        for i in range(inner):
            cost += holding_cost[hold, i] * on_hand[b, i]
        for i in range(inner, nodes):
            stock, wish = on_hand[b, i], demand[b, i - inner]
            left = stock - wish
            if left >= 0:
                cost += holding_cost[hold, i] * left
            else:
                cost -= shortage_cost[b if shortage_cost.shape[0] > 1 else 0, i - inner] * left
                if not backlog:
                    left = 0.0
            paid = price[b if price.shape[0] > 1 else 0, i - inner]
            cost -= paid * min(max(stock, 0.0), wish)
            on_hand[b, i] = left
            if history.shape[1]:
                history[b, -1, i] += wish
        for e in range(edges):
            due = transit_cost[b if transit_cost.shape[0] > 1 else 0, e]
            if due != 0.0:
                for k in range(slots):
                    cost += due * pipeline[b, e, k]
            if receive_first:
                arriving = pipeline[b, e, 0]
                for k in range(slots - 1):
                    pipeline[b, e, k] = pipeline[b, e, k + 1]
                pipeline[b, e, slots - 1] = 0.0
                if arriving != 0.0:
                    cost -= _arrive(b, buyer[e], arriving, on_hand, price, backlog, inner)
        if period[b] < warm_up:
            cost = 0.0
        elif discount < 1.0:
            cost *= discount ** period[b]
        reward[b] = -cost
