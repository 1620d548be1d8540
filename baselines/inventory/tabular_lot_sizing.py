"""Backward induction for lot-sizing with few periods and small orders."""

from __future__ import annotations

import numpy as np

from baselines.common.solution import Solution
from baselines.inventory import laws
from or_envs.inventory.network import Demand, InventoryInstance, InventoryState
from or_envs.inventory.tabular_lot_sizing import LARGEST_ORDER, Path, TabularLotSizing


class BackwardInduction:
    """The optimal orders of every period and stock.

    Parameters
    ----------
    problem
        Lot-sizing with few states.
    seed
        Not needed.

    Attributes
    ----------
    orders
        Optimal orders, (T, stocks).
    values
        Expected costs from the period on, (T + 1, stocks).
    """

    def __init__(self, problem: TabularLotSizing, seed: int = 0) -> None:
        law, data = problem.setting.demand, problem.setting.data
        assert isinstance(law, Path)
        periods, stocks = problem.horizon, np.arange(LARGEST_ORDER * problem.horizon + 1)
        holding, shortage = float(data.holding_cost[0, 0]), float(data.shortage_cost[0, 0])
        self.values = np.zeros((periods + 1, len(stocks)))
        self.orders = np.zeros((periods, len(stocks)), dtype=np.int64)
        for period in reversed(range(periods)):
            mean = law.values[period]
            # One more value with probability 1 where demand is known.
            chances = laws.poisson(mean) if law.poisson and mean > 0 else np.eye(int(mean) + 1)[-1]
            left = stocks[:, None] - np.arange(len(chances))
            kept = np.maximum(left, 0)
            after = (holding * kept + shortage * np.maximum(-left, 0)) @ chances
            after += self.values[period + 1][kept] @ chances
            # What an order leads to; beyond the largest stock nothing is ordered.
            costs = np.full((len(stocks), LARGEST_ORDER + 1), np.inf)
            for order in range(LARGEST_ORDER + 1):
                fixed = float(data.fixed_cost[0, 0]) * (order > 0)
                costs[: len(stocks) - order, order] = fixed + after[order:]
            self.orders[period] = costs.argmin(axis=1)
            self.values[period] = costs.min(axis=1)

    def __call__(self, instance: InventoryInstance, state: InventoryState) -> np.ndarray:
        """Return the optimal orders, (B, 1)."""
        period = np.minimum(state.period, len(self.orders) - 1)
        return self.orders[period, np.rint(state.on_hand[:, 0]).astype(np.int64)][:, None]


class TabularValue:
    """The optimal expected cost, the same for all episodes.

    Parameters
    ----------
    problem
        Lot-sizing with few states.
    seed
        Not needed.
    """

    def __init__(self, problem: TabularLotSizing, seed: int = 0) -> None:
        self._value = float(BackwardInduction(problem).values[0, 0])

    def solve(
        self,
        instance: InventoryInstance,
        exogenous: Demand | None = None,
        time_limit: float | None = None,
    ) -> Solution:
        """Return the bound; the trace is ignored."""
        return Solution(None, self._value, self._value, "optimal", seconds=0.0)
