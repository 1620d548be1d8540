"""Everything from one of two equal suppliers."""

from __future__ import annotations

import numpy as np

from baselines.inventory import laws
from baselines.inventory.playing import local_position
from baselines.inventory.s_s import optimal_s_s
from or_envs.inventory.network import InventoryInstance, InventoryState
from or_envs.inventory.two_suppliers import TwoSuppliers


class OneSupplier:
    """The optimal (s, S) policy, all of whose orders go to the first supplier.

    Parameters
    ----------
    problem
        Two equal suppliers.
    seed
        Not needed.
    """

    def __init__(self, problem: TwoSuppliers, seed: int = 0) -> None:
        data = problem.setting.data
        self.problem = problem
        self.policy = optimal_s_s(
            int(data.lead_time[0, 0]),
            float(data.holding_cost[0, 0]),
            float(data.shortage_cost[0, 0]),
            float(data.fixed_cost[0, 0]),
            laws.of_store(problem),
        )

    def __call__(self, instance: InventoryInstance, state: InventoryState) -> np.ndarray:
        """Return the actions, (B, 2)."""
        position = local_position(instance, state)
        lacking = np.where(position <= self.policy.s, self.policy.second - position, 0.0)
        decoder = self.problem.decoder
        orders = np.clip(lacking * [1.0, 0.0], decoder.low, decoder.high)
        if not decoder.normalized:
            return orders
        actions: np.ndarray = 2 * (orders - decoder.low) / (decoder.high - decoder.low) - 1
        return actions
