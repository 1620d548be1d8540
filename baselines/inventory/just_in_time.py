"""What an oracle of demand would order: units arrive in the period in which they are sold."""

from __future__ import annotations

import time

import numpy as np

from baselines.common.solution import Solution
from baselines.inventory.playing import check_orders, playable
from or_envs.core import simulate
from or_envs.inventory.network import Demand, InventoryInstance
from or_envs.inventory.problem import InventoryNetwork


class JustInTime:
    """Order the demand of the period in which the order arrives, by the fastest way.

    A plan that no policy can follow, since it knows the future. Where profits are made it is nearly
    a bound; with purchase costs or several ways the exact one is
    :class:`baselines.inventory.hindsight.Hindsight`.

    Parameters
    ----------
    problem
        A network of outside suppliers, warehouses and stores, or of stores alone.
    seed
        Not needed.

    Raises
    ------
    ValueError
        If the problem does not fit; in ``solve`` if the trace is missing.
    """

    def __init__(self, problem: InventoryNetwork, seed: int = 0) -> None:
        check_orders(problem)
        network, lead = problem.network, problem.setting.data.lead_time[0]
        self.problem = problem
        into = {b: e for e, (s, b) in enumerate(network.edges) if s < 0}
        #: (edge into the store, edge into its warehouse or None) of every store.
        self._ways: list[tuple[int, int | None]] = []
        for store in range(network.num_internal, network.num_nodes):
            ways: list[tuple[int, int, int | None]] = []
            for edge, (supplier, buyer) in enumerate(network.edges):
                if buyer != store:
                    continue
                if supplier >= 0 and supplier not in into:
                    raise ValueError("problem: expected warehouses supplied from outside")
                before = into.get(supplier)
                total = int(lead[edge]) + (0 if before is None else int(lead[before]))
                ways.append((total, edge, before))
            _, edge, before = min(ways, key=lambda way: way[:2])
            self._ways.append((edge, before))

    def solve(
        self,
        instance: InventoryInstance,
        exogenous: Demand | None = None,
        time_limit: float | None = None,
    ) -> Solution:
        """Plan for a batch of one; the objective is the replayed cost."""
        start = time.perf_counter()
        if exogenous is None:
            raise ValueError("exogenous: just in time needs the demand trace")
        lead = self.problem.setting.data.lead_time[0]
        periods = self.problem.horizon
        demand = np.maximum(exogenous.demand[0, :periods], 0.0)
        orders = np.zeros((periods, self.problem.network.num_edges))
        for store, (edge, before) in enumerate(self._ways):
            offset = int(lead[edge])
            orders[: periods - offset, edge] += demand[offset:, store]
            if before is not None:
                offset += int(lead[before])
                orders[: max(periods - offset, 0), before] += demand[offset:, store]
        actions = playable(self.problem, orders)
        rollout = simulate(self.problem, actions[None], instance, exogenous)
        cost = -float(rollout.total_reward[0])
        return Solution(actions, cost, None, "feasible", time.perf_counter() - start)
