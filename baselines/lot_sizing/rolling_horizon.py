"""Rolling horizon: plan the next periods again in every period, and play the first decision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from baselines.lot_sizing.milp import LotSizingModel, Variant, check_modelled, same_data
from baselines.lot_sizing.scenario_tree import (
    ScenarioTree,
    fan,
    forward_selection,
    sample_demand,
    tree,
)
from or_envs.lot_sizing.instances import LotSizingInstance
from or_envs.lot_sizing.problem import LotSizing, LotSizingState

Mode = Literal["mean", "two_stage", "multistage"]
Selection = Literal["forward", "sample"]

#: Sampled demand vectors that forward selection chooses from.
NUM_CANDIDATES = 100

#: Keeps the draws apart from those of episodes, which are seeded with one number: numpy takes a
#: seed (s, 0) for s.
_STREAM = 1


class RollingHorizon:
    """Solves a model of the next periods and plays its first decision.

    The model starts from the current stocks and the current setups, and demand is

    - ``mode="mean"``: its mean (certainty equivalence);
    - ``mode="two_stage"``: one of several sampled paths, under one plan for all of them;
    - ``mode="multistage"``: a scenario tree, whose later decisions know the demand before them.

    Scenarios are drawn anew in every period. They depend on the seed, the period and the demand law
    only, so a decision is a function of seed, instance and state, unless a time limit stops HiGHS.
    A model that reaches the end of the episode ends there, and what is left is worth nothing. Each
    search starts from simple rules' plans, so a limit costs quality but never the decision.

    Parameters
    ----------
    problem
        The lot-sizing problem.
    seed
        Seed of the scenarios and of HiGHS.
    mode
        "mean", "two_stage" or "multistage".
    horizon
        Periods of the model; without it the length of ``branching`` for "multistage", else 8.
    num_scenarios
        Paths of "two_stage", a Latin hypercube sample; a single one is the mean.
    branching
        Demand vectors that follow each decision of "multistage", period by period. Where it is 1,
        and in the periods after its end, the only one is the mean.
    selection
        How the vectors of "multistage" are found: "forward" selection from 100 sampled ones, by
        the lost-sales cost of the units that two of them differ by, or an equally likely "sample".
    inflation
        Factor of the mean demand, where a model uses that.
    end_cover
        See :class:`baselines.lot_sizing.milp.LotSizingModel`; without it a short horizon lets
        stocks run out.
    variant
        See :class:`baselines.lot_sizing.milp.LotSizingModel`. "reference" finds good plans much
        sooner, but lets no machine run on a full store.
    time_limit
        Seconds of branch and bound per decision.
    node_limit
        Nodes of branch and bound per decision; with it and without ``time_limit`` decisions are
        the same on every machine. The work at the root is not limited.
    mip_rel_gap
        Relative gap at which a plan is good enough.

    Raises
    ------
    ValueError
        If an argument is outside its range, or the problem has ``allow_invalid``, change-overs
        that depend on the sequence, or demand that changes with time.
    """

    def __init__(
        self,
        problem: LotSizing,
        seed: int = 0,
        mode: Mode = "mean",
        horizon: int | None = None,
        num_scenarios: int = 10,
        branching: Sequence[int] = (4, 2, 2),
        selection: Selection = "forward",
        inflation: float = 1.0,
        end_cover: float = 2.0,
        variant: Variant = "exact",
        time_limit: float | None = 1.0,
        node_limit: int | None = None,
        mip_rel_gap: float = 0.02,
    ) -> None:
        check_modelled(problem, variant)
        if not problem.stationary_demand:
            raise ValueError("problem: the rolling horizon needs stationary demand")
        if mode not in get_args(Mode):
            raise ValueError(f"mode: expected 'mean', 'two_stage' or 'multistage', got {mode!r}")
        if selection not in get_args(Selection):
            raise ValueError(f"selection: expected 'forward' or 'sample', got {selection!r}")
        if horizon is None:
            horizon = len(branching) if mode == "multistage" else 8
        if horizon < 1:
            raise ValueError(f"horizon: expected an integer >= 1, got {horizon!r}")
        if num_scenarios < 1:
            raise ValueError(f"num_scenarios: expected an integer >= 1, got {num_scenarios!r}")
        if not all(1 <= b <= NUM_CANDIDATES for b in branching):
            raise ValueError(
                f"branching: expected integers in 1..{NUM_CANDIDATES}, got {tuple(branching)!r}"
            )
        if not inflation > 0:
            raise ValueError(f"inflation: expected a number > 0, got {inflation!r}")
        self.problem = problem
        self.seed = seed
        self.mode: Mode = mode
        self.horizon = horizon
        self.num_scenarios = num_scenarios
        self.branching = tuple(branching)
        self.selection: Selection = selection
        self.inflation = inflation
        self.end_cover = end_cover
        self.variant: Variant = variant
        self.time_limit = time_limit
        self.node_limit = node_limit
        self.mip_rel_gap = mip_rel_gap
        self._models: dict[int, LotSizingModel] = {}

    def __call__(self, instance: LotSizingInstance, state: LotSizingState) -> np.ndarray:
        """Return the first decisions of the plans, (B, M), one row after the other."""
        rows = [np.array([row]) for row in range(state.num)]
        return np.stack(
            [
                self._decide(instance.rows(row) if instance.num > 1 else instance, state.rows(row))
                for row in rows
            ]
        )

    def _decide(self, instance: LotSizingInstance, state: LotSizingState) -> np.ndarray:
        scenarios = self.scenarios(instance, int(state.period[0]))
        model = self._model(instance, scenarios, int(state.period[0]))
        plan = model.solve(state, scenarios, self.time_limit, self.node_limit)
        return plan.decisions[0]

    def _periods(self, period: int) -> int:
        return min(self.horizon, self.problem.horizon - period)

    def _model(
        self, instance: LotSizingInstance, scenarios: ScenarioTree, period: int
    ) -> LotSizingModel:
        """Model for what is left of the episode, built when it is first needed."""
        if self._models and not same_data(next(iter(self._models.values())).instance, instance):
            self._models.clear()
        left = self.problem.horizon - period
        # Models that reach the episode's end differ from the others in the value of what is left.
        key = min(left, self.horizon + 1)
        if key not in self._models:
            self._models[key] = LotSizingModel(
                self.problem,
                instance,
                scenarios,
                self.variant,
                end_cover=self.end_cover if left > self.horizon else 0.0,
                mip_rel_gap=self.mip_rel_gap,
                seed=self.seed,
            )
        return self._models[key]

    def scenarios(self, instance: LotSizingInstance, period: int) -> ScenarioTree:
        """What the model of one period takes demand to be, for a batch of one."""
        periods = self._periods(period)
        rng = np.random.default_rng((self.seed, period, _STREAM))
        mean = self.inflation * instance.mean_demand
        if self.mode == "two_stage" and self.num_scenarios > 1:
            return fan(sample_demand(instance, rng, self.num_scenarios, periods))
        if self.mode == "multistage":
            branching = (*self.branching, *[1] * periods)[:periods]
            return tree([self._branches(instance, rng, b, mean) for b in branching])
        return fan(np.repeat(mean[None], periods, axis=1))

    def _branches(
        self, instance: LotSizingInstance, rng: np.random.Generator, num: int, mean: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Demand (num, n) and probabilities (num,) of one period of the tree."""
        if num == 1:
            return mean, np.ones(1)
        if self.selection == "sample":
            return sample_demand(instance, rng, num, 1)[:, 0], np.full(num, 1 / num)
        candidates = sample_demand(instance, rng, NUM_CANDIDATES, 1)[:, 0]
        chosen, probability = forward_selection(candidates, num, instance.lost_sales_cost[0])
        return candidates[chosen], probability
