"""Certainty equivalence: plan again in every period as if demand were its mean."""

from __future__ import annotations

import numpy as np

from baselines.lot_sizing.milp import LotSizingModel, greedy_plan, same_data
from or_envs.lot_sizing.instances import LotSizingInstance
from or_envs.lot_sizing.problem import LotSizing, LotSizingState


class RollingHorizonMean:
    """Solves the deterministic model over the next periods and plays its first decision.

    The model starts from the current stock and the current setups, and every demand is its mean;
    nothing of the future is used. Its start is the greedy cover rule's plan, so a time limit
    costs quality but never the decision.

    Parameters
    ----------
    problem
        The lot-sizing problem.
    seed
        Seed of HiGHS.
    horizon
        Periods of the model.
    end_cover
        See :class:`baselines.lot_sizing.milp.LotSizingModel`; without it a short horizon lets
        stocks run out.
    time_limit
        Seconds of branch and bound per decision.
    mip_rel_gap
        Relative gap at which a plan is good enough.

    Raises
    ------
    ValueError
        If the horizon is not positive, or the problem has ``allow_invalid``.
    """

    def __init__(
        self,
        problem: LotSizing,
        seed: int = 0,
        horizon: int = 8,
        end_cover: float = 2.0,
        time_limit: float = 1.0,
        mip_rel_gap: float = 0.02,
    ) -> None:
        if horizon < 1:
            raise ValueError(f"horizon: expected an integer >= 1, got {horizon!r}")
        if problem.allow_invalid:
            raise ValueError("problem: the MILP has no counterpart of allow_invalid=True")
        self.problem = problem
        self.seed = seed
        self.horizon = horizon
        self.end_cover = end_cover
        self.time_limit = time_limit
        self.mip_rel_gap = mip_rel_gap
        self._model: LotSizingModel | None = None

    def __call__(self, instance: LotSizingInstance, state: LotSizingState) -> np.ndarray:
        """Return the first decisions of the plans, (B, M), one row after the other."""
        return np.stack([self._decide(instance, state, row) for row in range(state.num)])

    def _decide(self, instance: LotSizingInstance, state: LotSizingState, row: int) -> np.ndarray:
        one = instance.rows(np.array([row])) if instance.num > 1 else instance
        here = state.rows(np.array([row]))
        model = self._model
        if model is None or not same_data(model.instance, one):
            model = LotSizingModel(
                self.problem,
                one,
                self.horizon,
                end_cover=self.end_cover,
                mip_rel_gap=self.mip_rel_gap,
                seed=self.seed,
            )
            self._model = model
        demand = np.repeat(one.mean_demand, self.horizon, axis=0)
        start = greedy_plan(self.problem, one, here, demand)
        plan, _ = model.solve(here, demand, start, self.time_limit)
        return plan[0]
