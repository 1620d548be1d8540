"""One linear (or mixed-integer) model of an inventory network over known demand scenarios."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from baselines.common.milp import HighsSession, MilpResult, import_pyomo
from baselines.inventory.playing import check_orders
from or_envs.inventory.network import InventoryInstance, InventoryState
from or_envs.inventory.problem import InventoryNetwork


@dataclasses.dataclass(frozen=True)
class Plan:
    """Solution of the model.

    Attributes
    ----------
    result
        Status, objective (mean cost over scenarios) and bound.
    shipments
        Units shipped, (K, T, E).
    """

    result: MilpResult
    shipments: np.ndarray


class NetworkModel:
    """Shipments of K scenarios over T periods, from any state of a network.

    Balance of node i in period t, with shipments s and lead times L::

        stock(t) = kept(t - 1) + arrivals at the start of t
        sum of s out of i <= stock(t)             (= where the node must empty)
        stock(t) - s out + arrivals after shipping - demand(t) = kept(t) - short(t)

    Where customers wait, ``short`` is carried on. Suppliers are asked for exactly what they ship,
    so nothing stays unfilled. The objective leaves out constants: what is owed and in transit at
    the start. Every coefficient comes from the instance; the demand and the state are
    data that change between solves. Goods that come in whole units are integer variables, fixed
    costs binary ones.

    Parameters
    ----------
    problem
        A network without order delays and with ``action_mode="orders"``.
    instance
        A batch of one.
    num_scenarios, periods
        K and T.
    shared
        The first ``shared`` periods have the same shipments in all scenarios.
    seed
        HiGHS's random seed.
    mip_rel_gap
        Relative gap at which an integer plan is good enough.

    Raises
    ------
    ValueError
        If the problem does not fit.
    """

    def __init__(
        self,
        problem: InventoryNetwork,
        instance: InventoryInstance,
        num_scenarios: int,
        periods: int,
        shared: int = 0,
        seed: int = 0,
        mip_rel_gap: float = 0.0,
    ) -> None:
        check_orders(problem)
        if int(instance.order_delay.max()) > 0:
            raise ValueError("problem: the linear model has no order delays")
        self.problem, self.instance = problem, instance
        self.num_scenarios, self.periods = num_scenarios, periods
        self._lead = instance.lead_time[0]
        self._model = self._build(min(shared, periods))
        self._session = HighsSession(self._model, mip_rel_gap=mip_rel_gap, seed=seed)

    def solve(
        self, state: InventoryState, demand: np.ndarray, time_limit: float | None = None
    ) -> Plan:
        """Solve for a state (a batch of one) and demand scenarios (K, T, n)."""
        model, network = self._model, self.problem.network
        for node in range(network.num_nodes):
            model.on_hand[node].set_value(float(state.on_hand[0, node]))
        slots = state.pipeline.shape[2]
        for t in range(self.periods):
            for node in range(network.num_nodes):
                # Slot t arrives at the start of period t + 1, or in t after shipping.
                into = edges_into(network, node)
                due = float(state.pipeline[0, into, t].sum()) if t < slots else 0.0
                model.due[t, node].set_value(due)
        for k in range(self.num_scenarios):
            for t in range(self.periods):
                for store in range(network.num_stores):
                    model.demand[k, t, store].set_value(float(demand[k, t, store]))
        result = self._session.solve(time_limit)
        shipments = np.zeros((self.num_scenarios, self.periods, network.num_edges))
        if result.feasible:
            for (k, t, e), variable in self._shipments.items():
                shipments[k, t, e] = max(float(variable.value), 0.0)
        return Plan(result, shipments)

    def _build(self, shared: int) -> Any:
        pyo = import_pyomo()
        network, data = self.problem.network, self.instance
        inner, n, edges = network.num_internal, network.num_stores, network.num_edges
        scenarios, periods = range(self.num_scenarios), range(self.periods)
        model = pyo.ConcreteModel()
        nodes = range(network.num_nodes)
        model.on_hand = pyo.Param(nodes, initialize=0.0, mutable=True, within=pyo.Reals)
        model.due = pyo.Param(periods, nodes, initialize=0.0, mutable=True)
        model.demand = pyo.Param(
            scenarios, periods, range(n), initialize=0.0, mutable=True, within=pyo.Reals
        )
        whole = pyo.NonNegativeIntegers if self.problem.setting.integer else pyo.NonNegativeReals
        limit = np.minimum(self.problem.setting.order_limit, data.capacity[0])
        keys = [
            (k, t, e)
            for k in scenarios
            for t in periods
            for e in range(edges)
            if k == 0 or t >= shared
        ]
        model.ship = pyo.Var(keys, within=whole, bounds=lambda m, k, t, e: (0, float(limit[e])))
        ship = {
            (k, t, e): model.ship[0 if t < shared else k, t, e]
            for k in scenarios
            for t in periods
            for e in range(edges)
        }
        self._shipments = ship
        model.kept = pyo.Var(scenarios, periods, nodes, within=pyo.NonNegativeReals)
        model.short = pyo.Var(scenarios, periods, range(n), within=pyo.NonNegativeReals)
        model.rules = pyo.ConstraintList()
        supplied = [[e for e, (s, _) in enumerate(network.edges) if s == i] for i in nodes]
        bought = [edges_into(network, i) for i in nodes]
        first = 1 if network.receive_first else 0

        def arrivals(k: int, t: int, i: int, offset: int) -> Any:
            """Arrivals in period t of what was shipped in the plan, lead time >= offset."""
            return sum(
                ship[k, t - int(self._lead[e]), e]
                for e in bought[i]
                if self._lead[e] >= offset and t >= self._lead[e]
            )

        for k in scenarios:
            for t in periods:
                for i in nodes:
                    store = i - inner
                    carried = model.on_hand[i] if t == 0 else model.kept[k, t - 1, i]
                    if t > 0 and store >= 0 and network.backlog:
                        carried = carried - model.short[k, t - 1, store]
                    stock = carried
                    if first and t > 0:
                        stock = stock + model.due[t - 1, i] + arrivals(k, t, i, 1)
                    out = sum(ship[k, t, e] for e in supplied[i])
                    if supplied[i]:
                        exact = network.must_empty
                        model.rules.add(out == stock if exact else out <= stock)
                    after = stock - out
                    if first:
                        after = after + sum(ship[k, t, e] for e in bought[i] if self._lead[e] == 0)
                    else:
                        after = after + model.due[t, i] + arrivals(k, t, i, 0)
                    if store >= 0:
                        after = after - model.demand[k, t, store] + model.short[k, t, store]
                    model.rules.add(model.kept[k, t, i] == after)
        fixed = bool(data.fixed_cost.any())
        if fixed:
            model.opened = pyo.Var(keys, within=pyo.Binary)
            for key in keys:
                model.rules.add(model.ship[key] <= float(limit[key[2]]) * model.opened[key])
        model.cost = pyo.Objective(
            expr=sum(self._scenario_cost(model, ship, k, fixed, shared) for k in scenarios)
            / self.num_scenarios
        )
        return model

    def _scenario_cost(
        self, model: Any, ship: dict[tuple[int, int, int], Any], k: int, fixed: bool, shared: int
    ) -> Any:
        """Discounted cost of scenario k, less its sales."""
        network, data = self.problem.network, self.instance
        n = network.num_stores
        cost: Any = 0.0
        for t in range(self.periods):
            weight = self.problem.setting.discount**t
            for i in range(network.num_nodes):
                cost += weight * float(data.holding_cost[0, i]) * model.kept[k, t, i]
            for j in range(n):
                short = model.short[k, t, j]
                cost += weight * float(data.shortage_cost[0, j]) * short
                sold = model.demand[k, t, j] - short
                if network.backlog and t:  # customers pay when they are served
                    sold = sold + model.short[k, t - 1, j]
                cost -= weight * float(data.price[0, j]) * sold
            for e in range(network.num_edges):
                cost += weight * float(data.unit_cost[0, e]) * ship[k, t, e]
                held = float(data.transit_cost[0, e])
                if held:
                    # In transit at the end of every period until it arrives.
                    for later in range(t, min(t + int(self._lead[e]), self.periods)):
                        cost += self.problem.setting.discount**later * held * ship[k, t, e]
                if fixed:
                    opened = model.opened[0 if t < shared else k, t, e]
                    cost += weight * float(data.fixed_cost[0, e]) * opened
        return cost


def edges_into(network: Any, node: int) -> list[int]:
    """Edges that a node buys on."""
    return [e for e, (_, buyer) in enumerate(network.edges) if buyer == node]
