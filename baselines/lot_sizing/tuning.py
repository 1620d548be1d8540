"""Tuning of the greedy cover rule on training episodes."""

from __future__ import annotations

import itertools

import numpy as np

from baselines.common.rule_fitness import RuleFitness
from baselines.lot_sizing.rules import GreedyCover
from or_envs.lot_sizing.problem import LotSizing

#: The grid.
COVER = (1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0)
SETUP_WEIGHT = (0.0, 0.05, 0.1, 0.2, 0.3, 0.35, 0.4, 0.5, 0.6, 0.8, 1.0)
#: Below 0 a machine that could go on rests instead, which dear holding asks for.
STAY_BONUS = (-8.0, -2.0, -0.5, 0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)


class GreedyCoverFitness(RuleFitness[LotSizing]):
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
