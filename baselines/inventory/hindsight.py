"""The best orders for a known demand trace: a bound on what any policy can do with it."""

from __future__ import annotations

import time

import numpy as np

from baselines.common.solution import Solution
from baselines.inventory.network_lp import NetworkModel
from baselines.inventory.playing import playable
from or_envs.inventory.network import Demand, InventoryInstance, InventoryState
from or_envs.inventory.problem import InventoryNetwork


class Hindsight:
    """Solve :class:`baselines.inventory.network_lp.NetworkModel` with the realised demand.

    It says much where profit is made, or stock is limited or costs something to move. In
    uncapacitated cost problems it is nearly useless: orders just in time cost next to nothing.

    Parameters
    ----------
    problem
        A network without order delays; ``warm_up`` must be 0, for with it plans would hoard.
    seed
        HiGHS's random seed.

    Raises
    ------
    ValueError
        If the problem does not fit; in ``solve`` if the trace is missing.
    """

    def __init__(self, problem: InventoryNetwork, seed: int = 0) -> None:
        if problem.warm_up:
            raise ValueError(f"problem: expected warm_up 0, got {problem.warm_up}")
        self.problem = problem
        self.seed = seed
        self._model: NetworkModel | None = None

    def solve(
        self,
        instance: InventoryInstance,
        exogenous: Demand | None = None,
        time_limit: float | None = None,
    ) -> Solution:
        """Plan for a batch of one."""
        start = time.perf_counter()
        if exogenous is None:
            raise ValueError("exogenous: the hindsight solver needs the demand trace")
        state = self.problem.initial(instance)
        if self._model is None or not same_data(self._model.instance, instance):
            periods = self.problem.horizon
            self._model = NetworkModel(self.problem, instance, 1, periods, seed=self.seed)
        plan = self._model.solve(state, exogenous.demand, time_limit)
        constant = self._constant(instance, state)
        bound = plan.result.bound
        return Solution(
            playable(self.problem, plan.shipments[0]) if plan.result.feasible else None,
            plan.result.objective + constant,
            None if bound is None else bound + constant,
            plan.result.status,
            time.perf_counter() - start,
        )

    def _constant(self, instance: InventoryInstance, state: InventoryState) -> float:
        """Cost of what is in transit, less the price of what is owed, at the start."""
        network = self.problem.network
        periods = np.arange(state.pipeline.shape[2]) + (1 if network.receive_first else 0)
        weights = [
            sum(self.problem.setting.discount**t for t in range(min(k, self.problem.horizon)))
            for k in periods
        ]
        in_transit = state.pipeline[0] @ np.array(weights)
        owed = np.maximum(-state.on_hand[0, network.num_internal :], 0.0)
        if (owed * instance.price[0]).any():
            raise ValueError("instance: customers who wait at the start are not priced")
        return float(instance.transit_cost[0] @ in_transit)


def same_data(a: InventoryInstance, b: InventoryInstance) -> bool:
    """Whether two instances differ in what a solve is told anew only."""
    told = ("initial_on_hand", "initial_pipeline", "initial_history")
    return all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for name in a.names()
        if name not in (*told, "product", "calendar")
    )
