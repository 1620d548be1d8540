"""Lost sales: orders that look at what will be on hand when they arrive."""

from __future__ import annotations

import numpy as np

from baselines.common.rule_fitness import RuleFitness
from baselines.inventory import laws
from baselines.inventory.base_stock import steady, waiting_level
from baselines.inventory.playing import check_single_echelon, playable
from or_envs.inventory.network import InventoryInstance, InventoryState
from or_envs.inventory.problem import InventoryNetwork


class _Projection:
    """Law of what is on hand when an order placed now arrives, without that order."""

    def __init__(self, problem: InventoryNetwork) -> None:
        check_single_echelon(problem)
        if problem.network.backlog or not problem.setting.integer:
            raise ValueError("problem: expected lost sales and whole demand")
        self.problem = problem
        self.law = laws.of_store(problem)
        data = problem.setting.data
        self.lead_time = int(data.lead_time[0, 0])
        # Every order that may be under way, and what waiting customers would need.
        top = int(waiting_level(problem) + problem.setting.order_limit[0])
        self.stocks = np.arange(top + 1)
        # Row x: law of max(x - D, 0).
        step = np.zeros((top + 1, top + 1))
        cumulative = np.cumsum(self.law)
        for x in range(top + 1):
            reach = min(x, len(self.law))
            step[x, x - np.arange(reach)] = self.law[:reach]
            step[x, 0] = 1 - (cumulative[x - 1] if 0 < x <= len(cumulative) else float(x > 0))
        self.step = step

    def at_arrival(self, state: InventoryState) -> np.ndarray:
        """P(on hand = x) at every store, (B n, X + 1)."""
        top = len(self.stocks) - 1
        on_hand = np.clip(np.rint(state.on_hand), 0, top).astype(np.int64).reshape(-1)
        pipeline = np.rint(state.pipeline).astype(np.int64).reshape(len(on_hand), -1)
        rows = np.arange(len(on_hand))
        law = np.zeros((len(on_hand), top + 1))
        law[rows, on_hand] = 1.0
        for period in range(self.lead_time):
            law = law @ self.step
            # What arrives moves the law up; beyond the top it stays there.
            shifted = np.zeros_like(law)
            target = np.minimum(self.stocks[None] + pipeline[:, period, None], top)
            np.add.at(shifted, (rows[:, None], target), law)
            law = shifted
        return law


class ProjectedInventory:
    """Raise the expected stock at the order's arrival to a level (arXiv 2101.07519).

    Parameters
    ----------
    problem
        Stores with lost sales, whole demand and one outside supplier each.
    level
        Expected units on hand when the order arrives, the order included; a number, or one per
        batch row, (B, 1).
    """

    def __init__(self, problem: InventoryNetwork, level: float | np.ndarray) -> None:
        self.level = level
        self._projection = _Projection(problem)

    def __call__(self, instance: InventoryInstance, state: InventoryState) -> np.ndarray:
        """Return the orders, (B, E)."""
        projection = self._projection
        expected = (projection.at_arrival(state) @ projection.stocks).reshape(state.on_hand.shape)
        return playable(projection.problem, self.level - expected)


class Myopic:
    """Minimise the expected cost of the period in which the order arrives (Morton, 1971).

    Parameters
    ----------
    problem
        As for :class:`ProjectedInventory`.
    """

    def __init__(self, problem: InventoryNetwork) -> None:
        self._projection = _Projection(problem)
        data = problem.setting.data
        shortage, holding = float(data.shortage_cost[0, 0]), float(data.holding_cost[0, 0])
        self._fractile = shortage / (shortage + holding)

    def __call__(self, instance: InventoryInstance, state: InventoryState) -> np.ndarray:
        """Return the orders, (B, E)."""
        projection = self._projection
        law = projection.at_arrival(state)
        # The least q with P(D - X <= q) at the fractile, X what is on hand without it.
        top, largest = len(projection.stocks), int(projection.problem.setting.order_limit[0])
        cumulative = np.concatenate([np.cumsum(projection.law), np.ones(top + largest)])
        orders = np.zeros(len(law))
        for q in range(largest):
            short = law @ cumulative[q : q + top] < self._fractile
            orders[short] = q + 1
        return playable(projection.problem, orders.reshape(state.on_hand.shape))


def projected_inventory(
    problem: InventoryNetwork, seed: int = 0, num_episodes: int = 50
) -> ProjectedInventory:
    """Return the projected-inventory-level policy with the best level by simulation."""
    mean = float(problem.setting.data.demand_mean[0, 0])
    fitness = RuleFitness(
        steady(problem), lambda x: ProjectedInventory(problem, x), seed, num_episodes
    )
    coarse = np.arange(0.5, 4.1, 0.25)[:, None] * mean
    best = coarse[fitness(coarse).argmin(), 0]
    fine = np.linspace(best - 0.2 * mean, best + 0.2 * mean, 9)[:, None]
    return ProjectedInventory(problem, float(fine[fitness(fine).argmin(), 0]))


def myopic(problem: InventoryNetwork, seed: int = 0) -> Myopic:
    """Return the myopic policy; ``seed`` is not needed."""
    return Myopic(problem)
