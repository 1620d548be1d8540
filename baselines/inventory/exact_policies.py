"""Optimal policies as rules, and optimal costs as bounds."""

from __future__ import annotations

import numpy as np

from baselines.common.solution import Solution
from baselines.inventory import bounds, laws, newsvendor
from baselines.inventory.base_stock import base_stock
from baselines.inventory.dual_sourcing import DualSourcingModel
from baselines.inventory.echelon_base_stock import echelon_base_stock, is_serial, serial_optimum
from baselines.inventory.lost_sales import LostSales
from baselines.inventory.playing import check_orders, check_single_echelon, playable
from baselines.inventory.reorder_point import s_s
from baselines.inventory.s_s import optimal_s_s
from or_envs.core import Rule
from or_envs.inventory.demand import Normal
from or_envs.inventory.network import Demand, InventoryInstance, InventoryState
from or_envs.inventory.problem import InventoryNetwork


class TableRule:
    """Orders looked up in a table over stock and orders under way; states beyond it use its ends.

    Parameters
    ----------
    problem
        Stores without internal suppliers.
    tables
        Orders of every supplier, each over stock from ``lowest``, then orders under way.
    lowest
        Stock of the first entry.
    """

    def __init__(self, problem: InventoryNetwork, tables: list[np.ndarray], lowest: int) -> None:
        self.problem = problem
        self.tables = tables
        self.lowest = lowest

    def __call__(self, instance: InventoryInstance, state: InventoryState) -> np.ndarray:
        """Return the orders, (B, E)."""
        rows, stores = state.on_hand.shape
        shape = self.tables[0].shape
        # The last slot of a pipeline is empty before the decision.
        per_store = state.pipeline.reshape(rows, stores, len(self.tables), -1)
        columns = [state.on_hand - self.lowest]
        columns += [per_store[:, :, 0, k] for k in range(len(shape) - 1)]
        index = tuple(
            np.clip(np.rint(column), 0, size - 1).astype(np.int64)
            for column, size in zip(columns, shape, strict=True)
        )
        orders = np.stack([table[index] for table in self.tables], axis=2)
        return playable(self.problem, orders.reshape(rows, -1).astype(np.float64))


def optimal_policy(problem: InventoryNetwork, seed: int = 0) -> Rule:
    """Return an optimal policy, where one is known.

    Lost sales and dual sourcing by dynamic programming, waiting customers by their newsvendor level
    or, with fixed costs, by (s, S), serial systems by Clark and Scarf.

    Parameters
    ----------
    problem
        The network.
    seed
        Not needed.

    Raises
    ------
    ValueError
        If no optimal policy is known, or the state space is too large.
    """
    check_orders(problem)
    if is_serial(problem):
        return echelon_base_stock(problem)
    if problem.network.num_edges == 2 * problem.network.num_stores:
        model = _dual_model(problem)
        found = model.solve()
        return TableRule(problem, [found.regular, found.expedited], model.lowest_stock)
    check_single_echelon(problem)
    if problem.network.backlog:
        fixed = problem.setting.data.fixed_cost.any()
        return s_s(problem) if fixed else base_stock(problem)
    return TableRule(problem, [_lost_sales(problem).solve().orders], 0)


def optimal_cost(problem: InventoryNetwork) -> float:
    """Least average cost of a period of the whole network, where it is known.

    Raises
    ------
    ValueError
        As :func:`optimal_policy`.
    """
    check_orders(problem)
    network, data = problem.network, problem.setting.data
    if is_serial(problem):
        return serial_optimum(problem).cost
    if network.num_edges == 2 * network.num_stores:
        return network.num_stores * _dual_model(problem).solve().low
    check_single_echelon(problem)
    if not network.backlog:
        return network.num_stores * _lost_sales(problem).solve().low
    lead_time, fixed = int(data.lead_time[0, 0]), float(data.fixed_cost[0, 0])
    holding, shortage = float(data.holding_cost[0, 0]), float(data.shortage_cost[0, 0])
    if fixed:
        law = laws.of_store(problem)
        return network.num_stores * optimal_s_s(lead_time, holding, shortage, fixed, law).cost
    if isinstance(problem.setting.demand, Normal):
        mean, std = float(data.demand_mean[0, 0]), float(data.demand_std[0, 0])
        step = std / 160
        law = laws.clipped_normal(mean, std, step)
    else:
        step, law = 1.0, laws.of_store(problem)
    return network.num_stores * newsvendor.exact(lead_time, holding, shortage, law, step)[1]


