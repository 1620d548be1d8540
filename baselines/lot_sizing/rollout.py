"""Rollout: one step of policy improvement on the index policy, by simulation."""

from __future__ import annotations

import numpy as np

from baselines.lot_sizing.index_policy import IndexPolicy
from baselines.lot_sizing.rollout_kernels import improve
from or_envs.core.sampling import invert
from or_envs.lot_sizing.instances import LotSizingInstance
from or_envs.lot_sizing.problem import LotSizing, LotSizingState

#: Laps of the race between candidates; each halves the field and doubles the paths.
ROUNDS = 3


class Rollout:
    """Changes single machines in the index policy's decision where simulation says that it pays.

    A decision is judged by its mean cost on demand paths over the next periods, with the index
    policy deciding after it and the item values at the end of the path. All decisions of a period
    meet the same paths (common random numbers). The paths are drawn from the demand law and
    depend on seed and period only, so that a decision does not depend on the rest of the batch.
    The best change is taken, and the search goes on from there (Bertsekas and Castanon 1999).

    Parameters
    ----------
    problem, iterations
        See :class:`baselines.lot_sizing.index_policy.IndexPolicy`.
    seed
        Of the paths, and of the index policy.
    horizon
        Periods of a path.
    paths
        Paths on which the last two or more candidates are compared.
    candidates
        Changes that are tried, the best by index value.

    Raises
    ------
    ValueError
        If a number is not positive, or see IndexPolicy.
    """

    def __init__(
        self,
        problem: LotSizing,
        seed: int = 0,
        iterations: int = 100,
        horizon: int = 10,
        paths: int = 32,
        candidates: int = 8,
    ) -> None:
        sizes = {"horizon": horizon, "paths": paths, "candidates": candidates}
        for name, value in sizes.items():
            if value < 1:
                raise ValueError(f"{name}: expected an integer >= 1, got {value!r}")
        self.problem = problem
        self.seed = seed
        self.horizon = horizon
        self.paths = paths
        self.candidates = candidates
        self.index_policy = IndexPolicy(problem, seed, iterations)
        self._demand: dict[int, np.ndarray] = {}

    def __call__(self, instance: LotSizingInstance, state: LotSizingState) -> np.ndarray:
        """Return the decisions, (B, M)."""
        action = self.index_policy(instance, state)
        inventory = state.inventory.astype(np.int64)
        own = self.index_policy.relaxation.instance
        cap = own.max_inventory[0].astype(np.int64)
        for row, period in enumerate(self.index_policy.period(state).tolist()):
            improve(
                self.index_policy.tables,
                own.lost_sales_cost[0],
                own.holding_cost[0],
                cap,
                period,
                inventory[row],
                state.setup[row],
                self.demand(period),
                self.candidates,
                ROUNDS,
                action[row],
            )
        return action

    def demand(self, period: int) -> np.ndarray:
        """Paths of a period, integers (paths, horizon, n)."""
        if period not in self._demand:
            # The third word keeps these apart from every episode's generator: a seed sequence of
            # [seed, 0] is that of the number seed.
            rng = np.random.default_rng([self.seed, period, 1])
            law = self.index_policy.relaxation.instance.demand_probability
            draws = rng.random((self.paths, self.horizon, self.problem.n_items))
            self._demand[period] = invert(draws, np.cumsum(law, axis=-1)).astype(np.int64)
        return self._demand[period]
