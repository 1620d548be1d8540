"""(s, S) and (s, Q): orders when the position has fallen to the reorder point."""

from __future__ import annotations

import numpy as np

from baselines.inventory import laws
from baselines.inventory.playing import check_single_echelon, local_position, playable
from baselines.inventory.s_s import optimal_s_q, optimal_s_s
from or_envs.inventory.network import InventoryInstance, InventoryState
from or_envs.inventory.problem import InventoryNetwork


class OrderUpTo:
    """Order up to S (``big``) when the position is s or less; numbers, or (B, 1) of each."""

    def __init__(
        self, problem: InventoryNetwork, s: float | np.ndarray, big: float | np.ndarray
    ) -> None:
        self.problem, self.s, self.big = problem, s, big

    def __call__(self, instance: InventoryInstance, state: InventoryState) -> np.ndarray:
        """Return the orders, (B, E)."""
        position = local_position(instance, state)
        return playable(self.problem, np.where(position <= self.s, self.big - position, 0.0))


class OrderLots:
    """Order the fewest lots of Q that lift the position above s, when it is s or less."""

    def __init__(self, problem: InventoryNetwork, s: float, lot: float) -> None:
        self.problem, self.s, self.lot = problem, s, lot

    def __call__(self, instance: InventoryInstance, state: InventoryState) -> np.ndarray:
        """Return the orders, (B, E)."""
        position = local_position(instance, state)
        lots = np.maximum(np.floor((self.s - position) / self.lot) + 1, 0.0)
        return playable(self.problem, lots * self.lot)


def s_s(problem: InventoryNetwork, seed: int = 0) -> OrderUpTo:
    """The optimal (s, S) policy of a store whose customers wait; ``seed`` is not needed."""
    found = optimal_s_s(*_data(problem))
    return OrderUpTo(problem, found.s, found.second)


def s_q(problem: InventoryNetwork, seed: int = 0) -> OrderLots:
    """The best (s, Q) policy of a store whose customers wait; ``seed`` is not needed."""
    found = optimal_s_q(*_data(problem))
    return OrderLots(problem, found.s, found.second)


def _data(problem: InventoryNetwork) -> tuple[int, float, float, float, np.ndarray]:
    check_single_echelon(problem)
    if not problem.network.backlog:
        raise ValueError("problem: (s, S) and (s, Q) are computed for waiting customers only")
    data = problem.setting.data
    return (
        int(data.lead_time[0, 0]),
        float(data.holding_cost[0, 0]),
        float(data.shortage_cost[0, 0]),
        float(data.fixed_cost[0, 0]),
        laws.of_store(problem),
    )
