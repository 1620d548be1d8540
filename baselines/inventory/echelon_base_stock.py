"""Echelon base stock: optimal levels in serial systems, tuned ones behind warehouses."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from baselines.common.genetic import Budget, Progress, minimize_real
from baselines.common.rule_fitness import RuleFitness
from baselines.inventory import clark_scarf, laws
from baselines.inventory.allocation import equal_fractile
from baselines.inventory.base_stock import LevelRule, steady
from baselines.inventory.playing import check_orders, echelon, local_position, playable
from or_envs.core import Rule
from or_envs.inventory.demand import Normal
from or_envs.inventory.network import InventoryInstance, InventoryState
from or_envs.inventory.problem import InventoryNetwork


class WarehouseRule:
    """Order-up-to levels of warehouses and stores with capped orders and fair rationing.

    A store orders up to its newsvendor level, moved by ``store_shift`` deviations, but no more than
    ``store_cap`` times mean demand: with lost sales the cap saves much (Xin, Oper. Res. 69(1),
    2021). A store with several warehouses takes a steady flow from the cheapest, up to a level of
    its own on the whole position and at most ``slow_share`` times mean demand, and tops up from the
    fastest by what is there in time (capped dual index). A warehouse orders up to
    ``warehouse_cover`` times what it is to supply over its lead time and a period, at most
    ``warehouse_cap`` times that flow; a single one by its echelon position. Where a warehouse has
    less than was ordered, stores are lifted to the same fractile.

    Parameters
    ----------
    problem
        Warehouses supplied from outside, and stores that they supply.
    parameters
        (6,) or (B, 6): store_shift, store_cap, slow_shift, slow_share, warehouse_cover,
        warehouse_cap.
    """

    #: Box of the parameters that tuning searches.
    LOW = np.array([-2.5, 1.0, -2.5, 0.0, 0.5, 0.8])
    HIGH = np.array([1.5, 3.0, 2.5, 1.5, 2.0, 3.0])
    GENERATIONS = 20

    def __init__(self, problem: InventoryNetwork, parameters: np.ndarray) -> None:
        check_orders(problem)
        network, data = problem.network, problem.setting.data
        for supplier, buyer in network.edges:
            if (supplier < 0) == (buyer >= network.num_internal):
                raise ValueError(
                    "problem: expected warehouses that outside suppliers supply, and stores that"
                    " warehouses supply"
                )
        self.problem = problem
        columns = np.atleast_2d(np.asarray(parameters, dtype=np.float64))
        self._shift, self._cap, self._slow, self._share, self._cover, self._limit = columns.T[
            :, :, None
        ]
        self._inner = inner = network.num_internal
        ends = np.array(network.edges)
        self._in = np.flatnonzero(ends[:, 0] < 0)
        self._out = np.flatnonzero(ends[:, 0] >= 0)
        self._warehouse = ends[self._out, 0]
        self._store = store = ends[self._out, 1] - inner
        lead = data.lead_time[0].astype(float)
        mean, std = data.demand_mean[0], data.demand_std[0]
        ratio = data.shortage_cost[0] / (data.shortage_cost[0] + data.holding_cost[0, inner:])
        law = NormalDist()
        z = np.array([law.inv_cdf(float(r)) for r in ratio])
        periods = lead[self._out] + 1
        self._mean = periods * mean[store]
        self._deviation = np.sqrt(periods) * std[store]
        self._z = z[store]
        self._demand = mean[store]
        self._lead = lead[self._out]
        # Of a store's edges the fastest serves it; the cheapest of the others builds its stock.
        cost = data.unit_cost[0][self._in][self._warehouse]
        self._role = np.zeros(len(store), dtype=np.int64)  # 0 fastest, 1 slow and cheap, 2 unused
        for s in range(network.num_stores):
            mine = np.flatnonzero(store == s)
            fastest = mine[np.argmin(self._lead[mine])]
            others = [e for e in mine if e != fastest]
            self._role[others] = 2
            cheaper = [e for e in others if cost[e] < cost[fastest]]
            if cheaper:
                self._role[min(cheaper, key=lambda e: cost[e])] = 1
        self._twice = np.isin(store, store[self._role == 1])
        self._has_slow = bool(self._twice.any())
        # The flow that every warehouse is to supply, by the share that slow edges are to bring.
        steady_share = np.minimum(self._share, 1.0)
        share = np.where(self._role == 1, steady_share, 1.0 - steady_share * self._twice)
        edge_flow = np.where(self._role < 2, share, 0.0) * mean[store]
        self._flow = edge_flow @ (self._warehouse[:, None] == np.arange(inner)).astype(float)
        self._warehouse_periods = lead[self._in] + 1

    def __call__(self, instance: InventoryInstance, state: InventoryState) -> np.ndarray:
        """Return the orders, (B, E)."""
        orders = np.zeros(state.pipeline.shape[:2])
        orders[:, self._out] = self._ration(state.on_hand, self._wishes(instance, state))
        orders[:, self._in] = self._replenish(instance, state)
        return playable(self.problem, orders)

    def _wishes(self, instance: InventoryInstance, state: InventoryState) -> np.ndarray:
        """What stores want on the edges from warehouses, (B, edges)."""
        position = local_position(instance, state)[:, self._out]
        level = self._mean + (self._z + self._shift) * self._deviation
        wish = np.clip(level - position, 0.0, self._cap * self._demand)
        if not self._has_slow:
            return wish
        # The fast edge counts only what arrives as soon as its own order would.
        due = np.arange(state.pipeline.shape[2]) + 1
        bought = instance.buyer[0, self._inner :].astype(float)
        near = np.zeros_like(wish)
        for edge in np.flatnonzero(self._role == 0):
            soon = state.pipeline[:, :, due <= self._lead[edge]].sum(axis=2)
            store = self._store[edge]
            near[:, edge] = state.on_hand[:, self._inner + store] + soon @ bought[store]
        fast = np.clip(level - near, 0.0, self._cap * self._demand)
        slow_level = self._mean + (self._z + self._slow) * self._deviation
        slow = np.clip(slow_level - position, 0.0, self._share * self._demand)
        first = np.where(self._twice, fast, wish)
        return np.where(self._role == 0, first, np.where(self._role == 1, slow, 0.0))

    def _ration(self, on_hand: np.ndarray, wishes: np.ndarray) -> np.ndarray:
        """Wishes scaled to what every warehouse has, the neediest stores first."""
        given = wishes.copy()
        for warehouse in range(self._inner):
            mine = self._warehouse == warehouse
            stock = np.maximum(on_hand[:, warehouse], 0.0)
            short = wishes[:, mine].sum(axis=1) > stock
            if not short.any():
                continue
            # A wish w is the distance to the level: lift all to one number of deviations below it.
            shares = equal_fractile(
                stock[short],
                -wishes[short][:, mine],
                np.zeros(int(mine.sum())),
                self._deviation[mine],
                0.0,
            )
            place = np.ix_(short, mine)
            given[place] = np.minimum(shares, wishes[place])
        return given

    def _replenish(self, instance: InventoryInstance, state: InventoryState) -> np.ndarray:
        position = echelon(instance, state)[:, self._in]
        if self._has_slow:  # shared stores would count twice
            position = local_position(instance, state)[:, self._in]
            needed = self._cover * self._warehouse_periods * self._flow
        else:
            stores = float(np.sum(self._mean))
            needed = self._cover * (self._warehouse_periods * self._flow + stores)
        return np.clip(needed - position, 0.0, self._limit * self._flow)


class HubRule:
    """A hub that must empty: echelon base stock, and allocation to equal fractiles.

    Parameters
    ----------
    problem
        A hub supplied from outside, and the stores that it supplies.
    parameters
        (1,) or (B, 1): deviations of the echelon level above mean demand.
    """

    LOW = np.array([0.0])
    HIGH = np.array([3.0])
    GENERATIONS = 6

    def __init__(self, problem: InventoryNetwork, parameters: np.ndarray) -> None:
        check_orders(problem)
        network, data = problem.network, problem.setting.data
        if not network.must_empty or network.num_internal != 1:
            raise ValueError("problem: expected one hub that must empty")
        self.problem = problem
        self._shift = np.atleast_2d(np.asarray(parameters, dtype=np.float64))[:, 0]
        lead = data.lead_time[0].astype(float)
        mean, std = data.demand_mean[0], data.demand_std[0]
        self._mean, self._deviation = (lead[1:] + 1) * mean, np.sqrt(lead[1:] + 1) * std
        law = problem.setting.demand
        correlation = law.correlation if isinstance(law, Normal) else 0.0
        common, own = std.sum() ** 2, (std**2).sum()
        at_hub = correlation * common + (1 - correlation) * own
        periods = lead[0] + lead[1:].max() + 1
        self._level = periods * mean.sum()
        self._spread = float(np.sqrt((lead[1:].max() + 1) * common + lead[0] * at_hub))

    def __call__(self, instance: InventoryInstance, state: InventoryState) -> np.ndarray:
        """Return the orders, (B, E)."""
        level = self._level + self._shift * self._spread
        hub = np.maximum(level - echelon(instance, state)[:, 0], 0.0)
        stock = np.maximum(state.on_hand[:, 0], 0.0)
        position = local_position(instance, state)[:, 1:]
        shares = equal_fractile(stock, position, self._mean, self._deviation, 50.0)
        return playable(self.problem, np.concatenate([hub[:, None], shares], axis=1))


def echelon_base_stock(
    problem: InventoryNetwork,
    seed: int = 0,
    population: int = 40,
    generations: int | None = None,
    num_episodes: int = 50,
    progress: Progress | None = None,
) -> Rule:
    """Echelon base stock: exact levels for serial systems, otherwise the best found by simulation.

    Parameters
    ----------
    problem
        A serial system, a hub, or warehouses with stores.
    seed
        Seed of pymoo's genetic algorithm and of its training episodes.
    population, generations
        Budget of the search, see :class:`baselines.common.genetic.Budget`; 20 generations of 40
        by default, 6 for the single parameter of a hub.
    num_episodes
        Training episodes that each individual plays.
    progress
        Called after every generation.
    """
    check_orders(problem)
    if is_serial(problem):
        levels = serial_optimum(problem).levels[::-1]
        return LevelRule(problem, np.array(levels), of_echelon=True)
    family = HubRule if problem.network.must_empty else WarehouseRule
    family(problem, family.LOW)  # refuses other networks before anything is played

    budget = Budget(population, family.GENERATIONS if generations is None else generations)
    fitness = RuleFitness(steady(problem), lambda x: family(problem, x), seed, num_episodes)
    result = minimize_real(fitness, family.LOW, family.HIGH, budget, seed, progress)
    return family(problem, result.best)


def is_serial(problem: InventoryNetwork) -> bool:
    """Whether the network is a chain of two stages or more whose customers wait."""
    network = problem.network
    chain = tuple((k - 1, k) for k in range(network.num_nodes))
    return len(chain) > 1 and network.edges == chain and network.backlog


def serial_optimum(problem: InventoryNetwork) -> clark_scarf.SerialOptimum:
    """Clark and Scarf's optimum of a serial system with normal demand.

    Raises
    ------
    ValueError
        If the problem is another.
    """
    data, law = problem.setting.data, problem.setting.demand
    if not is_serial(problem) or not isinstance(law, Normal):
        raise ValueError("problem: expected a chain with waiting customers and normal demand")
    step = 0.02
    return clark_scarf.solve(
        data.lead_time[0, ::-1].tolist(),
        data.holding_cost[0, ::-1].tolist(),
        float(data.shortage_cost[0, 0]),
        laws.clipped_normal(float(data.demand_mean[0, 0]), float(data.demand_std[0, 0]), step),
        step,
    )
