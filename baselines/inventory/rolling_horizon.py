"""Plan ahead for expected or sampled demand, play the first orders, plan again."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from baselines.inventory.hindsight import same_data
from baselines.inventory.network_lp import NetworkModel
from baselines.inventory.playing import check_orders, playable
from or_envs.core import generators
from or_envs.inventory.network import InventoryInstance, InventoryState
from or_envs.inventory.problem import InventoryNetwork

Mode = Literal["mean", "scenarios"]
Recourse = Literal["wait_and_see", "open_loop"]

#: Seeds of the sampled scenarios, far from those of episodes.
_FIRST_SEED = 8_000_000_000
#: Periods beyond the longest path that a plan looks ahead.
_MARGIN = 5


class RollingHorizon:
    """Model-predictive control with the linear model of the network.

    "mean" takes demand to be its mean, or a quantile of it where ``quantile`` is given: the mean
    carries no safety stock. "scenarios" plans for sampled demand with common orders in the first
    period; after it every scenario is planned by itself as if known (``wait_and_see``, optimistic),
    or all orders are common (``open_loop``, pessimistic). Nothing is worth anything after the
    plan's end, which is why plans look a few periods beyond the longest way of goods through the
    network.

    Parameters
    ----------
    problem
        A network without order delays.
    seed
        Of the scenarios, which depend on it and on the period, never on what will happen.
    mode, recourse
        As above.
    horizon
        Periods of a plan (default: the longest path's lead time and 5).
    num_scenarios
        Sampled demand traces.
    quantile
        In (0, 1), of the normal approximation of a period's demand.
    time_limit
        Seconds for a plan.

    Raises
    ------
    ValueError
        If an argument is outside its range or the problem does not fit.
    """

    def __init__(
        self,
        problem: InventoryNetwork,
        seed: int = 0,
        mode: Mode = "mean",
        recourse: Recourse = "wait_and_see",
        horizon: int | None = None,
        num_scenarios: int = 20,
        quantile: float | None = None,
        time_limit: float | None = 10.0,
    ) -> None:
        check_orders(problem)
        if mode not in get_args(Mode):
            raise ValueError(f"mode: expected 'mean' or 'scenarios', got {mode!r}")
        if recourse not in get_args(Recourse):
            raise ValueError(f"recourse: expected 'wait_and_see' or 'open_loop', got {recourse!r}")
        if quantile is not None and not 0 < quantile < 1:
            raise ValueError(f"quantile: expected a number in (0, 1), got {quantile!r}")
        if horizon is not None and horizon < 1:
            raise ValueError(f"horizon: expected an integer >= 1, got {horizon!r}")
        if num_scenarios < 1:
            raise ValueError(f"num_scenarios: expected an integer >= 1, got {num_scenarios!r}")
        self.problem = problem
        self.seed = seed
        self.mode: Mode = mode
        self.recourse: Recourse = recourse
        self.horizon = longest_path(problem) + _MARGIN if horizon is None else horizon
        self.num_scenarios = num_scenarios if mode == "scenarios" else 1
        self.quantile = quantile
        self.time_limit = time_limit
        self._models: dict[int, NetworkModel] = {}

    def __call__(self, instance: InventoryInstance, state: InventoryState) -> np.ndarray:
        """Return the first orders of the plans, (B, E), one row after the other."""
        orders = [
            self._decide(
                instance.rows(np.array([b])) if instance.num > 1 else instance,
                state.rows(np.array([b])),
            )
            for b in range(state.num)
        ]
        return playable(self.problem, np.stack(orders))

    def _decide(self, instance: InventoryInstance, state: InventoryState) -> np.ndarray:
        period = int(state.period[0])
        periods = min(self.horizon, self.problem.horizon - period)
        known = self._models.get(periods)
        if known is None or not same_data(known.instance, instance):
            shared = periods if self.recourse == "open_loop" else 1
            known = NetworkModel(
                self.problem,
                instance,
                self.num_scenarios,
                periods,
                shared,
                self.seed,
                mip_rel_gap=0.01,
            )
            self._models[periods] = known
        demand = self.scenarios(instance, period, periods)
        plan = known.solve(state, demand, self.time_limit)
        first: np.ndarray = plan.shipments[0, 0]
        return first

    def scenarios(self, instance: InventoryInstance, period: int, periods: int) -> np.ndarray:
        """What demand is taken to be, (K, T, n)."""
        mean, std = instance.demand_mean[0], instance.demand_std[0]
        if self.mode == "mean":
            z = 0.0
            if self.quantile is not None:
                from statistics import NormalDist

                z = NormalDist().inv_cdf(self.quantile)
            return np.broadcast_to(mean + z * std, (1, periods, len(mean)))
        first = _FIRST_SEED + (self.seed * self.problem.horizon + period) * self.num_scenarios
        rngs = generators(first, self.num_scenarios)
        return self.problem.setting.demand.sample(instance, rngs, periods)


def longest_path(problem: InventoryNetwork) -> int:
    """Largest lead time from outside to a store."""
    network = problem.network
    lead = problem.setting.data.lead_time[0]
    reach = np.zeros(network.num_nodes, dtype=np.int64)
    for _ in range(network.num_nodes):
        for edge, (supplier, buyer) in enumerate(network.edges):
            before = int(reach[supplier]) if supplier >= 0 else 0
            reach[buyer] = max(int(reach[buyer]), before + int(lead[edge]))
    return int(reach.max())