class _Bound:
    """A lower bound on the expected cost of the counted periods, the same for all episodes."""

    def __init__(self, problem: InventoryNetwork, per_period: float, status: str) -> None:
        self._bound = per_period * (problem.horizon - problem.warm_up)
        self._status = status

    def solve(
        self,
        instance: InventoryInstance,
        exogenous: Demand | None = None,
        time_limit: float | None = None,
    ) -> Solution:
        """Return the bound; instance and trace are ignored."""
        return Solution(None, self._bound, self._bound, self._status, seconds=0.0)


class OptimalValue(_Bound):
    """The optimal average cost, over the counted periods.

    A policy may cost less in a short run than its long-run average, so it is a bound only behind a
    warm-up.

    Parameters
    ----------
    problem
        A network whose optimum is known.
    seed
        Not needed.
    """

    def __init__(self, problem: InventoryNetwork, seed: int = 0) -> None:
        super().__init__(problem, optimal_cost(problem), "optimal")


class LowerBound(_Bound):
    """Bounds where no optimum is known: perfect balance of a hub's stores, full warehouses.

    Parameters
    ----------
    problem
        A hub that must empty, or warehouses with stores that lose sales.
    seed
        Not needed.

    Raises
    ------
    ValueError
        If there is no bound for the problem.
    """

    def __init__(self, problem: InventoryNetwork, seed: int = 0) -> None:
        check_orders(problem)
        network, data, law = problem.network, problem.setting.data, problem.setting.demand
        inner, n = network.num_internal, network.num_stores
        if not isinstance(law, Normal) or inner == 0 or is_serial(problem):
            raise ValueError("problem: expected a hub or warehouses, and normal demand")
        if network.must_empty:
            value = bounds.transshipment(
                data.demand_std[0],
                law.correlation,
                float(data.holding_cost[0, inner]),
                float(data.shortage_cost[0, 0]),
                int(data.lead_time[0, 0]),
                int(data.lead_time[0, -1]),
            )
        else:
            purchase = np.full(n, np.inf)
            into = {buyer: edge for edge, (s, buyer) in enumerate(network.edges) if s < 0}
            for supplier, buyer in network.edges:
                if supplier >= 0:
                    cost = float(data.unit_cost[0, into[supplier]])
                    purchase[buyer - inner] = min(purchase[buyer - inner], cost)
            value = bounds.full_warehouse(
                data.demand_mean[0],
                data.demand_std[0],
                data.holding_cost[0, inner:],
                data.shortage_cost[0],
                purchase,
            )
        super().__init__(problem, n * value, "relaxation")


def _lost_sales(problem: InventoryNetwork) -> LostSales:
    data = problem.setting.data
    return LostSales(
        int(data.lead_time[0, 0]),
        float(data.holding_cost[0, 0]),
        float(data.shortage_cost[0, 0]),
        laws.of_store(problem),
    )


def _dual_model(problem: InventoryNetwork) -> DualSourcingModel:
    check_single_echelon(problem, suppliers=2)
    data = problem.setting.data
    return DualSourcingModel(
        int(data.lead_time[0, 0]),
        float(data.holding_cost[0, 0]),
        float(data.shortage_cost[0, 0]),
        float(data.unit_cost[0, 0]),
        float(data.unit_cost[0, 1]),
        laws.of_store(problem),
    )
