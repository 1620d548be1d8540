"""Tuning of the greedy cover rule on training episodes."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from baselines.common.training import training_episodes
from baselines.lot_sizing.rules import GreedyCover
from or_envs.core import Rule, simulate
from or_envs.lot_sizing.problem import LotSizing

#: The grid.
COVER = (1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0)
SETUP_WEIGHT = (0.0, 0.05, 0.1, 0.2, 0.3, 0.35, 0.4, 0.5, 0.6, 0.8, 1.0)
#: Below 0 a machine that could go on rests instead, which dear holding asks for.
STAY_BONUS = (-8.0, -2.0, -0.5, 0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)

#: Rows of one roll-out; their demand traces have to fit into memory.
_ROWS = 3000


class RuleFitness:
    """Mean costs of rules on common training episodes.

    Parameters
    ----------
    problem
        The lot-sizing problem.
    rule
        Makes a rule of parameters (B, k), a row of them for each batch row.
    seed
        Picks the training episodes.
    num_episodes
        How many.
    """

    def __init__(
        self,
        problem: LotSizing,
        rule: Callable[[np.ndarray], Rule],
        seed: int,
        num_episodes: int,
    ) -> None:
        self.problem = problem
        self.rule = rule
        self.num_episodes = num_episodes
        self._instance, self._demand = training_episodes(problem, seed, num_episodes)

    def __call__(self, parameters: np.ndarray) -> np.ndarray:
        """Mean cost (P,) of the rule of each row of ``parameters``, (P, k)."""
        size = max(1, _ROWS // self.num_episodes)
        return np.concatenate(
            [
                self._costs(parameters[start : start + size])
                for start in range(0, len(parameters), size)
            ]
        )

    def _costs(self, parameters: np.ndarray) -> np.ndarray:
        # Rule by rule, all episodes side by side: one roll-out of rules x episodes rows.
        episode = np.tile(np.arange(self.num_episodes), len(parameters))
        rule = self.rule(np.repeat(parameters, self.num_episodes, axis=0))
        demand = None if self._demand is None else self._demand.rows(episode)
        rollout = simulate(self.problem, rule, self._instance.rows(episode), demand)
        return -rollout.total_reward.reshape(len(parameters), -1).mean(axis=1)


class GreedyCoverFitness(RuleFitness):
    """Mean costs of greedy cover rules (cover, setup_weight, stay_bonus)."""

    def __init__(self, problem: LotSizing, seed: int, num_episodes: int) -> None:
        super().__init__(problem, lambda x: GreedyCover(*x.T), seed, num_episodes)


def tune(problem: LotSizing, seed: int, num_episodes: int = 30) -> GreedyCover:
    """Return the best greedy cover rule of a grid, by mean cost on common training episodes.

    The grid is screened on ``num_episodes`` episodes; the 20 best rules are compared again on ten
    times as many others, because the best of hundreds is partly lucky. The episodes are none of
    those that evaluations use, see :mod:`baselines.common.training`.
    """
    grid = np.array(list(itertools.product(COVER, SETUP_WEIGHT, STAY_BONUS)))
    screening = GreedyCoverFitness(problem, 2 * seed, num_episodes)(grid)
    finalists = grid[np.argsort(screening, kind="stable")[:20]]
    costs = GreedyCoverFitness(problem, 2 * seed + 1, 10 * num_episodes)(finalists)
    return GreedyCover(*finalists[costs.argmin()].tolist())
